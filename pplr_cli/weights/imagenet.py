"""Torchvision's ImageNet weights as a local file."""

from pathlib import Path

from pplr_cli.progress import Reporter
from pplr_cli.weights.catalogue import ImageNet, imagenet
from pplr_cli.weights.download import check_sha256, fetch


def imagenet_file(backbone: str, reporter: Reporter) -> Path:
    """Return the file of a backbone's ImageNet weights, downloading it once.

    It lies where torchvision itself keeps it: TORCH_HOME, else the user's cache.

    Raises:
        WeightsError: it is neither there nor to be had, or it is damaged.
    """
    entry = imagenet(backbone)
    target = entry.target
    if not target.is_file():
        return fetch(entry.url, target, entry.sha256, reporter, _way_out(entry))
    hint = "delete the file; it is then downloaded again"
    check_sha256(target, entry.sha256, str(target), hint)
    return target


def _way_out(entry: ImageNet) -> str:
    return (
        f"without a network: copy that file to `{entry.target}` (TORCH_HOME moves the place), "
        "or start from a file of your own with `--set model.weights=FILE`, or from `random`"
    )
