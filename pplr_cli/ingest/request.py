"""What a user asks to be prepared: the options of `pplr prepare`, checked together."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from pplr_cli import env
from pplr_cli.config.options import argument, option, words
from pplr_cli.data.manifest import FILE_NAME
from pplr_cli.errors import UsageError
from pplr_cli.ingest.crops import compile_expression, compile_pattern, parse_split_names
from pplr_cli.ingest.layouts import FOLDER, KNOWN, MOT, SYNTHETIC
from pplr_cli.text import nearest

DEMO = "demo"
"""Name of the synthetic data set."""
CAMERA_FOLDERS = "^(?P<camera>[^/]+)/"
"""The pattern of crops with one folder per camera."""


@dataclass(frozen=True)
class PrepareRequest:
    """What `pplr prepare` was asked to do; each field declares its option.

    A source folder inside `data_dir` is used in place. Without sources, a known data set is looked
    for in the data folder, and a prepared one is checked.

    Raises:
        UsageError: options that exclude each other.
    """

    layout: str = argument(
        ...,
        "market, msmt17, veri, duke, cuhk03, personx, mars, vehicleid[-1600|-2400], "
        "veriwild[-5000|-10000], folder (plain crops), mot (video sequences) or synthetic (drawn); "
        "with --check the name of a data set.",
        "LAYOUT",
    )
    sources: tuple[Path, ...] = argument(
        (),
        "Archive (zip, tar, tar.gz), several if the data set has parts, or a folder (default: "
        "found in the data folder).",
        "SOURCE",
    )
    data_dir: Path = field(default_factory=env.data_dir)
    name: str | None = option(
        None, "Name of the data set (default: the layout's; synthetic: demo)."
    )
    allow_partial: bool = option(False, "Accept counts that differ from the published ones.")
    link: bool = option(False, "Use the SOURCE folder in place, do not copy it.")
    pattern: str | None = option(
        None,
        "For `folder`: regular expression searched in each path; optional groups identity, camera, "
        "split, track, frame or time.",
        metavar="REGEX",
    )
    table: Path | None = option(
        None,
        "A table with the columns path, camera, identity, split, track, frame or time; other "
        "layouts than `folder` take the tracks from it.",
        "--csv",
        metavar="FILE",
    )
    skip_bad: bool = option(False, "Leave out unusable images.")
    boxes: Path | None = option(
        None,
        "For `mot`: the file of boxes in each sequence, or a folder with `<sequence>.txt`, e.g. a "
        "tracker's results (default: gt/gt.txt, or det/det.txt).",
        metavar="FILE",
    )
    skip: str | None = option(
        None, "For `folder`: leave out images whose path matches.", metavar="REGEX"
    )
    split_names: str | None = option(
        None,
        "For `folder`: other names of splits, as in `train_all=train,probe=query`.",
        metavar="NAME=SPLIT,...",
    )
    test_share: float | None = option(
        None,
        "For `folder`: make query and gallery of about this share of the identities.",
        metavar="SHARE",
        min=0,
        max=1,
    )
    update: bool = option(
        False,
        "For `folder`: add, replace and drop what changed in SOURCE; for `mot`: add sequences, or "
        "cut them again. The rest and all numbers of identities stay.",
    )
    every: int = option(1, "For `mot`: read every N-th frame.", metavar="N", min=1)

    def __post_init__(self) -> None:
        if self.layout not in KNOWN:
            raise UsageError(f"`{self.layout}`: no such layout", self._instead_of_layout)
        folder, mot, cut = self.layout == FOLDER, self.layout == MOT, self.boxes or self.every != 1
        of_folder: dict[str, object] = {"--pattern": self.pattern, "--skip": self.skip}
        of_folder |= {"--split-names": self.split_names, "--test-share": self.test_share}
        needy = {"--link": self.link, "--update": self.update, **of_folder, "--csv": self.table}
        first, own = (
            next((option for option, value in options.items() if value), None)
            for options in (needy, of_folder)
        )
        them, it = "leave them out", "leave it out"
        for wrong, message, hint in (
            (
                self.layout == SYNTHETIC and self.sources,
                "`synthetic` is drawn, it takes no SOURCE",
                "leave SOURCE out",
            ),
            (not mot and cut, "`--boxes` and `--every` go with the layout `mot`", them),
            (mot and (self.link or self.table), "`--link` and `--csv` do not go with `mot`", them),
            (
                self.update and not (folder or mot),
                "`--update` goes with the layouts `folder` and `mot`",
                "prepare the new release under another name with `--name`",
            ),
            (own and not folder, f"`{own}` goes with the layout `folder` only", it),
            (self.pattern and self.table, "`--pattern` and `--csv` do the same", "leave one out"),
            (first and not self.sources, f"`{first}` needs a SOURCE folder", "name the folder"),
        ):
            if wrong:
                raise UsageError(message, hint)
        if self.pattern is not None:
            compile_pattern(self.pattern)
        if self.skip is not None:
            compile_expression("--skip", self.skip, "an example: `--skip '/thumbnails/'`")
        if self.split_names is not None:
            parse_split_names(self.split_names)
        if self.name is not None:
            check_name(self.name)

    @property
    def _instead_of_layout(self) -> str:
        """What may have been meant by an unknown layout."""
        if (self.data_dir / self.layout / FILE_NAME).is_file():
            return f"`pplr prepare {self.layout} --check` checks the data set of that name"
        if self.layout == DEMO:
            return f"`pplr prepare {SYNTHETIC}` draws the data set of that name"
        if Path(self.layout).is_dir():
            return f"did you mean `{shlex.join(['pplr', 'prepare', FOLDER, self.layout])}`?"
        return nearest(self.layout, KNOWN)

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
        folder = [] if self.data_dir == env.data_dir() else ["--data-dir", str(self.data_dir)]
        return shlex.join(["pplr", "prepare", *words(self), *folder, *more])


def crops_command(name: str, data_dir: Path, *more: str) -> str:
    """Return the command that prepares own crops which are in a folder for each camera."""
    crops = PrepareRequest(FOLDER, (Path("CROPS"),), data_dir, name, pattern=CAMERA_FOLDERS)
    return crops.command(*more)


def check_name(name: str) -> None:
    """Check a data set's name, which is the name of a folder; `UsageError` if it is none."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        hint = "letters, digits, `.`, `_` and `-`, no `.` or `-` at the start"
        raise UsageError(f"`{name}`: not a name for a data set", hint)
