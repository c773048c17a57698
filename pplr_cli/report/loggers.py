"""Loggers: send the figures of a run to TensorBoard, Weights & Biases or MLflow."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from pplr_cli import env
from pplr_cli.config.document import flat
from pplr_cli.config.fields import LoggerName
from pplr_cli.errors import PplrError, missing_package
from pplr_cli.files import write_text
from pplr_cli.progress import Reporter, optional

PROJECT = "pplr"
GROUPS = ("loss", "seconds", "agreement", "rank")
"""Prefixes of the names that are shown as a group."""
Row = Mapping[str, float]


class Logger(Protocol):
    """Receives the figures of each epoch; whatever it raises becomes a warning.

    To add one: write a class like those below, add it to `LOGGERS`, and its package to
    `LoggerName`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Open the log of the run in `folder`: a new one, or that of the run to resume."""

    def add(self, epoch: int, figures: Row) -> None:
        """Log the figures of an epoch."""

    def close(self) -> None:
        """Finish the log."""


class TensorBoard:
    """Writes event files into `tensorboard/` of the run folder."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def add(self, epoch: int, figures: Row) -> None:
        """Write the figures as scalars."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class WeightsAndBiases:
    """Logs a run to Weights & Biases; its variables apply, such as `WANDB_MODE=offline`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import wandb

        self._run = wandb.init(
            project=env.WANDB_PROJECT.get() or PROJECT,
            name=folder.resolve().name,
            dir=str(folder),
            id=_recorded(folder / "wandb" / "id", lambda: uuid4().hex[:8]),
            resume="allow",
            config=dict(settings),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def add(self, epoch: int, figures: Row) -> None:
        """Log the figures at step `epoch`."""
        self._run.log(dict(figures), step=epoch)

    def close(self) -> None:
        """Finish the run, which uploads the rest."""
        self._run.finish()


class MLflow:
    """Logs a run to MLflow; its variables apply, such as `MLFLOW_TRACKING_URI`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient()
        self._run = _recorded(folder / "mlflow" / "id", lambda: self._create(folder, settings))
        self._client.update_run(self._run, status="RUNNING")

    def _create(self, folder: Path, settings: Mapping[str, Any]) -> str:
        """Create a run with its parameters; return its identifier."""
        client, name = self._client, env.MLFLOW_EXPERIMENT_NAME.get() or PROJECT
        found = client.get_experiment_by_name(name)
        experiment = client.create_experiment(name) if found is None else found.experiment_id
        run = str(client.create_run(experiment, run_name=folder.resolve().name).info.run_id)
        for key, value in flat(settings).items():
            client.log_param(run, key, value)
        return run

    def add(self, epoch: int, figures: Row) -> None:
        """Log the figures at step `epoch`."""
        for name, value in figures.items():
            self._client.log_metric(self._run, name, value, step=epoch)

    def close(self) -> None:
        """End the run."""
        self._client.set_terminated(self._run)


LOGGERS: dict[LoggerName, type[Logger]] = {
    LoggerName.TENSORBOARD: TensorBoard,
    LoggerName.WANDB: WeightsAndBiases,
    LoggerName.MLFLOW: MLflow,
}


def require(name: LoggerName) -> None:
    """Raise `PplrError` if the package of a logger is not installed, without importing it."""
    if find_spec(name) is None:
        instead = "`metrics.csv` of the run has the same figures"
        raise missing_package(f"--log {name}", name, name, instead)


@contextmanager
def logging_to(
    name: LoggerName, folder: Path, settings: Mapping[str, Any], reporter: Reporter
) -> Iterator[Callable[[Row], None]]:
    """Open a logger; yield a function that logs the row of an epoch, and close it at the end.

    Raises:
        PplrError: it cannot be opened, e.g. because nobody is logged in.
    """
    try:
        logger = LOGGERS[name](folder, settings)
    except Exception as error:
        raise PplrError(f"--log {name}: {error}", "mend that, or train without it") from error

    def log(row: Row) -> None:
        with optional(f"--log {name}", reporter):
            figures = {_grouped(key): value for key, value in row.items() if key != "epoch"}
            logger.add(int(row["epoch"]), figures)

    try:
        yield log
    finally:
        with optional(f"--log {name}", reporter):
            logger.close()


def _grouped(name: str) -> str:
    """Return the name of a figure with its group."""
    return f"{next((each for each in GROUPS if name.startswith(each)), 'run')}/{name}"


def _recorded(file: Path, create: Callable[[], str]) -> str:
    """Return the identifier in `file`, so that a resumed run goes on; else create one."""
    if file.is_file():
        return file.read_text(encoding="utf-8").strip()
    identifier = create()
    file.parent.mkdir(exist_ok=True)
    write_text(file, f"{identifier}\n")
    return identifier
