"""Where weights are taken from: their publisher, another web address, or a file at hand."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from pplr_cli.errors import WeightsError
from pplr_cli.files import check_space, naming
from pplr_cli.progress import Reporter
from pplr_cli.weights import drive
from pplr_cli.weights.catalogue import Entry, ImageNet
from pplr_cli.weights.download import transfer


class Source(Protocol):
    """A place to take weights from."""

    def bring(self, entry: Entry, part: Path, note: IO[str], reporter: Reporter) -> str:
        """Bring the file of `entry` to `part`; return what errors about its content call it.

        `note` is an open text file for what the next call shall know if this one is cut short.

        Raises:
            WeightsError: it is not to be had.
        """


@dataclass(frozen=True)
class Published:
    """Where the weights are published.

    Attributes:
        chosen: path in the authors' Drive folder, where the names there do not decide.
    """

    chosen: str | None = None

    def bring(self, entry: Entry, part: Path, note: IO[str], reporter: Reporter) -> str:
        """Download it from torchvision's server, or from the authors' Drive folder."""
        if isinstance(entry, ImageNet):
            return Web(entry.url).bring(entry, part, note, reporter)
        return drive.fetch(entry, part, reporter, self.chosen)


@dataclass(frozen=True)
class Web:
    """Another web address (`http` or `https`): a mirror."""

    url: str

    def bring(self, entry: Entry, part: Path, note: IO[str], reporter: Reporter) -> str:
        """Download it."""
        transfer(self.url, part, note, reporter, entry.way_out)
        return self.url


@dataclass(frozen=True)
class Local:
    """A file at hand, which stays as it is."""

    path: Path

    def bring(self, entry: Entry, part: Path, note: IO[str], reporter: Reporter) -> str:
        """Copy it."""
        if not self.path.is_file():
            what = "a folder, not a weights file" if self.path.is_dir() else "no such file"
            raise WeightsError(f"`{self.path}`: {what}", "check the path of the file")
        check_space(part.parent, self.path.stat().st_size, f"`{self.path}`")
        note.truncate(0)  # what stood at `part` is no download any more
        with naming(part):
            shutil.copyfile(self.path, part)
        return str(self.path)
