"""Tables of text that fit a terminal without breaking words."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

UNLIMITED = 1_000_000
"""Width of a table that is not printed on a terminal."""
Grid = Sequence[Sequence[str]]


def fit_table(console: Console, columns: Sequence[str], rows: Grid) -> Iterator[Text]:
    """Yield the lines of a table; columns of numbers are right-aligned.

    On a terminal that is too narrow for it, cells wrap between words or, if that is not enough,
    each row becomes a list: the first cell, then the others with the names of their columns.
    """
    room = console.width if console.is_terminal else UNLIMITED
    segments = console.render(_table(columns, rows), console.options.update(width=room))
    lines = [
        Text.assemble(*((part.text, part.style or "") for part in line))
        for line in Segment.split_lines(segments)
    ]
    for line in lines:
        line.rstrip()
    if all(line.cell_len <= room for line in lines):
        yield from lines
        return
    for first, *others in rows:
        yield Text(first, "bold")
        for name, cell in zip(columns[1:], others, strict=True):
            yield Text(f"  {name}: {cell}")


def _table(columns: Sequence[str], rows: Grid) -> Table:
    """Return a table without lines; no column is narrower than its longest word."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name, *cells in zip(columns, *rows, strict=True):
        longest = max(cell_len(word) for cell in (name, *cells) for word in (*cell.split(), ""))
        side: JustifyMethod = "right" if all(cell[:1].isdigit() for cell in cells) else "left"
        table.add_column(Text(name), justify=side, overflow="fold", min_width=longest)
    for row in rows:
        table.add_row(*(Text(cell.strip()) for cell in row))
    return table
