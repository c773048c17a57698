"""What every command does that uses a weights file: its settings, its network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pplr_cli.config import presets
from pplr_cli.config.fields import Config
from pplr_cli.errors import UsageError

if TYPE_CHECKING:
    from pplr_cli.engine.network import Network
    from pplr_cli.runtime import Runtime
    from pplr_cli.weights.loading import StateDict

Weights = Annotated[
    Path,
    typer.Option("--weights", help="Our own best.pth or last.pth, or an official PPLR file."),
]


def settings(state: "StateDict", preset: str | None, overrides: list[str]) -> Config:
    """Return the settings of `--preset` if given, else those that the file recorded.

    Raises:
        UsageError: neither is there, or they are wrong.
    """
    if preset is not None:
        return presets.resolve(preset, "train", overrides)
    recorded = (state.about or {}).get("settings")
    if recorded is None:
        raise UsageError(
            f"`{state.path}`: does not say with which settings it was made",
            f"name its preset with --preset: {', '.join(presets.names())}, or a file",
        )
    return presets.restore(recorded, str(state.path), overrides)


def network(state: "StateDict", config: Config, runtime: "Runtime") -> "Network":
    """Return the network with the weights of the file, on the device.

    Raises:
        WeightsError: the file is of another architecture.
    """
    from pplr_cli.engine.network import Network
    from pplr_cli.weights.fitting import fit_network

    network = Network(config.model.backbone, config.model.parts, config.model.classes)
    for note in (*state.notes, *fit_network(state, network)):
        runtime.reporter.info(f"`{state.path}`: {note}")
    return network.to(runtime.device)
