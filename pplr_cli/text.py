"""Text helpers: shortened lists, suggestions, printable characters, CSV, sizes and counts."""

import csv
import difflib
import io
from collections.abc import Iterable, Sequence

_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)
}


def listed(items: Sequence[str], most: int = 20) -> str:
    """Return the first `most` items, one per line, and the number of the others."""
    return "\n".join(f"  {item}" for item in _cut(items, most))


def named(names: Sequence[str], most: int = 5) -> str:
    """Return the first `most` names in backticks, on one line, and the number of the others."""
    return ", ".join(_cut([f"`{name}`" for name in names], most))


def nearest(word: str, known: Sequence[str]) -> str:
    """Return "did you mean `x`?" or, if no name is similar, all names."""
    by_lower = {name.casefold(): name for name in reversed(known)}
    match = difflib.get_close_matches(word.casefold(), by_lower, n=1, cutoff=0.5)
    return f"did you mean `{by_lower[match[0]]}`?" if match else f"there are {', '.join(known)}"


def printable(text: str) -> str:
    """Return text with control characters and lone surrogates (bytes outside UTF-8) escaped."""
    return text.translate(_CONTROLS).encode(errors="backslashreplace").decode()


def _cut(items: Sequence[str], most: int) -> list[str]:
    hidden = len(items) - most
    if hidden < 2:  # the last one takes no more room than its count
        return list(items)
    return [*items[:most], f"... and {hidden} more"]


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV with a header line; None becomes an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def sized(size: float) -> str:
    """Return a number of bytes in a suitable unit: `11.4 GB`, `102.5 MB`, `3.0 kB`, `0 bytes`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= 0.99995 * scale:  # or it would be rounded to 1,000.0 of the next unit
            return f"{size / scale:,.1f} {unit}"
    return counted(int(size), "bytes")


def counted(count: int, units: str) -> str:
    """Return a number with its unit, which is given in the plural: `1 epoch`, `1,200 epochs`."""
    return f"{count:,} {units.removesuffix('s') if count == 1 else units}"
