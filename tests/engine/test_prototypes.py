"""Centroids and camera proxies against the official numbers."""

from pathlib import Path

import numpy as np
import torch

from pplr_cli.engine.prototypes import Proxies, camera_proxies, group_means


def test_are_the_official_ones(golden_dir: Path, device: torch.device) -> None:
    golden = np.load(golden_dir / "proxies.npz")
    parts = golden["features_part"].transpose(2, 0, 1)
    features = torch.from_numpy(np.concatenate((golden["features_global"][None], parts)))
    labels, cameras = torch.from_numpy(golden["labels"]), torch.from_numpy(golden["cams"])
    given = (features.to(device), labels.to(device))
    centroids = group_means(*given, int(labels.max()) + 1).cpu()
    proxies = Proxies(*(each.cpu() for each in camera_proxies(*given, cameras.to(device))))
    for found, name in ((centroids, "centroids"), (proxies.features, "camera_proxies")):
        np.testing.assert_allclose(found[0], golden[f"{name}_global"], atol=1e-5)
        np.testing.assert_allclose(found[1:].permute(1, 2, 0), golden[f"{name}_part"], atol=1e-5)
    assert proxies.clusters.tolist() == golden["proxy_labels"].tolist()
    assert proxies.cameras.tolist() == golden["proxy_cams"].tolist()


def test_outliers_belong_to_no_group() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 2.0], [5.0, 5.0]])
    means = group_means(features, torch.tensor([0, 1, -1]), 2)
    assert means.tolist() == [[1, 0], [0, 1]]
