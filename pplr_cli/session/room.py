"""Check before a run starts that this machine has the memory and disk space that it takes.

Refused is what exceeds all memory of the machine (or of its container) or the free disk space; what
exceeds only the memory that is free now is a warning. Estimates leave out the interpreter and its
libraries, some 0.5 GB.
"""

import shutil
from collections.abc import Iterable
from math import lcm
from pathlib import Path

from pplr_cli import env, host
from pplr_cli.config.fields import Config
from pplr_cli.errors import PplrError
from pplr_cli.progress import Reporter
from pplr_cli.session.plan import Needs
from pplr_cli.text import sized

WITHOUT = "leave out `--no-cache`, or `--set data.cache=compact` instead of `none`"
FEWER = "use fewer images, or a machine with more memory"


def check_room(needs: Needs, folder: Path, reporter: Reporter) -> None:
    """Check that a run fits into memory and on the disks; warn if too little memory is free now.

    Args:
        needs: what the run takes.
        folder: the run folder.
        reporter: gets the warning.

    Raises:
        PplrError: it does not fit; the hint names the setting that makes it fit.
    """
    _check_disks(needs, folder)
    has, peak = host.memory(), needs.memory.peak
    stage, taken = max(peak.items(), key=lambda item: item[1])
    free, total = has["free"], has["total"]
    what = f"{stage} takes about {sized(taken)} of memory"
    if 0 < total < taken:
        hint = _memory_hint(needs, total, stage)
        raise PplrError(f"{what}, this machine has {sized(total)}", hint)
    if 0 < free < taken:
        hint = _memory_hint(needs, free, stage)
        reporter.warn(f"{what}, {sized(free)} are free now", f"end other programs, or {hint}")


def _memory_hint(needs: Needs, room: int, stage: str) -> str:
    """Return the setting that makes the largest part of a stage smaller."""
    memory, config = needs.memory, needs.config
    parts = {"images": memory.images, "network": memory.network}
    parts |= memory.parts(stage)
    largest = max(parts, key=lambda part: parts[part])
    if largest == "batch":
        batch = config.batch
        unit = lcm(batch.instances, batch.replicas)
        fits = batch.size * (room - sum(parts.values()) + memory.batch) // memory.batch // unit
        if fits * unit >= 2 * max(batch.instances, batch.replicas):
            return f"`--set batch.size={fits * unit}` takes less (results differ)"
    hints = {
        "images": WITHOUT,
        "features": FEWER if needs.disk.features else f"`--set clustering.features=disk`; {FEWER}",
        "evaluation": "set `engine.memory_gb` lower",
        "label_stage": f"lower `clustering.k1` (results differ); {FEWER}",
    }
    return hints.get(largest, "choose a smaller `model.backbone` or `data.height`")


def _check_disks(needs: Needs, folder: Path) -> None:
    """Check the free space of the cache folder and the run folder, which may share a disk."""
    cache, disk = env.cache_dir(), needs.disk
    cached, states = _bytes((cache / "images").glob("*.*")), _bytes(folder.glob("*.pt"))
    wanted = [
        (cache, max(disk.images - cached, 0), "the images in the cache"),
        (cache, disk.features, "the features"),
        (folder, max(disk.states - states, 0), "states and weights"),
    ]
    by_disk: dict[int, list[tuple[Path, int, str]]] = {}
    for path, size, what in wanted:
        there = next(each for each in (path, *path.absolute().parents) if each.is_dir())
        by_disk.setdefault(there.stat().st_dev, []).append((there, size, what))
    for parts in by_disk.values():
        total, free = sum(size for _, size, _ in parts), shutil.disk_usage(parts[0][0]).free
        if total > free:
            where, size, what = max(parts, key=lambda part: part[1])
            raise PplrError(
                f"`{where}`: the run takes about {sized(total)} of disk space ({what} "
                f"{sized(size)}), {sized(free)} are free",
                _disk_hint(what, needs.config),
            )


def _disk_hint(what: str, config: Config) -> str:
    if what == "states and weights":
        return "make room there, or choose another --run-dir"
    compact = what == "the images in the cache" and config.data.cache == "pixels"
    other = "`--set data.cache=compact` takes less; " if compact else ""
    return f"{other}make room there, or move the cache with PPLR_CACHE_DIR"


def _bytes(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)
