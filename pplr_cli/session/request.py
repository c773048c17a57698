"""The request to train: the options of `pplr train`, checked together."""

import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pplr_cli import host
from pplr_cli.config import presets
from pplr_cli.config.fields import Config, LoggerName, Mode, Precision
from pplr_cli.config.options import option, words
from pplr_cli.errors import UsageError
from pplr_cli.runs.default_folder import CONFIG, default_folder


@dataclass(frozen=True)
class TrainingRequest:
    """What `pplr train` and `pplr train-cam` were asked to do.

    Raises:
        UsageError: options that exclude each other, or no preset.
    """

    mode: Mode
    preset: str | None = option(
        None, "Preset name, or the path of a preset file.", show_default=False
    )
    data: str | None = option(None, "Data set to use instead of the preset's.")
    data_dir: Path | None = option(None, "Data folder (default: PPLR_DATA_DIR, else ./data).")
    run_dir: Path | None = option(
        None, "Run folder (default: runs/<preset>[-<data>]-<command>[-seed<N>])."
    )
    settings: tuple[str, ...] = option(
        (), "Override a setting (repeatable).", "--set", metavar="KEY=VALUE"
    )
    answers: Path | None = option(None, "Answers about pairs of images, from `pplr review`.")
    seed: int | None = option(None, "Seed (default: the preset's).", min=0, max=2**32 - 1)
    device: str = option("auto", "auto, cpu, cuda or cuda:1.")
    devices: int = option(1, "Processes of the run, one GPU each.", min=1, max=1024)
    precision: Precision = option("fp32", "Precision of the forward and backward pass.")
    deterministic: bool = option(False, "Use deterministic algorithms on the GPU (slower).")
    workers: int = option(
        host.cores(), "Threads that decode images.", min=1, max=1024, show_default="cores"
    )
    cache: bool = option(
        True, "Keep decoded images on disk (PPLR_CACHE_DIR).", "--cache/--no-cache"
    )
    verify: bool = option(False, "Check every image against the manifest first.")
    resume: bool = option(False, "Continue the run in the run folder from its newest state.")
    resume_from: Path | None = option(None, "Continue from this state file.")
    allow_inexact: bool = option(False, "Resume with other --devices or --precision.")
    overwrite: bool = option(False, "Delete the run in the run folder.")
    dry_run: bool = option(False, "Check everything, print plan and duration, and stop.")
    log: tuple[LoggerName, ...] = option(
        (), "Also log to tensorboard, wandb or mlflow (repeatable)."
    )
    json: bool = option(False, "Print one JSON document; progress goes to standard error.")
    quiet: bool = option(False, "Print results, warnings and errors only.", "-q")
    verbose: bool = option(False, "Print more details.", "-v")

    def __post_init__(self) -> None:
        if self.preset is None and not (self.resumes and self.run_dir):
            first = f"`pplr {self.mode} --preset demo` needs no data"
            hint = f"`pplr presets list` names the presets; {first}"
            if self.resumes:
                hint = f"`pplr {self.mode} --run-dir DIR --resume` continues the run in DIR"
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

    @cached_property
    def folder(self) -> Path:
        """The run folder; by default named after preset, `--data`, mode and another seed.

        A number follows if that folder contains a run with other settings.
        """
        if self.run_dir is not None:
            return self.run_dir
        preset = self.preset or ""
        parts = (Path(preset).stem, self.data, self.mode)
        usual = Path("runs") / "-".join(part for part in parts if part is not None)
        others = [text for text in self.settings if not text.startswith("seed=")]
        seed = presets.resolve(preset, self.mode, others).seed
        return default_folder(usual, self.config(), seed, resume=self.resumes)

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
