"""Everything that only a GPU can show, in one command of at most eight minutes.

    python -m benchmarks.gpu --json gpu.json
    python -m benchmarks.gpu --part step --part labels --budget 120

Needs no download. Parts, in this order: `agree` (golden numbers and the tests marked `gpu`),
`step` (a training step and its variants), `labels` (the label stage), `epoch` (an epoch of
Market-1501's size), `learn` (fp32 against bf16), `devices` (two cards). Each row is written when it
is measured; `--tiny --device cpu` runs the script itself on the smallest sizes.
"""

import argparse
import time
from pathlib import Path

from benchmarks import gpu_labels, gpu_runs, gpu_step
from benchmarks.gpu_report import Part, Report, head
from pplr_cli.runtime import choose_device

PARTS = {
    "agree": (gpu_runs.agree, 70.0),
    "step": (gpu_step.measure, 150.0),
    "labels": (gpu_labels.measure, 30.0),
    "epoch": (gpu_runs.epoch, 100.0),
    "learn": (gpu_runs.learn, 80.0),
    "devices": (gpu_runs.devices, 40.0),
}
"""Each part and its share of the time, in seconds of eight minutes; the next gets what is left."""


def main(arguments: list[str] | None = None) -> Report:
    options = parse(arguments)
    device = choose_device(options.device)
    report = Report(options.json, head(device))
    names = options.part or list(PARTS)
    end = time.monotonic() + options.budget
    for place, name in enumerate(names):
        work, share = PARTS[name]
        left = end - time.monotonic()
        following = sum(PARTS[other][1] for other in names[place:])
        part = Part(name, device, options.tiny, report, time.monotonic() + left * share / following)
        began = time.monotonic()
        with part.guarded(name, needs=1.0) as fits:
            if fits:
                work(part)
        part.row(what="seconds of the part", seconds=time.monotonic() - began)
    print(report.markdown())
    return report


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", action="append", choices=PARTS, help="repeatable; default: all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--budget", type=float, default=470.0, help="seconds in all")
    parser.add_argument("--json", type=Path, help="file for the rows; tables go beside it as .md")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: tests the script")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
