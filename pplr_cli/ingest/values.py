"""Turns the texts that users give for identities, cameras, tracks and times into numbers."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from pplr_cli.data.images import UNKNOWN
from pplr_cli.data.manifest import LARGEST
from pplr_cli.errors import DataError
from pplr_cli.ingest.table import Values
from pplr_cli.text import listed

NO_VALUE = frozenset({"", "?", "nan", "na", "n/a", "#n/a", "<na>", "none", "null", "unknown"})
"""Spellings of a missing value, in any case and after any sign."""
DIGITS = 18
"""Integers with more digits are names: they would not fit int64."""
_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d*))?", re.ASCII)


def number_values(
    values: Sequence[str | None], known: Mapping[int, str] = MappingProxyType({})
) -> tuple[list[int], dict[int, str]]:
    """Turn identities, cameras or tracks into numbers, each value judged by itself.

    Integers keep their value in any spelling (`17`, `0017`, `17.0`); negative and missing values
    are `UNKNOWN`; all other texts get the numbers after the largest integer, in sorted order.
    Numbers of `known` names are kept; an integer that is one of them is numbered like a name.

    Returns:
        The number of each value, and the first spelling of each number that is not written so.
    """
    key_of = {value: _key(value) for value in set(values)}
    keys = [key_of[value] for value in values]
    numbers = {key: number for number, text in known.items() if (key := _key(text)) != number}
    taken = set(numbers.values())
    fresh = {key for key in keys if isinstance(key, str) or key in taken} - numbers.keys()
    first = max((*taken, *(key for key in keys if isinstance(key, int))), default=UNKNOWN) + 1
    numbers |= {key: first + place for place, key in enumerate(sorted(fresh, key=str))}
    found = [numbers.get(key, UNKNOWN if isinstance(key, str) else key) for key in keys]
    spelled = dict(known)
    for number, value in zip(found, values, strict=True):
        if number != UNKNOWN and value is not None:
            spelled.setdefault(number, value.strip())
    return found, {number: text for number, text in spelled.items() if text != str(number)}


def _key(value: str | None) -> int | str:
    """Return an integer, `UNKNOWN`, or the text that tells a name from others."""
    text = unicodedata.normalize("NFC", value or "").strip()
    if text.casefold().lstrip("+-") in NO_VALUE:
        return UNKNOWN
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    sign, whole, fraction = match[1], match[2].lstrip("0"), (match[3] or "").strip("0")
    if sign == "-" and (whole or fraction):
        return UNKNOWN
    if fraction:
        return text
    return int(whole or "0") if len(whole) <= DIGITS else whole


def read_times(root: Path, known: Mapping[str, Values]) -> list[float]:
    """Return the frame or time of each image, `UNKNOWN` where it has none.

    Args:
        root: the folder of images, named in errors.
        known: the values of each image, by path; `frame` or `time` is read.

    Raises:
        DataError: values that are neither numbers nor ISO 8601 (all are listed).
    """
    values = {path: row.get("frame") or row.get("time") for path, row in known.items()}
    times = {path: _time(value) for path, value in values.items()}
    wrong = [f"{path} ({values[path]})" for path, time in times.items() if time is None]
    if wrong:
        message = f"`{root}`: {len(wrong)} images with unreadable times:\n{listed(wrong)}"
        raise DataError(message, "write frame numbers, seconds or `2026-05-01T12:30:00`")
    return [UNKNOWN if time is None else time for time in times.values()]


def _time(value: str | None) -> float | None:
    """Return a frame number or seconds (dates: in UTC), `UNKNOWN`, or None for other texts."""
    text = (value or "").strip()
    if text.casefold().lstrip("+-") in NO_VALUE:
        return UNKNOWN
    try:
        time = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        time = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return time if math.isfinite(time) and 0 <= time < LARGEST else None
