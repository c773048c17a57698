"""Cuts crops out of video sequences in the format of the MOT challenge, with tracks and frames.

A sequence is a folder with the frames in `img1/` (or the `imDir` of its `seqinfo.ini`) and boxes:
one line `frame,track,left,top,width,height,...` each, in pixels counted from 1. `gt/gt.txt` goes
on with `flag,class,visibility`: boxes with flag 0 or a class other than 1 (pedestrian) are
ignored. Detections and the results of trackers go on with a confidence; track -1 means "none".

Each sequence is a camera. Format: Milan et al., "MOT16", arXiv 1603.00831, section 3.
"""

import configparser
import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image as Picture

from pplr_cli import host
from pplr_cli.data.decode import LARGEST_ASPECT, decode, for_all
from pplr_cli.data.images import UNKNOWN, Image, Names, Split
from pplr_cli.errors import DataError, UsageError
from pplr_cli.files import native
from pplr_cli.ingest.walk import Reading, is_image_name
from pplr_cli.progress import Reporter
from pplr_cli.text import listed

GROUND_TRUTH, DETECTIONS = "gt/gt.txt", "det/det.txt"
PEDESTRIAN = 1
NARROWEST = 8
"""Pixels: what remains of a narrower or lower box inside the frame shows nothing."""
IGNORED = "boxes that the ground truth ignores left out"
OUTSIDE = f"boxes under {NARROWEST} pixels inside the frame left out"
FORMAT_HINT = "each line is `frame,track,left,top,width,height,...`, with frames from 1"


class Box(NamedTuple):
    """One box: frame and track numbers, then the corners in pixels counted from 0."""

    frame: int
    track: int
    left: float
    top: float
    right: float
    bottom: float


def cut_crops(
    sequences: Sequence[Path],
    boxes: Path | None,
    every: int,
    target: Path,
    reporter: Reporter,
    names: Names = Names(),  # noqa: B008
) -> Reading:
    """Write the crops of all sequences as `<sequence>/<track>_<frame>.png` below a folder.

    Args:
        sequences: folders of sequences; each is a camera.
        boxes: the file of boxes: relative to each sequence, or `<boxes>/<sequence>.txt`, or the
            file itself; None takes the ground truth, or the detections where there is none.
        every: only frames 1, 1 + every, 1 + 2 * every, ... are read.
        target: the folder.
        reporter: gets the progress.
        names: of cameras whose numbers are kept.

    Raises:
        DataError: a sequence without frames or boxes, a file of boxes that cannot be read, boxes
            in missing frames, broken frames.
        UsageError: two sequences of one name.
    """
    named = {sequence.resolve().name: sequence for sequence in sequences}
    if len(named) < len(sequences):
        raise UsageError("two sequences have the same name", "rename one of the folders")
    unknown = sorted(named.keys() - set(names.cameras.values()))
    cameras = {**names.cameras, **dict(enumerate(unknown, 1 + max(names.cameras, default=-1)))}
    reading = Reading(names=replace(names, cameras=cameras))
    for camera, name in sorted(cameras.items()):
        if (sequence := named.get(name)) is None:
            continue
        frames = _frames(sequence)
        file = find_boxes(sequence, name, boxes)
        found = [box for box in read_boxes(file, reading.notes) if (box.frame - 1) % every == 0]
        if missing := sorted({box.frame for box in found} - set(frames)):
            shown = listed([str(frame) for frame in missing])
            message = f"`{file}`: {len(missing)} frames without image in `{sequence}`:\n{shown}"
            raise DataError(message, "unpack all frames of the sequence")
        folder = target / name
        folder.mkdir(parents=True)
        for box in _cut(found, frames, folder, reporter):
            path = f"{name}/{_crop_name(box)}"
            image = Image(Split.TRAIN, path, UNKNOWN, camera, box.track, box.frame)
            reading.images.append(image)
        reading.notes[OUTSIDE] += len(found) - sum(i.camera == camera for i in reading.images)
    reading.notes = +reading.notes
    if not reading.images:
        raise DataError(f"`{sequences[0]}`: no box can be used", FORMAT_HINT)
    return reading


def find_boxes(sequence: Path, name: str, boxes: Path | None) -> Path:
    """Return the file of boxes of a sequence; `DataError` if there is none."""
    given = [] if boxes is None else [sequence / boxes, boxes / f"{name}.txt", boxes]
    usual = [sequence / GROUND_TRUTH, sequence / DETECTIONS]
    for file in given or usual:
        if file.is_file():
            return file
    looked = ", ".join(f"`{file}`" for file in given or usual)
    raise DataError(f"`{sequence}`: no file of boxes ({looked})", "name one with `--boxes`")


def read_boxes(file: Path, notes: dict[str, int]) -> list[Box]:
    """Read a file of boxes; count the ignored ones in `notes`.

    Raises:
        DataError: lines that are none (all are listed), or a track twice in one frame.
    """
    truth = file.name == Path(GROUND_TRUTH).name
    boxes: list[Box] = []
    wrong: list[str] = []
    seen: set[tuple[float, ...]] = set()
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        for number, cells in enumerate(csv.reader(lines), 1):
            if not "".join(cells).strip():
                continue
            try:
                box, rest = _box(cells)
            except ValueError as error:
                wrong.append(f"line {number}: {error}")
                continue
            key = box if box.track == UNKNOWN else box[:2]
            if truth and _is_ignored(rest):
                notes[IGNORED] = notes.get(IGNORED, 0) + 1
            elif key in seen:
                wrong.append(f"line {number}: track {box.track} twice in frame {box.frame}")
            else:
                seen.add(key)
                boxes.append(box)
    if wrong:
        raise DataError(f"`{file}`: {len(wrong)} lines are no boxes:\n{listed(wrong)}", FORMAT_HINT)
    return boxes


def _box(cells: list[str]) -> tuple[Box, list[float]]:
    """Parse a line; return its box and the numbers after it."""
    numbers = [float(cell) for cell in cells if cell.strip()]
    if len(numbers) < 6 or not all(map(math.isfinite, numbers)):
        raise ValueError(",".join(cells)[:80])
    (frame, track), (left, top, width, height) = map(int, numbers[:2]), numbers[2:6]
    if frame < 1 or width <= 0 or height <= 0:
        raise ValueError(",".join(cells)[:80])
    left, top = left - 1, top - 1
    return Box(frame, max(track, UNKNOWN), left, top, left + width, top + height), numbers[6:]


def _is_ignored(rest: Sequence[float]) -> bool:
    """Return whether `flag,class,...` says that the box is no pedestrian to be tracked."""
    return (len(rest) > 0 and rest[0] == 0) or (len(rest) > 1 and rest[1] not in (PEDESTRIAN, -1))


def _frames(sequence: Path) -> Mapping[int, Path]:
    """Return the frames of a sequence by number."""
    parser = configparser.ConfigParser()
    parser.read(sequence / "seqinfo.ini", encoding="utf-8-sig")
    folder = sequence / native(parser.get("Sequence", "imDir", fallback="img1"))
    files = folder.iterdir() if folder.is_dir() else ()
    frames = {int(f.stem): f for f in files if f.stem.isdecimal() and is_image_name(f.name)}
    if not frames:
        hint = "a sequence is a folder with `img1/000001.jpg` and `gt/gt.txt` or `det/det.txt`"
        raise DataError(f"`{sequence}`: no frames in `{folder}`", hint)
    return frames


def _cut(
    boxes: Iterable[Box], frames: Mapping[int, Path], folder: Path, reporter: Reporter
) -> Iterator[Box]:
    """Write the crops of a sequence, on every core; yield the boxes that gave one."""
    by_frame: dict[int, list[Box]] = defaultdict(list)
    for box in boxes:
        by_frame[box.frame].append(box)
    numbers = sorted(by_frame)
    kept: dict[int, list[Box]] = {}

    def work(index: int) -> None:
        number = numbers[index]
        image = decode(frames[number])
        pairs = [(box, corners) for box in by_frame[number] if (corners := _inside(box, image))]
        for box, corners in pairs:
            # as little compression as possible: the image cache reads them once
            image.crop(corners).save(folder / _crop_name(box), compress_level=1)
        kept[number] = [box for box, _ in pairs]

    title = f"cutting crops of {folder.name}"
    paths = [str(frames[number]) for number in numbers]
    if faults := for_all(paths, work, title, reporter, host.cores()):
        message = f"{len(faults)} frames cannot be used:\n{listed([str(f) for f in faults])}"
        raise DataError(message, "unpack the sequence again")
    for number in numbers:
        yield from kept[number]


def _inside(box: Box, image: Picture.Image) -> tuple[int, int, int, int] | None:
    """Return the part of a box inside the frame, in whole pixels; None if too little remains."""
    left, top = max(round(box.left), 0), max(round(box.top), 0)
    right, bottom = min(round(box.right), image.width), min(round(box.bottom), image.height)
    short, long = sorted((right - left, bottom - top))
    usable = short >= NARROWEST and long <= LARGEST_ASPECT * short
    return (left, top, right, bottom) if usable else None


def _crop_name(box: Box) -> str:
    """Return the file name of a crop; one without track is named by its corners."""
    corners = "_".join(f"{corner:.3f}" for corner in box[2:])
    who = f"{box.track:06d}" if box.track != UNKNOWN else f"at_{corners}"
    return f"{who}_{box.frame:06d}.png"
