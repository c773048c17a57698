"""Fixtures that several test packages share."""

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder of golden numbers: PPLR_GOLDEN_DIR, else our own copy."""
    return Path(os.environ.get("PPLR_GOLDEN_DIR") or Path(__file__).parent / "golden")


@pytest.fixture(scope="session")
def golden_rng(golden_dir: Path) -> Callable[[str], np.random.Generator]:
    """The generator of random numbers behind a tag of the golden set (tests/golden/README.md)."""
    seed = json.loads((golden_dir / "meta.json").read_text())["seed"]

    def generator(tag: str) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(zlib.crc32(f"{seed}:{tag}".encode())))

    return generator
