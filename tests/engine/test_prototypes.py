"""Centroids and camera proxies against the official numbers."""

from pathlib import Path

import numpy as np
import pytest
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
    means = group_means(features[None], torch.tensor([0, 1, -1]), 2)
    assert means.tolist() == [[[1, 0], [0, 1]]]


@pytest.mark.parametrize("threads", [1, 2])
def test_one_branch_at_a_time_gives_the_bits_of_all_at_once(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        features = torch.nn.functional.normalize(torch.randn(4, 3000, 128), dim=2)
        groups = torch.randint(-1, 150, (3000,))
        groups[:150] = torch.arange(150)
        kept = groups >= 0
        sums = torch.zeros(4, 150, 128).index_add_(1, groups[kept], features[:, kept])
        expected = torch.nn.functional.normalize(sums, dim=2)
        assert torch.equal(group_means(features, groups, 150), expected)
    finally:
        torch.set_num_threads(before)
