"""What a user asks to be prepared: the options of `pplr prepare`, checked together."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pplr_cli import env
from pplr_cli.data.manifest import FILE_NAME
from pplr_cli.errors import UsageError
from pplr_cli.ingest.crops import compile_pattern
from pplr_cli.ingest.layouts import FOLDER, KNOWN, MOT, SYNTHETIC
from pplr_cli.text import nearest

DEMO = "demo"
"""Name of the synthetic data set."""


@dataclass(frozen=True)
class PrepareRequest:
    """What shall be prepared, and how.

    Attributes:
        layout: one of `layouts.KNOWN`.
        sources: a folder, an archive, or the archives that a data set comes in; none looks in the
            data folder under the usual names, or checks what is prepared already.
        data_dir: the data folder; a source folder inside it is used where it is.
        name: the data set's name (default: the layout's, `demo` for `synthetic`).
        allow_partial: counts that differ from the published ones are a warning, not an error.
        link: use the source folder where it is instead of copying it.
        pattern: regular expression for identities, cameras, splits and tracks (layout `folder`).
        table: CSV file of identities, cameras, splits and tracks; in the layouts other than
            `folder`, of tracks alone.
        skip_bad: images that cannot be decoded are left out, not an error.
        boxes: the file of boxes of each sequence (layout `mot`, see `mot.cut_crops`).
        every: frames from one that is read to the next (layout `mot`).

    Raises:
        UsageError: options that do not go together.
    """

    layout: str
    sources: Sequence[Path]
    data_dir: Path
    name: str | None = None
    allow_partial: bool = False
    link: bool = False
    pattern: str | None = None
    table: Path | None = None
    skip_bad: bool = False
    boxes: Path | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if self.layout not in KNOWN:
            raise UsageError(f"`{self.layout}`: no such layout", self._instead_of_layout)
        if self.layout == SYNTHETIC and self.sources:
            raise UsageError("`synthetic` is drawn, it takes no SOURCE", "leave SOURCE out")
        if self.layout != MOT and (self.boxes is not None or self.every != 1):
            raise UsageError("`--boxes` and `--every` go with the layout `mot`", "leave them out")
        if self.layout == MOT and (self.link or self.table is not None):
            raise UsageError("`--link` and `--csv` do not go with `mot`", "leave them out")
        if self.layout != FOLDER and self.pattern is not None:
            raise UsageError("`--pattern` goes with the layout `folder` only", "leave it out")
        if len(self._labelling) > 1:
            raise UsageError("`--pattern` and `--csv` do the same", "leave one of them out")
        if not self.sources and (self.link or self._labelling):
            option = "--link" if self.link else self._labelling[0]
            raise UsageError(f"`{option}` needs a SOURCE folder", "name the folder")
        if self.pattern is not None:
            compile_pattern(self.pattern)
        if self.name is not None:
            check_name(self.name)

    @property
    def _instead_of_layout(self) -> str:
        """What may have been meant by an unknown layout."""
        if (self.data_dir / self.layout / FILE_NAME).is_file():
            return f"`pplr prepare {self.layout} --check` checks the data set of that name"
        if self.layout == DEMO:
            return f"`pplr prepare {SYNTHETIC}` draws the data set of that name"
        return nearest(self.layout, KNOWN)

    @property
    def _labelling(self) -> list[str]:
        """The options given that say who and where the images are."""
        given = {"--pattern": self.pattern, "--csv": self.table}
        return [option for option, value in given.items() if value is not None]

    @property
    def fault_list(self) -> Path:
        """The file that names all broken images, if there are any."""
        return self.folder.with_name(f"{self.folder.name}.bad.txt")

    @property
    def folder(self) -> Path:
        """The folder that the data set gets."""
        return self.data_dir / (self.name or (DEMO if self.layout == SYNTHETIC else self.layout))

    def command(self, *more: str) -> str:
        """Return the request as a command line, with `more` options."""
        words = ["pplr", "prepare", self.layout]
        words += map(str, self.sources)
        words += ["--name", self.name] if self.name is not None else []
        words += ["--data-dir", str(self.data_dir)] if self.data_dir != env.data_dir() else []
        words += ["--link"] if self.link else []
        words += ["--pattern", self.pattern] if self.pattern is not None else []
        words += ["--csv", str(self.table)] if self.table is not None else []
        words += ["--allow-partial"] if self.allow_partial else []
        words += ["--skip-bad"] if self.skip_bad else []
        words += ["--boxes", str(self.boxes)] if self.boxes is not None else []
        words += ["--every", str(self.every)] if self.every != 1 else []
        return shlex.join([*words, *more])


def check_name(name: str) -> None:
    """Check a data set's name, which is the name of a folder; `UsageError` if it is none."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        hint = "letters, digits, `.`, `_` and `-`, no `.` or `-` at the start"
        raise UsageError(f"`{name}`: not a name for a data set", hint)
