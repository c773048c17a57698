"""What a user asks of a training run: the options of `pplr train`, and the command they make."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from pplr_cli.commands import options
from pplr_cli.config import presets
from pplr_cli.config.fields import Config, Mode, Precision
from pplr_cli.errors import UsageError

CONFIG = "config.yaml"


@dataclass(frozen=True)
class TrainingRequest:
    """The options of `pplr train` and `pplr train-cam` (what each means: commands/train.py).

    Raises:
        UsageError: options that do not go together.
    """

    mode: Mode
    preset: str | None
    data: str | None = None
    data_dir: Path | None = None
    run_dir: Path | None = None
    settings: tuple[str, ...] = ()
    seed: int | None = None
    device: str = "auto"
    devices: int = 1
    precision: Precision = "fp32"
    workers: int = options.CORES
    cache: bool = True
    verify: bool = False
    resume: bool = False
    resume_from: Path | None = None
    allow_inexact: bool = False
    overwrite: bool = False
    tensorboard: bool = False
    verbosity: int = 0

    def __post_init__(self) -> None:
        if self.preset is None and not (self.resumes and self.run_dir):
            hint = f"`pplr {self.mode} --help` shows the usage"
            if self.run_dir is not None and (self.run_dir / CONFIG).is_file():
                hint = f"name it, or continue the run of `{self.run_dir}` with --resume"
            raise UsageError("missing option `--preset`", hint)
        if self.overwrite and self.resumes:
            raise UsageError(
                "`--overwrite` and `--resume` exclude each other", "choose one of them"
            )

    @property
    def resumes(self) -> bool:
        """Whether an earlier run is to be continued."""
        return self.resume or self.resume_from is not None

    @property
    def folder(self) -> Path:
        """The run folder; by default named after the preset, `--data` and the mode."""
        if self.run_dir is not None:
            return self.run_dir
        parts = (Path(self.preset or "").stem, self.data, self.mode)
        return Path("runs") / "-".join(part for part in parts if part is not None)

    def config(self) -> Config:
        """Return the settings: of the preset or, to resume, those that the run folder recorded."""
        overrides = options.overrides(list(self.settings), self.data, self.seed)
        if self.preset is not None:
            return presets.resolve(self.preset, self.mode, overrides)
        recorded = self.folder / CONFIG
        if not recorded.is_file():
            raise UsageError(
                f"`{self.folder}`: holds no run to resume", "name its folder, or --preset"
            )
        return presets.restore(presets.read(recorded), str(recorded), overrides)

    def words(self) -> list[str]:
        """Return the request as the words of a command line, behind `pplr`."""
        valued: dict[str, object] = {
            "--preset": self.preset,
            "--data": self.data,
            "--data-dir": self.data_dir,
            "--run-dir": self.run_dir,
            "--seed": self.seed,
            "--resume-from": self.resume_from,
        }
        defaulted: dict[str, tuple[object, object]] = {
            "--device": (self.device, "auto"),
            "--devices": (self.devices, 1),
            "--precision": (self.precision, "fp32"),
            "--workers": (self.workers, options.CORES),
        }
        flags = {
            "--no-cache": not self.cache,
            "--verify": self.verify,
            "--resume": self.resume,
            "--allow-inexact": self.allow_inexact,
            "--overwrite": self.overwrite,
            "--tensorboard": self.tensorboard,
            "--quiet": self.verbosity < 0,
            "--verbose": self.verbosity > 0,
        }
        valued |= {name: value for name, (value, usual) in defaulted.items() if value != usual}
        words: list[str] = [self.mode]
        for name, value in valued.items():
            words += [name, str(value)] if value is not None else []
        for setting in self.settings:
            words += ["--set", setting]
        return [*words, *(name for name, wanted in flags.items() if wanted)]

    def command(self) -> str:
        """Return the request as a line for a shell."""
        return shlex.join(["pplr", *self.words()])

    def continued(self) -> "TrainingRequest":
        """Return the request that continues this run: its folder keeps the settings."""
        return replace(
            self,
            preset=None,
            data=None,
            settings=(),
            seed=None,
            run_dir=self.folder,
            resume=True,
            resume_from=None,
            verify=False,
            overwrite=False,
        )
