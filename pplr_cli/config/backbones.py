"""The names of the backbones, for settings that are checked without importing torch."""

from typing import Annotated

from pydantic import AfterValidator

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
IBN = ("resnet18_ibn_a", "resnet34_ibn_a", "resnet50_ibn_a", "resnet101_ibn_a")
"""ResNets with instance normalisation in part of their channels (Pan et al., ECCV 2018)."""
TORCHVISION = (
    *("mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0"),
    *("regnet_y_800mf", "convnext_tiny"),
)
"""Other networks of torchvision, with the strides that they were published with."""
CLIP = "resnet50_clip"
"""CLIP's ResNet-50 (Radford et al., ICML 2021)."""
NAMES = ("tiny", *RESNETS, *IBN, CLIP, *TORCHVISION)
TIMM = "timm:"
"""Prefix of the networks of the package timm (the extra of that name)."""


def _known(name: str) -> str:
    if name in NAMES or (name.startswith(TIMM) and name != TIMM):
        return name
    raise ValueError(f"must be one of {', '.join(NAMES)}, or {TIMM}NAME")


Backbone = Annotated[str, AfterValidator(_known)]
"""`engine/zoo.py` builds each of them."""
