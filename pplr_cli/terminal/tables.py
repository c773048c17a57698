"""Tables of text that fit a terminal without breaking words."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len

GAP = "  "
Grid = Sequence[Sequence[str]]
Line = tuple[str, str | None]


def fit_table(grid: Grid, room: int | None) -> Iterator[Line]:
    """Yield the lines of a table and their styles.

    Args:
        grid: rows of cells, the header first.
        room: width of the terminal; None if there is no limit.
    """
    widths = [max(map(cell_len, column)) for column in zip(*grid, strict=True)]
    if room is not None and sum(widths) + len(GAP) * (len(widths) - 1) > room:
        narrow = _narrowed(grid, widths, room - len(GAP) * (len(widths) - 1))
        if narrow is None:
            yield from _lists(grid, room)
            return
        widths = narrow
    numeric = [all(cell[:1].isdigit() for cell in column[1:]) for column in zip(*grid, strict=True)]
    for number, row in enumerate(grid):
        cells = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = map(_padded, parts, widths, numeric)
            yield GAP.join(padded), "bold" if number == 0 else None


def _narrowed(grid: Grid, widths: Sequence[int], room: int) -> list[int] | None:
    """Return widths that sum to `room`, taken from the widest columns; None if words would break.

    A column is never narrower than its longest word.
    """
    widths = list(widths)
    least = [
        max(cell_len(word) for cell in column for word in (*cell.split(" "), ""))
        for column in zip(*grid, strict=True)
    ]
    while sum(widths) > room:
        column = max(range(len(widths)), key=lambda n: (widths[n] > least[n], widths[n]))
        if widths[column] <= least[column]:
            return None
        widths[column] -= 1
    return widths


def _lists(grid: Grid, room: int) -> Iterator[Line]:
    """Yield each row as a list: the first cell, then the others with the names of their columns."""
    header, *rows = grid
    for row in rows:
        yield row[0], "bold"
        for name, cell in zip(header[1:], row[1:], strict=True):
            for number, line in enumerate(_wrapped(f"{name}: {cell}", room - 4)):
                yield f"{'  ' if number == 0 else '    '}{line}", None


def _wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text, broken at spaces only."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and cell_len(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _padded(text: str, width: int, numeric: bool) -> str:
    gap = " " * (width - cell_len(text))
    return gap + text if numeric else text + gap
