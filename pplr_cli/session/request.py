"""The request to train: the options of `pplr train`, checked together."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pplr_cli import host
from pplr_cli.config import presets
from pplr_cli.config.fields import Config, LoggerName, Mode, Precision
from pplr_cli.config.options import Option, words
from pplr_cli.errors import UsageError

CONFIG = "config.yaml"


@dataclass(frozen=True)
class TrainingRequest:
    """What `pplr train` and `pplr train-cam` were asked to do.

    Raises:
        UsageError: options that exclude each other, or no preset.
    """

    mode: Mode
    preset: Annotated[
        str | None,
        Option("--preset", help="Preset name, or the path of a preset file.", show_default=False),
    ] = None
    data: Annotated[
        str | None, Option("--data", help="Data set to use instead of the preset's.")
    ] = None
    data_dir: Annotated[
        Path | None, Option("--data-dir", help="Data folder (default: PPLR_DATA_DIR, else ./data).")
    ] = None
    run_dir: Annotated[
        Path | None,
        Option("--run-dir", help="Run folder (default: runs/<preset>[-<data>]-<command>)."),
    ] = None
    settings: Annotated[
        tuple[str, ...],
        Option("--set", help="Override a setting (repeatable).", metavar="KEY=VALUE"),
    ] = ()
    answers: Annotated[
        Path | None,
        Option("--answers", help="Answers about pairs of images, from `pplr review`."),
    ] = None
    seed: Annotated[
        int | None, Option("--seed", help="Seed (default: the preset's).", min=0, max=2**32 - 1)
    ] = None
    device: Annotated[str, Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto"
    devices: Annotated[
        int, Option("--devices", help="Processes of the run, one GPU each.", min=1, max=1024)
    ] = 1
    precision: Annotated[
        Precision, Option("--precision", help="Precision of the forward and backward pass.")
    ] = "fp32"
    deterministic: Annotated[
        bool,
        Option("--deterministic", help="Use deterministic algorithms on the GPU (slower)."),
    ] = False
    workers: Annotated[
        int,
        Option(
            "--workers", help="Threads that decode images.", min=1, max=1024, show_default="cores"
        ),
    ] = host.cores()
    cache: Annotated[
        bool, Option("--cache/--no-cache", help="Keep decoded images on disk (PPLR_CACHE_DIR).")
    ] = True
    verify: Annotated[
        bool, Option("--verify", help="Check every image against the manifest first.")
    ] = False
    resume: Annotated[
        bool, Option("--resume", help="Continue the run in the run folder from its newest state.")
    ] = False
    resume_from: Annotated[
        Path | None, Option("--resume-from", help="Continue from this state file.")
    ] = None
    allow_inexact: Annotated[
        bool, Option("--allow-inexact", help="Resume with other --devices or --precision.")
    ] = False
    overwrite: Annotated[bool, Option("--overwrite", help="Delete the run in the run folder.")] = (
        False
    )
    dry_run: Annotated[
        bool, Option("--dry-run", help="Check everything, print plan and duration, and stop.")
    ] = False
    log: Annotated[
        tuple[LoggerName, ...],
        Option("--log", help="Also log to tensorboard, wandb or mlflow (repeatable)."),
    ] = ()
    quiet: Annotated[
        bool, Option("--quiet", "-q", help="Print results, warnings and errors only.")
    ] = False
    verbose: Annotated[bool, Option("--verbose", "-v", help="Print more details.")] = False

    def __post_init__(self) -> None:
        if self.preset is None and not (self.resumes and self.run_dir):
            hint = f"`pplr {self.mode} --help` shows the usage"
            if self.run_dir is not None and (self.run_dir / CONFIG).is_file():
                hint = f"name it, or continue the run in `{self.run_dir}` with --resume"
            raise UsageError("missing option `--preset`", hint)
        if self.overwrite and self.resumes:
            raise UsageError("`--overwrite` and `--resume` exclude each other", "use one of them")

    @property
    def resumes(self) -> bool:
        """Whether an earlier run is to be continued."""
        return self.resume or self.resume_from is not None

    @property
    def verbosity(self) -> int:
        """Below 0: results, warnings and errors only; above 0: details too."""
        return self.verbose - self.quiet

    @property
    def folder(self) -> Path:
        """The run folder; by default named after the preset, `--data` and the mode."""
        if self.run_dir is not None:
            return self.run_dir
        parts = (Path(self.preset or "").stem, self.data, self.mode)
        return Path("runs") / "-".join(part for part in parts if part is not None)

    def config(self) -> Config:
        """Resolve the settings: of the preset or, to resume, those recorded in the run folder."""
        overrides = presets.overrides(self.settings, self.data, self.seed)
        if self.preset is not None:
            return presets.resolve(self.preset, self.mode, overrides)
        recorded = self.folder / CONFIG
        if not recorded.is_file():
            raise UsageError(f"`{self.folder}`: no run to resume", "name its folder, or --preset")
        try:
            settings = presets.read(recorded)
        except UsageError as error:
            error.hint = f"{error.hint}, or resume with --preset, which writes the file anew"
            raise
        return presets.restore(settings, str(recorded), overrides)

    def words(self) -> list[str]:
        """Return the arguments of `pplr` that make this request; defaults are left out."""
        return [self.mode, *words(self)]

    def command(self) -> str:
        """Return the request as a shell command."""
        return shlex.join(["pplr", *self.words()])

    def continued(self) -> "TrainingRequest":
        """Return the request that continues this run; the settings come from its folder."""
        return replace(
            self,
            preset=None,
            data=None,
            settings=(),
            answers=None,
            seed=None,
            run_dir=self.folder,
            resume=True,
            resume_from=None,
            verify=False,
            overwrite=False,
        )
