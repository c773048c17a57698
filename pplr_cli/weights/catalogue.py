"""What can be downloaded, from where, and where it is put."""

import re
from dataclasses import dataclass
from pathlib import Path

from pplr_cli import env

DRIVE_FOLDER = "1m5wDOJG7qk62PjkoOpTspNmk0nhLc4Vi"
"""Id of the Google Drive folder in which the authors of PPLR keep their weights."""
DRIVE_URL = f"https://drive.google.com/drive/folders/{DRIVE_FOLDER}"

BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


@dataclass(frozen=True)
class Official:
    """Weights that the authors trained on one data set."""

    data_set: str
    camera: bool

    @property
    def name(self) -> str:
        """What `pplr download-weights` calls it."""
        return self.data_set + ("-cam" if self.camera else "")

    @property
    def description(self) -> str:
        """One line for people."""
        return f"official PPLR, {'with' if self.camera else 'without'} camera labels"

    @property
    def target(self) -> Path:
        """The local file."""
        return env.cache_dir() / "weights" / f"pplr-{self.name}.pth"


OFFICIAL = tuple(
    Official(data_set, camera)
    for data_set in ("market", "msmt17", "veri")
    for camera in (False, True)
)


@dataclass(frozen=True)
class ImageNet:
    """Torchvision's ImageNet weights of a backbone, the ones the official PPLR starts from."""

    name: str
    url: str

    @property
    def description(self) -> str:
        """One line for people."""
        return "torchvision, ImageNet (IMAGENET1K_V1)"

    @property
    def sha256(self) -> str:
        """How the SHA-256 of the file begins; torchvision puts it into the file's name."""
        match = re.search(r"-([0-9a-f]{8,})\.", self.url)
        assert match is not None
        return match[1]

    @property
    def target(self) -> Path:
        """The local file, where torchvision itself looks for it (TORCH_HOME is honoured)."""
        import torch

        return Path(torch.hub.get_dir()).expanduser() / "checkpoints" / self.url.rpartition("/")[2]


def imagenet(backbone: str) -> ImageNet:
    """Return the entry of one of `BACKBONES`."""
    from torchvision.models import get_model_weights

    return ImageNet(backbone, get_model_weights(backbone)["IMAGENET1K_V1"].url)


def everything() -> dict[str, Official | ImageNet]:
    """Return all that can be downloaded, by name."""
    entries: tuple[Official | ImageNet, ...] = (*OFFICIAL, *map(imagenet, BACKBONES))
    return {entry.name: entry for entry in entries}
