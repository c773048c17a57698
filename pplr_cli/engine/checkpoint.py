"""Saving weights: a plain state dict with the run's settings in the file's metadata."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pplr_cli.files import atomic_write
from pplr_cli.weights.loading import FORMAT, METADATA


def save_weights(network: nn.Module, path: Path, about: dict[str, Any]) -> None:
    """Write the state dict of `network`, with `about` in its metadata, atomically.

    The file is what `torch.load(path, weights_only=True)` and `load_state_dict` expect; `about`
    (plain values only) stands in the state dict's `_metadata`, which PyTorch keeps.
    """
    state: OrderedDict[str, Any] = network.state_dict()  # type: ignore[assignment]
    state._metadata[METADATA] = {"format": FORMAT, **about}  # type: ignore[attr-defined]
    with atomic_write(path) as file:
        torch.save(state, file)
