"""Residual backbones without classifier, their last stage at stride 1.

`base.0` = conv1, `base.1` = bn1, `base.4` to `base.7` = layer1 to layer4, as in the official
state dict. A 384 x 128 image gives a 24 x 8 map.
"""

from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock

from pplr_cli.config.fields import Backbone
from pplr_cli.engine.replicas import ReplicaBatchNorm2d

TINY_WIDTHS = (16, 32, 64, 128)


def build_backbone(name: Backbone) -> nn.Sequential:
    """Return the randomly initialised backbone: images [B, 3, H, W] to a map [B, D, H/16, W/16]."""
    if name == "tiny":
        return _tiny()
    resnet = models.get_model(name, weights=None, norm_layer=ReplicaBatchNorm2d)
    _keep_resolution(resnet.layer4[0])
    stages = (resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4)
    return nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool, *stages)


def feature_size(backbone: nn.Sequential) -> int:
    """Return D, the number of channels of the backbone's map."""
    last_block = list(backbone[7].children())[-1]
    norms = [m for m in last_block.modules() if isinstance(m, nn.BatchNorm2d)]
    return norms[-1].num_features


def _keep_resolution(block: nn.Module) -> None:
    """Set the stride of a stage's first block (3x3 and downsample convolution) to 1."""
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)


def _tiny() -> nn.Sequential:
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
    backbone = nn.Sequential(*stem, *stages)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return backbone


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Return two basic blocks, the first one changing width and resolution."""
    downsample = None
    if stride != 1 or inputs != outputs:
        downsample = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), ReplicaBatchNorm2d(outputs)
        )
    first = BasicBlock(inputs, outputs, stride, downsample, norm_layer=ReplicaBatchNorm2d)
    return nn.Sequential(first, BasicBlock(outputs, outputs, norm_layer=ReplicaBatchNorm2d))
