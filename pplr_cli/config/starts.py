"""Published weights to start from, by the value of `model.weights`, without importing torch.

Where PPLR was measured, its effect is the mAP of PPLR without camera labels on Market-1501 and
MSMT17 (Zuo et al., PLIP, NeurIPS 2024, table 6).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pplr_cli.config.backbones import CLIP


class File(NamedTuple):
    """The file of a start for one backbone."""

    name: str
    """As published; digits after the last hyphen begin its SHA-256."""
    mib: float | None = None
    """Its size; None = not published."""


class Start(NamedTuple):
    """Published weights of one or several backbones."""

    origin: str
    licence: str
    """Of the code that the weights were published with; their images may have other terms."""
    effect: str
    """What is known about PPLR, or another method, that starts from them."""
    source: str
    """Address of the folder of the files, or of the page that links to them."""
    files: Mapping[str, File]
    """By backbone."""
    direct: bool = True
    """Whether `source` is the folder; else a person has to use the page."""


_TORCHVISION = "https://download.pytorch.org/models"
_IBN = "https://github.com/XingangPan/IBN-Net/releases/download/v1.0"
_MOCO = "https://dl.fbaipublicfiles.com/moco/moco_checkpoints/moco_v2_800ep"
_LARGE = ("resnet50", "resnet101", "resnet152")

STARTS: Mapping[str, Start] = MappingProxyType({
    "imagenet": Start(
        "torchvision, ImageNet (IMAGENET1K_V1)",
        "BSD-3-Clause",
        "the paper's start: 81.5 mAP on Market-1501, 31.4 on MSMT17",
        _TORCHVISION,
        {
            "resnet18": File("resnet18-f37072fd.pth", 44.661),
            "resnet34": File("resnet34-b627a593.pth", 83.275),
            "resnet50": File("resnet50-0676ba61.pth", 97.781),
            "resnet101": File("resnet101-63fe2227.pth", 170.511),
            "resnet152": File("resnet152-394f9c45.pth", 230.434),
            "mobilenet_v2": File("mobilenet_v2-b0353104.pth", 13.555),
            "mobilenet_v3_large": File("mobilenet_v3_large-8738ca79.pth", 21.114),
            "efficientnet_b0": File("efficientnet_b0_rwightman-7f5810bc.pth", 20.451),
            "regnet_y_800mf": File("regnet_y_800mf-1b27b58c.pth", 24.774),
            "convnext_tiny": File("convnext_tiny-983f1562.pth", 109.119),
        },
    ),
    "imagenet-v2": Start(
        "torchvision, ImageNet (IMAGENET1K_V2)",
        "BSD-3-Clause",
        "not measured on PPLR; 3C gains 4.6 mAP on MSMT17, and within 0.2 elsewhere",
        _TORCHVISION,
        {
            "resnet50": File("resnet50-11ad3fa6.pth", 97.79),
            "resnet101": File("resnet101-cd907fc2.pth", 170.53),
            "resnet152": File("resnet152-f82ba261.pth", 230.474),
            "mobilenet_v2": File("mobilenet_v2-7ebf99e0.pth", 13.598),
            "mobilenet_v3_large": File("mobilenet_v3_large-5c1a4163.pth", 21.107),
            "regnet_y_800mf": File("regnet_y_800mf-58fc7688.pth", 24.774),
        },
    ),
    "ibn": Start(
        "IBN-Net, ImageNet",
        "MIT",
        "not measured on PPLR; 3C gains 0.9 to 6.5 mAP, O2CAP 1.0 to 4.5",
        _IBN,
        {
            "resnet18_ibn_a": File("resnet18_ibn_a-2f571257.pth"),
            "resnet34_ibn_a": File("resnet34_ibn_a-94bc1577.pth"),
            "resnet50_ibn_a": File("resnet50_ibn_a-d9d0bb7b.pth"),
            "resnet101_ibn_a": File("resnet101_ibn_a-59ea0ac6.pth"),
        },
    ),
    "moco-v2": Start(
        "MoCo v2, ImageNet without labels",
        "CC-BY-NC-4.0",
        "79.6 mAP on Market-1501 (ImageNet 81.5), 28.7 on MSMT17 (31.4)",
        _MOCO,
        {"resnet50": File("moco_v2_800ep_pretrain.pth.tar")},
    ),
    "lup": Start(
        "LUPerson, MoCo on 4 million people",
        "none published",
        "57.5 mAP on Market-1501 (ImageNet 81.5), 22.5 on MSMT17 (31.4)",
        "https://github.com/DengpanFu/LUPerson",
        {name: File(f"lup-{name}.pth") for name in _LARGE},
        direct=False,
    ),
    "lup-nl": Start(
        "LUPerson-NL, 10 million people with noisy labels",
        "none published",
        "84.2 mAP on Market-1501 (ImageNet 81.5), 25.0 on MSMT17 (31.4)",
        "https://github.com/DengpanFu/LUPerson-NL",
        {name: File(f"lup-nl-{name}.pth") for name in _LARGE},
        direct=False,
    ),
    "plip": Start(
        "PLIP, people and their descriptions",
        "MIT",
        "86.6 mAP on Market-1501 (ImageNet 81.5), 46.1 on MSMT17 (31.4)",
        "https://github.com/Zplusdragon/PLIP",
        {CLIP: File("plip-resnet50.pth")},
        direct=False,
    ),
})  # fmt: skip
"""All starts but `random` and `synthetic` (ours, for `tiny`)."""

RISK = (
    "the start decides more than any loss: PPLR ends at 81.5 mAP on Market-1501 from ImageNet, at "
    "57.5 from LUPerson"
)


def starts_of(backbone: str) -> list[str]:
    """Return the values of `model.weights` that a backbone can start from, besides a file."""
    named = [name for name, start in STARTS.items() if backbone in start.files]
    return [*named, *(["synthetic"] if backbone == "tiny" else []), "random"]
