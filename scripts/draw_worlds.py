"""Draw the synthetic worlds of docs/health.md: the same people, cameras that differ more and more.

`python scripts/draw_worlds.py DATA_DIR` writes the data sets `easy`, `harsh`, `harsher` and
`harshest`; `pplr train --preset demo --data harsh --data-dir DATA_DIR` trains on one.
"""

import sys
from dataclasses import replace
from pathlib import Path

from pplr_cli.data.manifest import Manifest
from pplr_cli.synthetic.world import DEMO, make
from pplr_cli.terminal.console import Console

SMALL = replace(DEMO, train_people=60, test_people=30, distractors=0)
WORLDS = {
    "easy": SMALL,
    "harsh": replace(SMALL, rendering=1.0),
    "harsher": replace(SMALL, rendering=2.0),
    "harshest": replace(SMALL, rendering=3.0, turn=0.9),
}


def main() -> None:
    data_dir = Path(sys.argv[1])
    for name, world in WORLDS.items():
        root = data_dir / name / "images"
        images = make(root, world, seed=0, reporter=Console())
        Manifest(name, "synthetic", root, tuple(images), {}).save(data_dir / name)


if __name__ == "__main__":
    main()
