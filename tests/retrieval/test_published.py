"""The paper's figures are shown only beside scores on the same images."""

from dataclasses import replace
from pathlib import Path

import pytest

from pplr_cli.data.images import Image, Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.retrieval.published import FIGURES, figures_for

COUNTS = {"market": (3368, 750, 15913), "msmt17": (11659, 3060, 82161), "veri": (1678, 200, 11579)}


def benchmark(layout: str) -> Manifest:
    """A manifest with the published numbers of test images."""
    queries, people, gallery = COUNTS[layout]
    images = [
        Image(split, f"{split}/{n}.jpg", n % people, n % 2)
        for split, count in ((Split.QUERY, queries), (Split.GALLERY, gallery))
        for n in range(count)
    ]
    return Manifest("mine", layout, Path("/nowhere"), tuple(images), {})


@pytest.mark.parametrize("layout", COUNTS)
def test_the_published_data_set_has_figures(layout: str) -> None:
    assert figures_for(benchmark(layout)) == FIGURES[layout]


def test_fragments_and_other_layouts_have_none() -> None:
    whole = benchmark("veri")
    query = [image for image in whole.images if image.split == Split.QUERY]
    gallery = [image for image in whole.images if image.split == Split.GALLERY]
    for images in (query[:1] + gallery, query + gallery[1:], query, gallery, query[:1]):
        assert figures_for(replace(whole, images=tuple(images))) == {}
    for layout in ("market", "folder", "synthetic"):
        assert figures_for(replace(whole, layout=layout)) == {}
