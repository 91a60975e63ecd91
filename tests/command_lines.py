"""What all command lines owe those who mistype."""

from collections.abc import Callable

import pytest


def assert_refused(
    main: Callable[[list[str]], int], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input ends with status 2 and a message, not with a traceback."""
    try:
        status: object = main(arguments)
    except SystemExit as stop:
        status = stop.code
    errors = capsys.readouterr().err
    assert status == 2
    assert message in errors
    assert "Traceback" not in errors
