"""Tables of the pages of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---") -> str:
    """A Markdown table, a line for each row.

    Args:
        titles: Of the columns.
        rows: The text of each cell.
        align: What Markdown writes below each title: "---", or "---:" for columns of numbers.

    Raises:
        ValueError: If a row has more or fewer cells than there are titles.
    """
    lines = [_line(titles), _line([align] * len(titles))]
    for row in rows:
        if len(row) != len(titles):
            raise ValueError(f"expected a row of {len(titles)} cells, {', '.join(titles)}, got {list(row)}")
        lines.append(_line(row))
    return "".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
