"""Read `answers.csv`: what people answered about pairs of images, checked for contradictions."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.errors import DataError
from pplr_cli.labelling.constraints import Answers, connected
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

COLUMNS = ("path_a", "path_b", "answer")
SAME, DIFFERENT, UNSURE = ANSWERS = ("same", "different", "unsure")
_WRITE_ONE = "`pplr review` writes such a file; its columns are path_a, path_b, answer"


class Answer(NamedTuple):
    """A line of the file: two numbers of images, and the answer."""

    line: int
    one: int
    other: int
    answer: str


def read_answers(
    file: Path, paths: Sequence[str], tracks: NDArray[np.int64] | None, reporter: Reporter
) -> Answers:
    """Read the answers about the images of a data set.

    Args:
        file: a CSV table with the columns `path_a`, `path_b` and `answer` (`same`, `different` or
            `unsure`, which counts as no answer).
        paths: the N training images.
        tracks: track of each image, int64 [N]; None if images are clustered.
        reporter: gets a warning if the file names other images, which are ignored.

    Raises:
        DataError: no such table, or answers that contradict each other.
    """
    numbers = {path: number for number, path in enumerate(paths)}
    known, unknown, text = [], 0, _text(file)
    for line, one, other, answer in _lines(file, text):
        if one in numbers and other in numbers:
            known.append(Answer(line, numbers[one], numbers[other], answer))
        else:
            unknown += 1
    if unknown:
        what = f"`{file}`: {unknown} of {unknown + len(known)} answers name images that the data"
        reporter.warn(f"{what} set does not have", "they are ignored")
    _check(file, known, paths, np.arange(len(paths)) if tracks is None else tracks)
    same, different = (
        np.array([each[1:3] for each in known if each.answer == kind], np.int64).reshape(-1, 2)
        for kind in (SAME, DIFFERENT)
    )
    return Answers(same, different, text)


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(f"`{file}`: {error.strerror}", _WRITE_ONE) from error


def _lines(file: Path, text: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield number, paths and answer of each line of the table."""
    table = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for column in COLUMNS:
            if column not in (table.fieldnames or ()):
                raise DataError(f"`{file}`: no column `{column}`", _WRITE_ONE)
        for row in table:
            one, other, answer = ((row[column] or "").strip() for column in COLUMNS)
            if answer not in ANSWERS:
                what = f"`{file}:{table.line_num}`: the answer is `{answer}`"
                raise DataError(what, "write `same`, `different` or `unsure`")
            yield table.line_num, one, other, answer
    except csv.Error as error:
        raise DataError(f"`{file}`: not a table of answers ({error!r})", _WRITE_ONE) from error


def _check(
    file: Path, answers: Sequence[Answer], paths: Sequence[str], items: NDArray[np.int64]
) -> None:
    """Raise `DataError` if images are different that answers or their track make the same."""
    same = [each for each in answers if each.answer == SAME]
    pairs = np.array([(items[each.one], items[each.other]) for each in same], np.int64)
    groups = connected(pairs.reshape(-1, 2), int(items.max(initial=-1)) + 1)[items]
    wrong = [a for a in answers if a.answer == DIFFERENT and groups[a.one] == groups[a.other]]
    if wrong:
        lines = [
            f"{file}:{each.line}: `{paths[each.one]}` and `{paths[each.other]}` are different, "
            f"but {_why_same(each, same, items)}"
            for each in wrong
        ]
        raise DataError(
            f"`{file}`: {len(wrong)} answers contradict others:\n{listed(lines)}",
            "look at these images again, and delete the lines that are wrong",
        )


def _why_same(pair: Answer, same: Sequence[Answer], items: NDArray[np.int64]) -> str:
    """Name the fewest lines that make the two images of a pair the same."""
    if items[pair.one] == items[pair.other]:
        return "both are in one track" if pair.one != pair.other else "they are one image"
    near: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for each in same:
        one, other = int(items[each.one]), int(items[each.other])
        near[one].append((other, each.line))
        near[other].append((one, each.line))
    start, goal = int(items[pair.one]), int(items[pair.other])
    ways: dict[int, list[int]] = {start: []}
    queue = [start]
    for item in queue:  # breadth first; grows while it is read
        for other, line in near[item]:
            if other not in ways:
                ways[other] = sorted([*ways[item], line])
                queue.append(other)
    lines = ", ".join(map(str, ways[goal]))
    one = len(ways[goal]) == 1
    return f"line {lines} makes them the same" if one else f"lines {lines} make them the same"
