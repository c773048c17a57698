"""The network that a training run begins with."""

from pathlib import Path

import torch

from pplr_cli.config.fields import Config
from pplr_cli.engine.network import Network
from pplr_cli.progress import Reporter
from pplr_cli.weights.fitting import load_backbone


def starting_network(config: Config, weights: Path | None, reporter: Reporter) -> Network:
    """Return the network of `config`, its backbone with the given weights (None = random).

    Everything without given weights is drawn from the run's seed.

    Raises:
        WeightsError: the file cannot be read, or does not fit the backbone.
    """
    torch.manual_seed(config.seed)
    model = config.model
    network = Network(model.backbone, model.parts, model.classes)
    if weights is not None:
        for note in load_backbone(weights, network.base):
            reporter.info(f"`{weights}`: {note}")
    return network
