"""The programs and links of the environments' pages."""

import ast
import inspect
import re
from pathlib import Path

import gymnasium as gym
import pytest

from every_environment import IDS

FOLDER = Path(__file__).parents[1] / "gym_safemaze"
PAGES = [FOLDER / "README.md", *sorted((FOLDER / "docs").glob("*.md"))]

HEADINGS = (
    "Observation",
    "Action",
    "Reward",
    "Start and end",
    "Info",
    "Arguments",
    "Source",
    "Version history",
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_programs_run(page):
    names: dict = {"gym": gym}
    for program in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(program, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("env_id", IDS)
def test_every_environment_has_a_page_with_its_spaces(env_id):
    env = gym.make(env_id)
    (page,) = (text for text in map(Path.read_text, PAGES) if text.startswith(f"# {env_id}\n"))
    space = env.observation_space
    assert f"Box({space.low.min():g}, {space.high.max():g}, {space.shape}".removesuffix(")") in page
    for key in env.reset(seed=0)[1]:
        assert f"| `{key}` |" in page
    for heading in HEADINGS:
        assert f"\n## {heading}\n" in page


@pytest.mark.parametrize("env_id", IDS)
def test_every_page_gives_the_arguments_with_their_defaults(env_id):
    (page,) = (text for text in map(Path.read_text, PAGES) if text.startswith(f"# {env_id}\n"))
    [section] = re.findall(r"\n## Arguments\n(.*?)\n#", page, re.DOTALL)
    given = {
        name: None if default == "the maze's" else ast.literal_eval(default.strip("`"))
        for names, default in re.findall(r"^\| (`.*?`) \| (.*?) \|", section, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    parameters = inspect.signature(type(gym.make(env_id).unwrapped)).parameters.values()
    assert given == {one.name: one.default for one in parameters if one.name != "render_mode"}
