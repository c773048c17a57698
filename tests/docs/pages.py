"""Read the pages under docs/ and run their commands at tiny size."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

from pplr_cli.app import run
from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest

DOCS = Path(__file__).parents[2] / "docs"
SMALL = (
    "data.height=32", "data.width=16", "model.backbone=tiny", "model.weights=synthetic",
    "clustering.k1=8", "clustering.k2=3", "clustering.eps=0.6", "agreement.k=8",
    "batch.size=16", "batch.replicas=2", "optim.epochs=1", "optim.iters=2",
)  # fmt: skip
"""Settings for small synthetic crops and a short run; the rest of a command stays as it is."""


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Return the contents of the fenced blocks of a language ("" = blocks that name none)."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)


def follow(command: str) -> int:
    """Run a command of a page in this process, training at tiny size; return its exit code."""
    program, *words = shlex.split(command)
    assert program == "pplr"
    if words[0].startswith("train"):
        words += [word for setting in SMALL for word in ("--set", setting)]
    return run(words)


def plant_demo(tiny_data: Path, data_dir: Path) -> None:
    """Put the tiny data set into a data folder as `demo`, with two queries to draw."""
    shutil.copytree(tiny_data / "tiny", data_dir / "demo")
    folder = data_dir / "demo"
    manifest = Manifest.load(folder / "manifest.json")
    queries = [image for image in manifest.images if image.split == Split.QUERY]
    images = tuple(image for image in manifest.images if image not in queries[2:])
    replace(manifest, name="demo", images=images).save(folder)
