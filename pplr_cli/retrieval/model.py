"""A trained network for use: from weights to unit features."""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.data.augment import normalise
from pplr_cli.data.cache import Pixels
from pplr_cli.data.decode import Fault, as_rgb, decode, for_all, resize
from pplr_cli.engine import memory
from pplr_cli.engine.network import Network
from pplr_cli.engine.stream import extract_stream
from pplr_cli.engine.zoo import check_backbone
from pplr_cli.errors import DataError, UsageError
from pplr_cli.runtime import Runtime
from pplr_cli.text import listed
from pplr_cli.weights.fitting import fit_backbone, fit_network, is_backbone
from pplr_cli.weights.loading import StateDict, read_state_dict

Picture = str | PathLike[str] | Image.Image | NDArray[Any]
"""An image: a JPEG or PNG file, a PIL image, or an array [H, W] or [H, W, 3] (RGB), uint8 or
uint16."""


class Model(nn.Module):
    """Maps images to features whose Euclidean distance is small between images of one identity.

    Args:
        network: the network; evaluated, never trained, here.
        config: its settings.
        runtime: decoding threads, cache and reporter; the device follows the network's.
        about: what the weights file records of the training: mode, epoch, mAP, ...
    """

    def __init__(
        self, network: Network, config: Config, runtime: Runtime, about: dict[str, Any]
    ) -> None:
        super().__init__()
        self.network, self.config, self.about = network, config, about
        self._runtime = runtime
        self.eval()

    @classmethod
    def load(
        cls,
        path: Path,
        runtime: Runtime,
        preset: str | None = None,
        overrides: Sequence[str] = (),
    ) -> "Model":
        """Load a weights file: one of ours, an official one, or a backbone to train from.

        Args:
            path: the file.
            runtime: where the network runs.
            preset: its settings; by default those that the file records.
            overrides: settings as `key=value`.

        Raises:
            UsageError: the settings are wrong, or unknown.
            WeightsError: the file cannot be read, or has another architecture.
        """
        state = read_state_dict(path)
        config = _settings(state, preset, overrides)
        check_backbone(config.model.backbone, config.data.height, config.data.width)
        network = Network.of(config.model)
        if is_backbone(state, network.base):
            notes = (*fit_backbone(state, network.base), "a backbone, used as before training")
        else:
            notes = (*state.notes, *fit_network(state, network))
        for note in notes:
            runtime.reporter.info(f"`{path}`: {note}")
        return cls(network.to(runtime.device), config, runtime, state.about or {})

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.head("").weight.device

    @property
    def runtime(self) -> Runtime:
        """Where and how features are computed."""
        return replace(self._runtime, device=self.device)

    @property
    def distance_budget(self) -> int:
        """Bytes that a block of distances may take."""
        return memory.distance_block(memory.budget(self.config.engine.memory_gb))

    def forward(self, images: Tensor) -> Tensor:
        """Return L2-normalised features, float32 [B, D].

        Args:
            images: float32 [B, 3, H, W] as `preprocess` returns them.
        """
        return self.network.embed(images, parts=False)[0]

    def preprocess(self, images: Picture | Sequence[Picture]) -> Tensor:
        """Return images as the network expects them, float32 [N, 3, H, W], on its device.

        EXIF orientation is applied; 16-bit samples become 8-bit; images are resized (bicubic) to
        the size of `config.data` and normalised by ImageNet's mean and deviation.

        Raises:
            DataError: images cannot be decoded (all are listed).
        """
        return normalise(torch.from_numpy(self.decode(_as_list(images))).to(self.device))

    def embed(self, images: Picture | Sequence[Picture]) -> NDArray[np.float32]:
        """Return the L2-normalised features of any number of images, float32 [N, D].

        They are what `pplr search` compares: decoded as by `preprocess`, a few batches at a time.

        Raises:
            DataError: images cannot be decoded (all are listed).
        """
        pictures = _as_list(images)
        found = [torch.empty((1, 0, self.network.feature_size), device=self.device)]
        broken = extract_stream(
            self.network,
            len(pictures),
            lambda row: _opened(pictures[row]),
            self.config,
            self.runtime,
            found.append,
        )
        if broken:
            faults = [Fault(_name(pictures, row), error.message) for row, error in broken]
            raise _unusable(faults, len(pictures))
        return torch.cat(found, 1)[0].cpu().numpy()

    def decode(self, pictures: Sequence[Picture]) -> Pixels:
        """Return images as uint8 [N, H, W, 3], upright, in the size of `config.data`."""
        height, width = self.config.data.height, self.config.data.width
        pixels = np.empty((len(pictures), height, width, 3), np.uint8)

        def work(index: int) -> None:
            pixels[index] = resize(_opened(pictures[index]), height, width)

        names = [_name(pictures, row) for row in range(len(pictures))]
        runtime = self._runtime
        faults = for_all(names, work, "decoding images", runtime.reporter, runtime.workers)
        if faults:
            raise _unusable(faults, len(pictures))
        return pixels


def _settings(state: StateDict, preset: str | None, overrides: Sequence[str]) -> Config:
    """Return the settings of the preset if one is named, else those that the file records."""
    if preset is not None:
        return presets.resolve(preset, "train", overrides)
    recorded = (state.about or {}).get("settings")
    if recorded is None:
        raise UsageError(
            f"`{state.path}`: the file does not record its settings",
            f"name its preset with --preset: {', '.join(presets.names())}, or a file",
        )
    return presets.restore(recorded, str(state.path), overrides)


def _as_list(images: Picture | Sequence[Picture]) -> Sequence[Picture]:
    """Return one picture as a list; a batch array [N, H, W, 3] is a sequence already."""
    if isinstance(images, np.ndarray):
        return images if images.ndim == 4 else [images]  # type: ignore[return-value]
    return [images] if _is_path(images) or isinstance(images, Image.Image) else images  # type: ignore[return-value, list-item]


def _name(pictures: Sequence[Picture], row: int) -> str:
    return str(pictures[row]) if _is_path(pictures[row]) else f"image {row}"


def _unusable(faults: list[Fault], count: int) -> DataError:
    lines = listed([str(fault) for fault in faults])
    message = f"{len(faults)} of {count} images cannot be used:\n{lines}"
    return DataError(message, "replace or remove these files")


def _is_path(picture: object) -> bool:
    return isinstance(picture, str | PathLike)


def _opened(picture: Picture) -> Image.Image:
    """Return a picture as 8-bit RGB, upright."""
    if isinstance(picture, str | PathLike):
        return decode(Path(picture), upright=True)
    if isinstance(picture, np.ndarray):
        if picture.dtype not in (np.uint8, np.uint16):
            raise DataError(f"an array of {picture.dtype}; expected uint8 or uint16")
        picture = Image.fromarray(picture)
    try:
        return as_rgb(picture, upright=True)
    except OSError as error:  # PIL reads a file when its pixels are first needed
        raise DataError(str(error)) from error
