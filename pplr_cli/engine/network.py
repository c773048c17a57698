"""The PPLR network: one backbone, a global feature and P part features (paper, section 3.1)."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pplr_cli.config.backbones import Backbone
from pplr_cli.config.fields import Config, Model
from pplr_cli.engine.pooling import Average, GeM
from pplr_cli.engine.replicas import ReplicaBatchNorm1d, has_replicas
from pplr_cli.engine.zoo import build_backbone
from pplr_cli.progress import Reporter
from pplr_cli.weights.fitting import load_start


class Output(NamedTuple):
    """The output in training for a batch of B images with C clusters and P parts."""

    global_feature: Tensor  # [B, D], after the neck, not normalised
    part_features: Tensor  # [B, D, P], after the necks, not normalised
    global_logits: Tensor  # [B, C]
    part_logits: Tensor  # [B, C, P]


class Network(nn.Module):
    """Backbone, necks and classifiers, with the state dict of the official release.

    P = `parts` horizontal stripes. Of the `classes` rows of each classifier only the first C are
    used in an epoch of C clusters. `gem` pools the global feature by `GeM`, the parts stay means.
    """

    def __init__(
        self,
        backbone: Backbone = "resnet50",
        parts: int = 3,
        classes: int = 3000,
        *,
        gem: bool = False,
    ) -> None:
        super().__init__()
        self.parts = parts
        self.base = build_backbone(backbone)
        self.feature_size = self.base.channels
        for suffix in self.branches:
            self.add_module(f"bnneck{suffix}", _neck(self.feature_size))
            self.add_module(f"classifier{suffix}", _classifier(self.feature_size, classes))
        self.pooling = GeM() if gem else Average()

    @classmethod
    def of(cls, model: Model) -> "Network":
        """Return the network of the settings, with random weights."""
        return cls(model.backbone, model.parts, model.classes, gem=model.pooling == "gem")

    @property
    def branches(self) -> list[str]:
        """Suffixes of the necks and classifiers: the global one, then the parts."""
        return ["", *map(str, range(self.parts))]

    @property
    def classes(self) -> int:
        """Rows of each classifier."""
        return self.head("").out_features

    def head(self, branch: str) -> nn.Linear:
        """Return the classifier of a branch."""
        module = self.get_submodule(f"classifier{branch}")
        assert isinstance(module, nn.Linear)
        return module

    def forward(self, images: Tensor, clusters: int) -> Output:
        """Return features and the logits of the first `clusters` classes for [B, 3, H, W]."""
        features = self._features(images)
        logits = [
            F.linear(feature, self.head(branch).weight[:clusters])
            for branch, feature in zip(self.branches, features, strict=True)
        ]
        return Output(
            features[0], torch.stack(features[1:], 2), logits[0], torch.stack(logits[1:], 2)
        )

    def embed(self, images: Tensor, *, parts: bool = True) -> Tensor:
        """Return the features [1 + P, B, D], global ones first, each L2-normalised by itself.

        Without `parts` the result is [1, B, D].
        """
        features = self._features(images)
        kept = features if parts else features[:1]
        return torch.stack([F.normalize(feature.float()) for feature in kept])

    def _features(self, images: Tensor) -> list[Tensor]:
        """Return the global and the P part features [B, D], each through its neck."""
        grid = self.base.map(images)
        pooled = [self.pooling(grid), *stripe_means(grid, self.parts)]
        necks = [self.get_submodule(f"bnneck{branch}") for branch in self.branches]
        return [neck(feature) for neck, feature in zip(necks, pooled, strict=True)]


def initial_network(config: Config, weights: Path | None, reporter: Reporter) -> Network:
    """Return the network of `config`: backbone, or all but the classifiers, from a file.

    All other weights come from the seed.

    Raises:
        WeightsError: the file cannot be read, or does not fit the backbone.
    """
    torch.manual_seed(config.seed)
    network = Network.of(config.model)
    if config.batch.replicas > 1 and not has_replicas(network.base):
        reporter.info(
            f"`{config.model.backbone}` has no BatchNorm: `batch.replicas` concerns the necks only"
        )
    if weights is not None:
        included = config.model.weights == "synthetic"
        report = reporter.detail if included else reporter.info
        for note in load_start(weights, network, network.base):
            report(f"`{weights}`: {note}")
    return network


def stripe_means(grid: Tensor, parts: int) -> list[Tensor]:
    """Return the means [B, D] of P horizontal stripes of a map [B, D, H, W], top to bottom.

    Stripe i covers the rows floor(i H / P) to ceil((i + 1) H / P), as adaptive average pooling
    does; slices and means have a deterministic gradient on CUDA, adaptive pooling has not. Equal
    stripes need one kernel on a GPU; on a CPU that sum would round differently.
    """
    height = grid.shape[2]
    if grid.is_cuda and height % parts == 0:
        return equal_stripe_means(grid, parts)
    bounds = [(i * height // parts, -(-(i + 1) * height // parts)) for i in range(parts)]
    return [grid[:, :, first:end].mean((2, 3)) for first, end in bounds]


def equal_stripe_means(grid: Tensor, parts: int) -> list[Tensor]:
    """Return the means of P stripes of H / P rows."""
    return list(grid.unflatten(2, (parts, -1)).mean((3, 4)).unbind(2))


def _neck(size: int) -> nn.Module:
    """Return a BatchNorm1d whose bias stays 0."""
    neck = ReplicaBatchNorm1d(size)
    neck.bias.requires_grad_(False)
    return neck


def _classifier(size: int, classes: int) -> nn.Module:
    classifier = nn.Linear(size, classes, bias=False)
    nn.init.normal_(classifier.weight, std=0.001)
    return classifier
