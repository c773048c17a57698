"""The parts of `benchmarks.gpu` that run whole commands: agree, epoch, learn, devices."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch

from benchmarks.gpu_data import TINY_MARKET, Market, fast_folder, make_market, tiny_demo
from benchmarks.gpu_report import Part
from pplr_cli import host

ROOT = Path(__file__).parents[1]
FOLDERS = ("engine", "labelling", "retrieval", "data")


def agree(part: Part) -> None:
    """Run the golden tests and those marked `gpu`: this card against the CPU and the release."""
    folders = [f"tests/{name}" for name in FOLDERS]
    command = [sys.executable, "-m", "pytest", *folders, "-m", "gpu", "-q", "-rA"]
    command += ["-o", "filterwarnings=default", "-p", "no:cacheprovider"]
    if part.tiny:
        command += ["--collect-only"]
    start = time.monotonic()
    limit = ["timeout", "--signal=INT", f"{max(1.0, part.left):.0f}"]
    done = subprocess.run(
        [*limit, *command], cwd=ROOT, capture_output=True, text=True, check=False, env=environment()
    )
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines()
    part.row(what="tests", result=lines[-1] if lines else "", seconds=time.monotonic() - start)
    passed = re.findall(r"^PASSED tests/(\S+?)\.py::", done.stdout, re.MULTILINE)
    for name, count in Counter(passed).items():
        part.row(what=f"tests of {name}", passed=count)
    for line in lines:
        if line.startswith(("FAILED", "ERROR", "E  ")) or "Warning: " in line:
            part.row(failed=line[:300])


def epoch(part: Part) -> None:
    """Train two epochs of Market-1501's size on made-up images, with one evaluation."""
    with tempfile.TemporaryDirectory(dir=fast_folder()) as name:
        folder = Path(name)
        start = time.monotonic()
        make_market(folder / "data" / "bench", TINY_MARKET if part.tiny else Market())
        part.row(what="drawing the images", seconds=time.monotonic() - start)
        for precision in ("bf16",) if part.tiny else ("bf16", "fp32"):
            with part.guarded(f"epoch, {precision}", needs=0 if part.tiny else 60) as fits:
                if fits:
                    one_epoch(part, folder, precision)


def one_epoch(part: Part, folder: Path, precision: str) -> None:
    """Run `pplr train` and add its seconds by stage, and what 50 epochs would take."""
    settings = ["model.weights=random", "clustering.eps=0.4", "optim.epochs=2"]
    settings += ["evaluation.every=2"]
    if part.tiny:
        settings += ["model.backbone=tiny", "data.height=32", "data.width=16", "batch.size=16"]
        settings += ["optim.iters=2", "clustering.k1=8", "agreement.k=6", "optim.epochs=1"]
    command = ["--preset", "market", "--data", "bench", "--precision", precision]
    start = time.monotonic()
    rows = train(part, folder, f"epoch-{precision}", command, settings)
    wall = time.monotonic() - start
    if not rows:
        return
    last = {k.removeprefix("seconds_"): v for k, v in rows[-1].items() if "seconds_" in k}
    images = (2 * 16 if part.tiny else 400 * 64) / last["train"]
    stages = {k: v for k, v in last.items() if "_" not in k}
    epoch_seconds = sum(v for k, v in stages.items() if k != "evaluate")
    evaluation = stages.get("evaluate", 0.0)
    part.row(
        what=f"epoch {len(rows)}, {precision}", seconds=epoch_seconds, bar=20.0, images_s=images,
        evaluate_s=evaluation, wall_s=wall, clusters=rows[-1]["clusters"],
        fifty_epochs_min=(50 * epoch_seconds + 10 * evaluation) / 60, bar_min=15.0,
    )  # fmt: skip
    for row in rows:
        seconds = {k.removeprefix("seconds_"): v for k, v in row.items() if "seconds_" in k}
        part.row(what=f"seconds of epoch {row['epoch']}, {precision}", **seconds)


class Lesson(NamedTuple):
    """A run whose final mAP is compared between precisions."""

    name: str
    settings: tuple[str, ...]


LESSONS = (
    Lesson("demo", ()),
    Lesson("resnet18", ("model.backbone=resnet18", "model.weights=random", "optim.lr=3.5e-4")),
)
QUICK = ("optim.iters=2", "optim.epochs=1", "data.height=32", "data.width=16")


def learn(part: Part) -> None:
    """Train the demo and a resnet18 in fp32 and bf16, two seeds each, all at the same time."""
    lessons = LESSONS[:1] if part.tiny else LESSONS
    seeds = (1,) if part.tiny else (1, 2)
    with tempfile.TemporaryDirectory(dir=fast_folder()) as name:
        folder = Path(name)
        if part.tiny:
            tiny_demo(folder / "data" / "demo")
        else:
            command = ["prepare", "synthetic", "--data-dir", str(folder / "data"), "-q"]
            subprocess.run([sys.executable, "-m", "pplr_cli", *command], check=False, cwd=ROOT)
        keys = [(x, p, s) for x in lessons for p in ("fp32", "bf16") for s in seeds]
        threads = max(1, host.cores() // len(keys))

        def one(key: tuple[Lesson, str, int]) -> list[dict[str, Any]]:
            lesson, precision, seed = key
            settings = [*lesson.settings, *(QUICK if part.tiny else ())]
            command = ["--preset", "demo", "--seed", str(seed), "--precision", precision]
            command += ["--workers", str(threads)]
            name = f"{lesson.name}-{precision}-{seed}"
            return train(part, folder, name, command, settings, threads)

        with ThreadPoolExecutor(len(keys)) as pool:
            rows = dict(zip(keys, pool.map(one, keys), strict=True))
    for lesson in lessons:
        final = {}
        for precision in ("fp32", "bf16"):
            found = [rows[lesson, precision, seed] for seed in seeds]
            scores = [100 * each[-1]["mAP"] for each in found if each]
            final[precision] = fmean(scores) if scores else float("nan")
            part.row(
                what=f"{lesson.name}, {precision}: mAP at the end, by seed",
                scores=[round(score, 2) for score in scores],
                epochs=[each[-1]["epoch"] for each in found if each],
                start=round(100 * found[0][0].get("mAP", 0.0), 2) if found[0] else None,
            )
        part.row(what=f"{lesson.name}: bf16 - fp32, points", value=final["bf16"] - final["fp32"])


def devices(part: Part) -> None:
    """Train on two cards; kill one of the processes and see the run end."""
    cards = torch.cuda.device_count() if part.device.type == "cuda" else 0
    if cards < 2:
        part.row(what="--devices 2", skipped=f"{cards} cards")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = ["--preset", "demo", "--devices", "2"]
        rows = train(part, folder, "two", command, ["optim.epochs=2"])
        part.row(what="--devices 2", mAP=rows[-1]["mAP"] if rows else None)
        start = time.monotonic()
        running = subprocess.Popen(
            [sys.executable, "-m", "pplr_cli", "train", *command, "--run-dir",
             str(folder / "killed"), "--data-dir", str(folder / "data")],
            cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while part.left > 30 and not (folder / "killed" / "metrics.jsonl").exists():
            time.sleep(1)
        killed = time.monotonic()
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        _, told = running.communicate(timeout=max(1.0, part.left))
        part.row(
            what="a killed rank ends the run", code=running.returncode,
            seconds=time.monotonic() - killed, begun_s=killed - start,
            told=told.strip().splitlines()[-1][:200] if told.strip() else "",
        )  # fmt: skip


def train(
    part: Part, folder: Path, name: str, command: list[str], settings: list[str], threads: int = 0
) -> list[dict[str, Any]]:
    """Run `pplr train` until the part's deadline; return the rows that it recorded.

    `threads` limits the cores that it uses; 0 = all.
    """
    run = folder / name
    words = ["train", *command, "--data-dir", folder / "data", "--run-dir", run, "-q"]
    words += ["--device", part.device.type, *(f"--set={setting}" for setting in settings)]
    began = subprocess.run(
        ["timeout", "--signal=KILL", f"{max(1.0, part.left):.0f}", sys.executable, "-m",
         "pplr_cli", *map(str, words)],
        cwd=ROOT, env=environment(folder / "cache", threads),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if began.returncode:
        told = re.sub(r"\s+", " ", began.stderr)[-300:]
        part.row(what=f"pplr train, {name}", code=began.returncode, told=told)
    metrics = run / "metrics.jsonl"
    lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
    return [json.loads(line) for line in lines]


def environment(cache: Path | None = None, threads: int = 0) -> dict[str, str]:
    """Return the environment of a command: this project first on the path, a cache of its own."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    own = {"PPLR_CACHE_DIR": str(cache)} if cache is not None else {}
    if threads:
        own |= {"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    return {**os.environ, "PYTHONPATH": path, **own}
