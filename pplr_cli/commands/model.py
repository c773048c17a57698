"""The options of the commands that use a trained network."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pplr_cli import env
from pplr_cli.config import presets
from pplr_cli.config.options import argument, option, same_option
from pplr_cli.session.request import TrainingRequest
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from pplr_cli.data.images import ImageSet
    from pplr_cli.retrieval.model import Model


@dataclass(frozen=True, kw_only=True)
class WeightsRequest:
    """A weights file, its settings, and how to print."""

    weights: Path = option(..., "best.pth or last.pth of a run, or an official PPLR file.")
    preset: str | None = option(None, "Preset for a weights file that records no settings.")
    settings: tuple[str, ...] = same_option(TrainingRequest, "settings")
    data_dir: Path | None = same_option(TrainingRequest, "data_dir")
    json: bool = option(False, "Print one JSON document.")
    quiet: bool = same_option(TrainingRequest, "quiet")
    verbose: bool = same_option(TrainingRequest, "verbose")

    device = "cpu"
    workers = TrainingRequest.workers

    @cached_property
    def console(self) -> Console:
        """What prints results and messages."""
        return Console(verbosity=self.verbose - self.quiet)

    @property
    def data(self) -> Path:
        """The data folder."""
        return env.data_dir(self.data_dir)

    def load(self, data: str | None = None, *, cache: bool = True) -> "Model":
        """Load the network.

        Args:
            data: name of another data set than the one in the settings.
            cache: whether decoded images are kept on disk.
        """
        from pplr_cli.retrieval.model import Model
        from pplr_cli.runtime import Runtime, choose_device

        device = choose_device(self.device)
        runtime = Runtime(device, self.console, workers=self.workers, cache=cache)
        overrides = presets.overrides(self.settings, data)
        return Model.load(self.weights, runtime, self.preset, overrides)


@dataclass(frozen=True, kw_only=True)
class ModelRequest(WeightsRequest):
    """A network, and where it runs."""

    device: str = same_option(TrainingRequest, "device")
    workers: int = same_option(TrainingRequest, "workers")


@dataclass(frozen=True, kw_only=True)
class CropsRequest(ModelRequest):
    """A network, and the crops to use it on."""

    source: Path = argument(..., "Folder of crops, or name of a prepared data set.", "DIR")
    pattern: str | None = option(
        None,
        "For a folder: regular expression that finds camera and track in each path.",
        metavar="REGEX",
    )
    skip_bad: bool = option(False, "Skip images that cannot be decoded.")

    def images(self) -> "ImageSet":
        """Open the crops."""
        from pplr_cli.ingest.folder import open_images

        return open_images(self.source, self.data, self.console, pattern=self.pattern)
