"""What the README shows works as shown."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PAGES = [
    "README.md",
    "examples/README.md",
    "examples/scaling.md",
    "examples/results/README.md",
    "examples/other_libraries/README.md",
    "safe_mutation/docs/no_experiences.md",
    "safe_mutation/docs/which_implementation.md",
]
LINKS = [
    (page, target)
    for page in PAGES
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    if not target.startswith("http")
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.splitlines()[-1][:40])
def test_programs_run(program):
    exec(compile(program, "README.md", "exec"), {})


def test_the_operator_example_gives_new_children():
    names = {}
    exec(compile(PROGRAMS[0], "README.md", "exec"), names)
    assert names["child"].shape == names["parent"].shape == (226,)
    assert names["children"].shape == (50, 226)
    assert (names["children"] != names["parent"]).any(axis=1).all()


def test_the_genetic_algorithm_is_the_one_to_copy():
    [shown] = re.findall(r"```py\n(.*?)```", README, re.DOTALL)
    assert shown in (ROOT / "examples" / "minimal_ga.py").read_text()


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_links_and_pictures_exist(page, target):
    assert ((ROOT / page).parent / target).exists()
