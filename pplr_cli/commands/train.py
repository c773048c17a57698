"""`pplr train` and `pplr train-cam`: one trainer, without and with the camera losses."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pplr_cli.commands import options
from pplr_cli.config.fields import Mode
from pplr_cli.session.request import TrainingRequest
from pplr_cli.terminal.console import Console

Preset = Annotated[
    str | None,
    typer.Option("--preset", help="Preset name, or the path of a preset file.", show_default=False),
]
RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", help="Run folder (default: runs/<preset>[-<data>]-<mode>)."),
]
Devices = Annotated[
    int,
    typer.Option(
        "--devices", min=1, help="Processes that share the run, each with a GPU of its own."
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue the run that the folder holds from its newest state."),
]
ResumeFrom = Annotated[
    Path | None, typer.Option("--resume-from", help="Continue the run from this state file.")
]
AllowInexact = Annotated[
    bool,
    typer.Option("--allow-inexact", help="Resume with other --devices or --precision."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Delete the run that the folder holds.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write the figures for TensorBoard as well.")
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed (default: the preset's).")]


def training_command(mode: Mode) -> Callable[..., None]:
    """Return the Typer command of a mode; both take the same options."""

    def command(
        preset: Preset = None,
        data: options.Data = None,
        data_dir: options.DataDir = None,
        run_dir: RunDir = None,
        settings: options.Set = None,
        seed: Seed = None,
        device: options.Device = "auto",
        devices: Devices = 1,
        precision: options.Precision = "fp32",
        workers: options.Workers = options.CORES,
        cache: options.Cache = True,
        verify: options.Verify = False,
        resume: Resume = False,
        resume_from: ResumeFrom = None,
        allow_inexact: AllowInexact = False,
        overwrite: Overwrite = False,
        dry_run: DryRun = False,
        tensorboard: TensorBoard = False,
        quiet: options.Quiet = False,
        verbose: options.Verbose = False,
    ) -> None:
        request = TrainingRequest(
            mode=mode,
            preset=preset,
            data=data,
            data_dir=data_dir,
            run_dir=run_dir,
            settings=tuple(settings or ()),
            seed=seed,
            device=device,
            devices=devices,
            precision=precision,
            workers=workers,
            cache=cache,
            verify=verify,
            resume=resume,
            resume_from=resume_from,
            allow_inexact=allow_inexact,
            overwrite=overwrite,
            tensorboard=tensorboard,
            verbosity=verbose - quiet,
        )
        request.config()  # what is wrong with the settings shows before torch is imported

        from pplr_cli.session import start

        start.execute(request, Console(verbosity=request.verbosity), dry_run=dry_run)

    cameras = "with" if mode == "train-cam" else "without"
    command.__doc__ = f"Train {cameras} camera labels; weights and report go to the run folder."
    return command


train = training_command("train")
train_cam = training_command("train-cam")
