"""Every backbone by name: our own, those of torchvision, and those of timm.

A backbone has `channels` and `map`. Its published weights load by their own names, so each network
of another package is kept as it is, without its classifier.
"""

import difflib
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.ops import StochasticDepth

from pplr_cli.config import backbones
from pplr_cli.engine.backbone import Backbone, resnet, resnet_ibn, tiny
from pplr_cli.engine.clip_resnet import clip_resnet
from pplr_cli.engine.replicas import over_replicas
from pplr_cli.errors import UsageError, missing_package

HEADS = ("avgpool", "classifier", "fc")
"""Torchvision's names of what follows the map."""
RANDOM = (nn.Dropout, StochasticDepth)
"""Layers that draw random numbers in training: a run that is resumed would draw others."""


def build_backbone(name: str) -> "Backbone | Timm":
    """Return a backbone with random weights, by the value of `model.backbone`.

    Raises:
        PplrError: timm is not installed, or knows no such network.
    """
    if name.startswith(backbones.TIMM):
        return Timm(name.removeprefix(backbones.TIMM))
    return BACKBONES[name]()


def check_backbone(name: str, height: int, width: int) -> None:
    """Check that a backbone can be built and takes images of a size, without computing anything.

    Raises:
        PplrError: timm is not installed, knows no such network, or the size does not fit.
    """
    if name in ("tiny", *backbones.RESNETS):
        return  # any size
    try:
        with torch.device("meta"):
            build_backbone(name).train().map(torch.empty(2, 3, height, width))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"`model.backbone` = `{name}` takes no images of {height} x {width} pixels: {error}",
            "change `data.height` and `data.width`, or choose another backbone",
        ) from error


def _torchvision(name: str) -> Backbone:
    """Return a network of torchvision up to its map, with torchvision's names."""
    net = models.get_model(name, weights=None)
    layers = OrderedDict((k, each) for k, each in net.named_children() if k not in HEADS)
    _prepare(*layers.values())
    with torch.no_grad():
        channels = nn.Sequential(layers).eval()(torch.zeros(1, 3, 64, 64)).shape[1]
    backbone = Backbone(channels=channels)
    for key, layer in layers.items():
        backbone.add_module(key, layer.train())
    return backbone


def _prepare(*layers: nn.Module) -> None:
    """Give BatchNorms replicas, and switch off what draws random numbers."""
    for layer in layers:
        over_replicas(layer)
        for module in layer.modules():
            if isinstance(module, RANDOM):
                module.p = 0.0


class Timm(nn.Module):
    """A network of timm; the tokens of a transformer become the map of their grid.

    Raises:
        PplrError: timm is not installed, or knows no such network.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.net: Any = _timm(name)
        self.channels: int = self.net.num_features
        _prepare(self.net)

    def map(self, images: Tensor) -> Tensor:
        """Return the feature map [B, D, H', W'] of normalised images [B, 3, H, W].

        Raises:
            ValueError: the network gives no map.
        """
        features: Tensor = self.net.forward_features(images)
        if features.dim() == 3 and hasattr(self.net, "patch_embed"):
            grid = self.net.patch_embed.dynamic_feat_size(images.shape[2:])
            tokens = features[:, self.net.num_prefix_tokens :]
            features = tokens.transpose(1, 2).unflatten(2, grid)
        if features.dim() != 4:
            raise ValueError("it gives no map of features")
        if getattr(self.net, "output_fmt", "NCHW") == "NHWC":
            features = features.permute(0, 3, 1, 2)
        return features


def _timm(name: str) -> Any:
    """Return a network of timm, without classifier and pooling, for images of any size."""
    try:
        import timm
    except ImportError as error:
        reason = f"`import timm` fails: {error}"
        raise missing_package(f"model.backbone=timm:{name}", "timm", "timm", reason) from error
    known = timm.list_models()
    if name.partition(".")[0] not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean `timm:{near[0]}`?" if near else "`timm.list_models()` lists them"
        raise UsageError(f"`model.backbone` = `timm:{name}`: timm has no such network", hint)
    create = partial(timm.create_model, name, num_classes=0, global_pool="")
    try:
        return create(dynamic_img_size=True, dynamic_img_pad=True)
    except TypeError:  # a network without position embeddings takes any size
        return create()


BACKBONES: dict[str, Callable[[], Backbone]] = {
    "tiny": tiny,
    **{name: partial(resnet, name) for name in backbones.RESNETS},
    **{name: partial(resnet_ibn, name) for name in backbones.IBN},
    backbones.CLIP: clip_resnet,
    **{name: partial(_torchvision, name) for name in backbones.TORCHVISION},
}
"""The backbones that need no other package."""
