"""Playing with the keyboard, with key presses made by the test."""

import gymnasium as gym
import numpy as np
import pygame
import pytest

from every_environment import IDS
from gym_safemaze import play
from gym_safemaze.lanes import LaneEnv


@pytest.fixture
def keyboard(monkeypatch):
    """Feed the game lists of events, one list per look at the keyboard."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    script: list[list[pygame.event.Event]] = []
    monkeypatch.setattr(pygame.event, "get", lambda: script.pop(0))
    monkeypatch.setattr(pygame.event, "wait", lambda: script.pop(0)[0])
    return script


def key(name: str, kind: int = pygame.KEYDOWN) -> pygame.event.Event:
    pygame.display.init()
    return pygame.event.Event(kind, key=pygame.key.key_code(name))


def test_every_environment_can_be_played():
    assert {f"safemaze/{name}-v0" for name in play.CONTROLS} == set(IDS)


@pytest.mark.parametrize("name", sorted(play.CONTROLS))
def test_every_key_is_an_action(name):
    space, controls = gym.make(f"safemaze/{name}-v0").action_space, play.CONTROLS[name]
    for pressed in controls.actions:
        assert controls.action([pressed]) in space
    assert controls.idle is None or controls.action([]) in space
    assert controls.action(["f12"]) is None or controls.idle is not None


def test_a_robot_turns_and_drives_at_once():
    controls = play.CONTROLS["BreadcrumbHardMaze"]
    np.testing.assert_array_equal(controls.action(["up", "left"]), [0, 1])
    np.testing.assert_array_equal(controls.action(["up", "down", "right"]), [1, 0.5])


def test_held_keys_drive_the_robot_until_escape(keyboard, monkeypatch, capsys):
    actions = []
    step = LaneEnv.step
    monkeypatch.setattr(
        LaneEnv, "step", lambda env, action: actions.append(tuple(action)) or step(env, action)
    )
    keyboard += [[key("up")], [], [key("up", pygame.KEYUP)], [key("r")], [key("escape")]]
    play.main(["BreadcrumbHardMaze"])
    assert actions == [(0.5, 1.0), (0.5, 1.0), (0.5, 0.5), (0.5, 0.5)]
    assert "arrow keys" in capsys.readouterr().out


def test_a_key_that_is_let_go_within_a_frame_counts_in_that_frame(keyboard, monkeypatch):
    actions = []
    step = LaneEnv.step
    monkeypatch.setattr(LaneEnv, "step", lambda env, action: actions.append(action) or step(env, action))
    tap = [key("left"), key("left", pygame.KEYUP)]
    keyboard += [tap, [], [*tap, key("left")], [], [key("left", pygame.KEYUP)], [key("escape")]]
    play.main(["FirstPersonMaze"])
    assert actions == [0, 4, 0, 0, 4]


def test_board_games_wait_for_a_key_and_report_the_end(keyboard, capsys):
    presses = [[key(name)] for name in ("0", "f1", "1", "1", "0")]
    releases = [[key("0", pygame.KEYUP)]]
    keyboard += presses[:1] + releases + presses[1:] + [[pygame.event.Event(pygame.QUIT)]]
    play.main(["RecurrentParity", "--seed", "1"])
    env = gym.make("safemaze/RecurrentParity-v0")
    _, info = env.reset(seed=1)
    odd = info["label"] == 1  # the answers given are 0, 1, 1 and 0, of which the last counts
    assert capsys.readouterr().out.splitlines()[1:] == [
        "fitness 0, not solved" if odd else "fitness 1, solved"
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["Tetris"],
        ["BreadcrumbHardMaze", "--maze", "no such maze"],
        ["RecurrentParity", "--maze", "hard"],
        ["TopdownMaze", "--seed", "-1"],
    ],
)
def test_bad_arguments_give_one_line_and_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        play.main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("python -m gym_safemaze.play: error:")
