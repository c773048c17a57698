"""Time and peak memory of `pplr prepare folder --link` on very many small files, and again.

    python -m benchmarks.many_files --images 50000 --folder /tmp/many

The files are one JPEG with a comment that differs, 3 to 6 KB each, written before the clock starts.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest

IN_A_FOLDER = 1000
"""Images of a folder."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, required=True, help="new, deleted at the end")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    os.environ["PPLR_CACHE_DIR"] = str(options.folder / "cache")
    try:
        start = time.perf_counter()
        draw(options.folder / "crops", options.images)
        print(f"{options.images:,} files written in {time.perf_counter() - start:.1f} s")
        prepare = ["prepare", "folder", "crops", "--link", "--name", "many", "--pattern"]
        prepare += [r"(?P<identity>\d+)_c(?P<camera>\d+)"]
        for title, words in (
            ("prepare folder --link", prepare),
            ("the same again", prepare),
            ("prepare --check", ["prepare", "many", "--check"]),
        ):
            report(title, words, options.folder)
        report_manifest(options.folder)
    finally:
        shutil.rmtree(options.folder)


def draw(folder: Path, images: int) -> None:
    """Write the images, 1,000 in each folder, two a camera and 20 an identity."""
    rng, plain = np.random.default_rng(0), io.BytesIO()
    small = rng.integers(0, 256, (16, 8, 3), dtype=np.uint8)
    Image.fromarray(small).resize((64, 128)).save(plain, "JPEG", quality=90)
    start, rest = plain.getvalue()[:2], plain.getvalue()[2:]
    sizes = rng.integers(3000, 6000, images) - len(plain.getvalue())
    for number, size in enumerate(sizes):
        parent = folder / f"{number // IN_A_FOLDER:04d}"
        if number % IN_A_FOLDER == 0:
            parent.mkdir(parents=True)
        text = f"{number}".encode().ljust(max(10, int(size) - 4))
        comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
        name = f"{number // 20:06d}_c{number // 2 % 10}_{number:07d}.jpg"
        (parent / name).write_bytes(start + comment + rest)


def report(title: str, words: list[str], folder: Path) -> None:
    """Run a command of pplr; print its seconds, CPU seconds and peak memory."""
    command = [sys.executable, "-m", "pplr_cli", *words, "--data-dir", "data"]
    paths = str(Path.cwd()), os.environ.get("PYTHONPATH")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    _, code, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    print(
        f"{title}: {seconds:.1f} s, CPU {usage.ru_utime:.1f} + {usage.ru_stime:.1f} s, "
        f"peak {usage.ru_maxrss / 1e6:.2f} GB"
    )
    if code:
        sys.exit(errors)


def report_manifest(folder: Path) -> None:
    """Print the seconds of reading the manifest and its training images, and its size."""
    path = folder / "data" / "many" / "manifest.json"
    start = time.perf_counter()
    manifest = Manifest.load(path)
    read = time.perf_counter() - start
    images = manifest.split(Split.TRAIN)
    seconds = time.perf_counter() - start
    size = path.stat().st_size / 1e6
    print(f"manifest of {len(images):,} images, {size:.0f} MB: {read:.1f} s")
    print(f"its training images in columns: {seconds - read:.1f} s more")


if __name__ == "__main__":
    main()
