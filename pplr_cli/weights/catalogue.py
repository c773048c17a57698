"""The weights that can be downloaded, their sources and their local files."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pplr_cli import env
from pplr_cli.config.backbones import IMAGENET, Backbone
from pplr_cli.weights.digest import check_sha256, holds_record

DRIVE_FOLDER = "1m5wDOJG7qk62PjkoOpTspNmk0nhLc4Vi"
"""Id of the Google Drive folder in which the authors of PPLR keep their weights."""
DRIVE_URL = f"https://drive.google.com/drive/folders/{DRIVE_FOLDER}"


@dataclass(frozen=True)
class Official:
    """Weights that the authors trained on one data set."""

    data_set: str
    camera: bool
    url: ClassVar[str] = DRIVE_URL
    backbone: ClassVar[Backbone] = "resnet50"
    parts: ClassVar[int] = 3
    size: ClassVar[int] = 192_680_000
    """Bytes, about: those of the tensors. The folder's listing gives no sizes."""

    @property
    def name(self) -> str:
        """The name in `pplr download-weights`."""
        return self.data_set + ("-cam" if self.camera else "")

    @property
    def description(self) -> str:
        """One line for people."""
        return f"official PPLR, {'with' if self.camera else 'without'} camera labels"

    @property
    def target(self) -> Path:
        """The local file."""
        return env.cache_dir() / "weights" / f"pplr-{self.name}.pth"

    @property
    def way_out(self) -> str:
        """The hint where the source cannot be reached."""
        return self.by_hand(DRIVE_URL)

    def by_hand(self, url: str) -> str:
        """Return the hint to use a browser."""
        save = f"save the file there, then `pplr download-weights {self.name} --from-file FILE`"
        return f"open {url} in a browser, {save}"

    def holds(self) -> bool:
        """Check the local file by its recorded SHA-256; return False if there is none yet.

        Raises:
            WeightsError: the file has changed.
        """
        return holds_record(self.target, _fetch_again(self.name))


OFFICIAL = tuple(
    Official(data_set, camera)
    for data_set in ("market", "msmt17", "veri")
    for camera in (False, True)
)


@dataclass(frozen=True)
class ImageNet:
    """Torchvision's ImageNet weights of a backbone, with which the official PPLR starts."""

    name: str
    url: str
    size: int
    """Bytes, within a kilobyte."""
    description: ClassVar[str] = "torchvision, ImageNet (IMAGENET1K_V1)"

    @property
    def sha256(self) -> str:
        """The first digits of the file's SHA-256, which torchvision puts into its name."""
        return self.url.rpartition("-")[2].removesuffix(".pth")

    @property
    def target(self) -> Path:
        """The local file, where torchvision itself looks for it (TORCH_HOME is honoured)."""
        return env.torch_home() / "hub" / "checkpoints" / self.url.rpartition("/")[2]

    @property
    def way_out(self) -> str:
        """The hint where the source cannot be reached."""
        return (
            f"fetch {self.url} elsewhere, then `pplr download-weights {self.name} --from-file "
            "FILE`; or train from other weights: `--set model.weights=FILE`, or `=random`"
        )

    def holds(self) -> bool:
        """Check the local file by the SHA-256 in its name; always True.

        Raises:
            WeightsError: the file has changed.
        """
        check_sha256(self.target, self.sha256, str(self.target), _fetch_again(self.name))
        return True


def _fetch_again(name: str) -> str:
    return f"fetch it again: `pplr download-weights {name} --force`"


Entry = Official | ImageNet


def imagenet(backbone: str) -> ImageNet:
    """Return the entry of a backbone with ImageNet weights."""
    entry = everything()[backbone]
    assert isinstance(entry, ImageNet)
    return entry


def everything() -> dict[str, Entry]:
    """Return everything that can be downloaded, by name."""
    backbones = (
        ImageNet(name, f"https://download.pytorch.org/models/{name}-{sha}.pth", int(mib * 2**20))
        for name, (sha, mib) in IMAGENET.items()
    )
    entries: tuple[Entry, ...] = (*OFFICIAL, *backbones)
    return {entry.name: entry for entry in entries}
