"""The weights that can be downloaded, their sources and their local files."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pplr_cli import env
from pplr_cli.config.starts import STARTS, Start, starts_of
from pplr_cli.weights.digest import check_sha256, holds_record

DRIVE_FOLDER = "1m5wDOJG7qk62PjkoOpTspNmk0nhLc4Vi"
"""Id of the Google Drive folder in which the authors of PPLR keep their weights."""
_DIGITS = re.compile(r"-([0-9a-f]{8,})\.pth$")
DRIVE_URL = f"https://drive.google.com/drive/folders/{DRIVE_FOLDER}"


@dataclass(frozen=True)
class Official:
    """Weights that the authors trained on one data set."""

    data_set: str
    camera: bool
    url: ClassVar[str] = DRIVE_URL
    backbone: ClassVar[str] = "resnet50"
    parts: ClassVar[int] = 3
    size: ClassVar[int] = 192_680_000
    """Bytes, about: those of the tensors. The folder's listing gives no sizes."""
    sha256: ClassVar[str] = ""
    licence: ClassVar[str | None] = None
    effect: ClassVar[str | None] = None

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
class StartFile:
    """Published weights of a backbone, to start from."""

    name: str  # the name in `pplr download-weights`
    backbone: str
    url: str  # the address of the file, or of the page that links to it
    file: str  # the name of the file
    size: int  # bytes, within a kilobyte; 0 = not published
    start: Start  # what is known about the weights

    @property
    def description(self) -> str:
        """One line for people."""
        return self.start.origin

    @property
    def licence(self) -> str:
        """The licence."""
        return self.start.licence

    @property
    def effect(self) -> str:
        """What PPLR, or another method, gains or loses."""
        return self.start.effect

    @property
    def sha256(self) -> str:
        """The first digits of the SHA-256, which are part of most file names; "" = unknown."""
        match = _DIGITS.search(self.file)
        return match[1] if match else ""

    @property
    def target(self) -> Path:
        """The local file: with a known SHA-256 where torch.hub keeps it (honours TORCH_HOME)."""
        hub = env.torch_home() / "hub" / "checkpoints"
        return (hub if self.sha256 else env.cache_dir() / "weights") / self.file

    @property
    def way_out(self) -> str:
        """The hint where the source cannot be reached."""
        return (
            f"fetch {self.url} elsewhere, then `pplr download-weights {self.name} --from-file "
            "FILE`; or train from other weights: `--set model.weights=FILE`, or `=random`"
        )

    def holds(self) -> bool:
        """Check the local file by its SHA-256; return False if none is published or recorded yet.

        Raises:
            WeightsError: the file has changed.
        """
        again = _fetch_again(self.name)
        if not self.sha256:
            return holds_record(self.target, again)
        check_sha256(self.target, self.sha256, str(self.target), again)
        return True


def _fetch_again(name: str) -> str:
    return f"fetch it again: `pplr download-weights {name} --force`"


Entry = Official | StartFile


def start_file(weights: str, backbone: str) -> StartFile:
    """Return the entry of a value of `model.weights`; a backbone's first has the plain name."""
    start = STARTS[weights]
    file, mib = start.files[backbone]
    first = starts_of(backbone)[0] == weights
    name = backbone if first and start.direct else f"{backbone}-{weights}"
    url = f"{start.source}/{file}" if start.direct else start.source
    return StartFile(name, backbone, url, file, int((mib or 0) * 2**20), start)


def everything() -> dict[str, Entry]:
    """Return everything that can be downloaded, by name."""
    starts = (start_file(name, each) for name, start in STARTS.items() for each in start.files)
    entries: tuple[Entry, ...] = (*OFFICIAL, *starts)
    return {entry.name: entry for entry in entries}
