"""Time complete epochs of `pplr train` by stage, and compare the scores of bf16 and fp32.

    python -m benchmarks.epoch --device cuda --precision fp32 bf16
    python -m benchmarks.epoch --images 300 --backbone tiny --height 96 --width 48 --iters 20
    python -m benchmarks.epoch --scores --precision fp32 bf16

The first two train from random weights, on as many synthetic pedestrians as Market-1501 has images:
for times, not scores. `--scores` runs the preset `demo` at each precision and compares mAP.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pplr_cli.data.manifest import Manifest
from pplr_cli.progress import Silent
from pplr_cli.synthetic import world

IMAGES_OF_A_PERSON = 17
STAGES = "seconds_"


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PPLR_CACHE_DIR"] = f"{folder}/cache"
        runs = {p: train(p, Path(folder), options) for p in options.precision}
    for precision, rows in runs.items():
        (report_scores if options.scores else report_times)(precision, rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12936, help="N, roughly")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--height", type=int, default=384)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--iters", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=3, help="the first one warms up")
    parser.add_argument("--eps", type=float, default=0.4, help="random weights: above, one cluster")
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=["fp32", "bf16"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--devices", type=int, help="processes; default: as `pplr train` has it")
    parser.add_argument("--scores", action="store_true", help="the demo's mAP at each precision")
    return parser.parse_args()


def train(precision: str, folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run `pplr train` and return its metrics, one row an epoch."""
    data, run = folder / "data", folder / precision
    settings = [] if options.scores else made_up(data, options)
    preset = "demo" if options.scores else "market"
    command = ["train", "--preset", preset, "--data-dir", data, "--run-dir", run, *settings]
    command += ["--precision", precision, "--device", options.device]
    if options.devices:
        command += ["--devices", options.devices]
    subprocess.run([sys.executable, "-m", "pplr_cli", *map(str, command)], check=True)
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def made_up(data: Path, options: argparse.Namespace) -> list[str]:
    """Draw the pedestrians unless they are there, and return the options that train on them."""
    if not (data / "bench").is_dir():
        people = max(20, options.images // IMAGES_OF_A_PERSON)
        size = world.World(
            stream=7, train_people=people, test_people=4, cameras=6, height=128, width=64
        )
        root = data / "bench" / "images"
        images = world.make(root, size, seed=0, reporter=Silent())
        Manifest("bench", "synthetic", root, tuple(images), {}).save(data / "bench")
    settings = {
        "data.height": options.height,
        "data.width": options.width,
        "model.backbone": options.backbone,
        "model.weights": "random",
        "clustering.eps": options.eps,
        "batch.size": options.batch,
        "batch.replicas": options.replicas,
        "optim.iters": options.iters,
        "optim.epochs": options.epochs,
        "evaluation.every": options.epochs,
    }
    return ["--data", "bench", *(f"--set={key}={value}" for key, value in settings.items())]


def report_times(precision: str, rows: list[dict[str, Any]]) -> None:
    """Print the seconds of each stage of the epochs after the first."""
    measured = [row for row in rows if row["epoch"] > 1] or rows[-1:]
    keys = [key for key in measured[0] if key.startswith(STAGES)]
    print(f"{precision}: {measured[0]['images']} images, {measured[0]['clusters']} clusters")
    for key in keys:
        seconds = sum(row[key] for row in measured) / len(measured)
        print(f"  {key.removeprefix(STAGES):20} {seconds:9.2f} s")
    print("  (`<stage>_<part>` is a part of `<stage>`)")


def report_scores(precision: str, rows: list[dict[str, Any]]) -> None:
    """Print mAP before the first and after the last epoch."""
    scores = [100 * row["mAP"] for row in rows if "mAP" in row]
    print(f"{precision}: mAP {scores[0]:.2f} -> {scores[-1]:.2f}")


if __name__ == "__main__":
    main()
