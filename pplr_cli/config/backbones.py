"""The names of the backbones, for settings that are checked without importing torch."""

from typing import Literal

Backbone = Literal["tiny", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
"""`engine/backbone.py` builds each of them."""

IMAGENET: dict[Backbone, tuple[str, float]] = {
    "resnet18": ("f37072fd", 44.661),
    "resnet34": ("b627a593", 83.275),
    "resnet50": ("0676ba61", 97.781),
    "resnet101": ("63fe2227", 170.511),
    "resnet152": ("394f9c45", 230.434),
}
"""Those with ImageNet weights in torchvision: the first digits of the file's SHA-256, and MiB."""
