"""Residual backbones: images to a map of features, without classifier.

ResNets have the official state dict: `base.0` is conv1, `base.1` bn1, `base.4` to `base.7` layer1
to layer4. Their last stage has stride 1: a 384 x 128 image gives a 24 x 8 map.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import BasicBlock

from pplr_cli.engine.replicas import ReplicaBatchNorm2d

TINY_WIDTHS = (16, 32, 64, 128)


class Backbone(nn.Sequential):
    """The layers from images to a map of D = `channels` features.

    A BatchNorm among them must be a `ReplicaBatchNorm2d`.
    """

    def __init__(self, *layers: nn.Module, channels: int) -> None:
        super().__init__(*layers)
        self.channels = channels

    def map(self, images: Tensor) -> Tensor:
        """Return the feature map [B, D, H', W'] of normalised images [B, 3, H, W]."""
        features: Tensor = self(images)
        return features


class IBN(nn.Module):
    """Instance normalisation of the first half of the channels, BatchNorm of the others.

    IBN-a of Pan et al., ECCV 2018. `replicas` do not concern the first half: it normalises each
    image by itself.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.IN = nn.InstanceNorm2d(channels // 2, affine=True)
        self.BN = ReplicaBatchNorm2d(channels - channels // 2)

    def forward(self, grid: Tensor) -> Tensor:
        """Normalise [B, C, H, W]."""
        first, others = grid.split((self.IN.num_features, self.BN.num_features), 1)
        return torch.cat((self.IN(first.contiguous()), self.BN(others.contiguous())), 1)


def resnet_ibn(name: str) -> Backbone:
    """Return a ResNet with `IBN` as the first norm of the blocks of layer1 to layer3."""
    backbone = resnet(name.removesuffix("_ibn_a"))
    stages: Any = list(backbone)[4:7]
    for stage in stages:
        for block in stage:
            block.bn1 = IBN(block.conv1.out_channels)
    return backbone


def resnet(name: str) -> Backbone:
    """Return a ResNet of torchvision, with stride 1 in layer4."""
    net = models.get_model(name, weights=None, norm_layer=ReplicaBatchNorm2d)
    for module in net.layer4[0].modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
    stages = (net.layer1, net.layer2, net.layer3, net.layer4)
    stem = (net.conv1, net.bn1, net.relu, net.maxpool)
    return Backbone(*stem, *stages, channels=net.fc.in_features)


def tiny() -> Backbone:
    """Return a ResNet of a quarter of ResNet-18's width (about 0.7 M parameters)."""
    width = TINY_WIDTHS[0]
    stem = (
        nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
        ReplicaBatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    inputs = (width, *TINY_WIDTHS[:-1])
    strides = (1, 2, 2, 1)
    stages = [_stage(*args) for args in zip(inputs, TINY_WIDTHS, strides, strict=True)]
    net = Backbone(*stem, *stages, channels=TINY_WIDTHS[-1])
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Return two basic blocks; the first one changes width and resolution."""
    downsample = None
    if stride != 1 or inputs != outputs:
        downsample = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), ReplicaBatchNorm2d(outputs)
        )
    first = BasicBlock(inputs, outputs, stride, downsample, norm_layer=ReplicaBatchNorm2d)
    return nn.Sequential(first, BasicBlock(outputs, outputs, norm_layer=ReplicaBatchNorm2d))
