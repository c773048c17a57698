"""Where weights are taken from: their publisher, another web address, or a local file."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pplr_cli.errors import WeightsError
from pplr_cli.files import check_space, naming
from pplr_cli.progress import Reporter
from pplr_cli.weights import drive
from pplr_cli.weights.catalogue import Entry, Official
from pplr_cli.weights.download import Transfer


@dataclass(frozen=True)
class Source:
    """A place to take weights from; without arguments the place where they are published.

    Attributes:
        url: another web address (`http` or `https`), such as a mirror.
        file: a local file, which is copied.
        drive_file: path in the authors' Drive folder, if the names there are ambiguous.
    """

    url: str | None = None
    file: Path | None = None
    drive_file: str | None = None

    def bring(self, entry: Entry, part: Path, note: IO[str], reporter: Reporter) -> str:
        """Bring the file of `entry` to `part`; return what errors about its content call it.

        `note` is an open text file of what the next call must know if this one is interrupted.

        Raises:
            WeightsError: the source cannot be reached, or has no such file.
        """
        if self.file is not None:
            note.truncate(0)  # `part` is no download any more
            _copy(self.file, part)
            return str(self.file)
        if self.url is None and isinstance(entry, Official):
            return drive.fetch(entry, part, reporter, self.drive_file)
        url = self.url or entry.url
        Transfer(url, entry.way_out, reporter).to(part, note)
        return url


def _copy(file: Path, part: Path) -> None:
    if not file.is_file():
        what = "a folder, not a weights file" if file.is_dir() else "no such file"
        raise WeightsError(f"`{file}`: {what}", "check the path of the file")
    check_space(part.parent, file.stat().st_size, f"`{file}`")
    with naming(part):
        shutil.copyfile(file, part)
