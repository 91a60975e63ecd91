"""Settings of a domain, written and documented once for its Env and its VectorEnv.

A domain's settings are a dataclass. Its two environment classes are dataclasses as well and inherit from the
settings and from `LaneEnv` or `LaneVectorEnv`, which brings `render_mode`, `num_envs` and `autoreset_mode`.
So both constructors take every setting as an argument of its own, under its name and with its default, for
people, type checkers and `inspect.signature` alike.
"""

import inspect
import re


def documented(environment: type) -> type:
    """Add to a class's docstring the arguments and errors that the docstrings of its bases describe."""
    texts = [inspect.cleandoc(base.__doc__ or "") for base in reversed(environment.__mro__)]
    complete = texts.pop()
    for title in ("Args", "Raises"):
        entries = "".join(_section(text, title) for text in texts if "Args:" in text)
        complete += f"\n\n{title}:\n{entries}".rstrip()
    environment.__doc__ = complete
    return environment


def _section(text: str, title: str) -> str:
    """Return the indented lines below `title` of a docstring."""
    found = re.search(rf"^{title}:\n((?: .*\n|\n(?= ))*)", text + "\n", re.MULTILINE)
    return found[1] if found else ""
