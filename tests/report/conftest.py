"""A run that several tests look at, and a reader of its page."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pplr_cli.app import run
from pplr_cli.data.manifest import ImageSet, Manifest, Split
from pplr_cli.data.store import load_images
from pplr_cli.progress import Silent

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Done(NamedTuple):
    """A finished run and the images it trained on."""

    folder: Path
    images: ImageSet
    pixels: np.ndarray


@pytest.fixture(scope="session")
def done(
    tiny_preset: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Done]:
    """The tiny run in camera mode."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PPLR_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("runs") / "tiny"
        options = ["--preset", str(tiny_preset), "--data-dir", str(tiny_data)]
        assert run(["train-cam", *options, "--run-dir", str(folder), "-q"]) == 0
        images = Manifest.load(tiny_data / "tiny" / "manifest.json").split(Split.TRAIN)
        yield Done(folder, images, load_images(images, 32, 16, Silent(), workers=1, cache=False))


class Page(HTMLParser):
    """Reads a page strictly: every tag that opens must close, in order.

    Attributes:
        tags: every start tag with its attributes.
        text: the text, without style sheets.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"{tag}: an attribute twice"
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of that name."""
        return [attributes for name, attributes in self.tags if name == tag]
