"""Windows: pygame has one for the whole process."""

import gymnasium as gym
import numpy as np
import pygame
import pytest

import gym_safemaze  # noqa: F401


@pytest.mark.parametrize("other", ["safemaze/TopdownMaze-v0", "safemaze/FirstPersonMaze-v0", "CartPole-v1"])
def test_closing_another_window_does_not_matter(other):
    env = gym.make("safemaze/TopdownMaze-v0", render_mode="human")
    env.reset()
    second = gym.make(other, render_mode="human")
    second.reset()
    env.step(0)  # takes the window over
    second.close()
    env.step(0)
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2)
    assert np.array_equal(shown, env.unwrapped.lanes.draw(0))
    env.close()
    assert not pygame.display.get_init()
    env.close()


@pytest.mark.parametrize("other", ["safemaze/TopdownMaze-v0", "safemaze/FirstPersonMaze-v0", "CartPole-v1"])
def test_closing_a_window_that_another_has_taken_over_leaves_it_open(other):
    first = gym.make("safemaze/TopdownMaze-v0", render_mode="human")
    second = gym.make(other, render_mode="human")
    first.reset()
    second.reset()
    first.close()
    second.step(0)
    assert pygame.display.get_init()
    second.close()
    assert not pygame.display.get_init()
