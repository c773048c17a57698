"""The training images in the report: some clusters, and outliers with the reasons."""

import base64
import io
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from pplr_cli.config.fields import Clustering
from pplr_cli.data.compact import Images
from pplr_cli.data.images import UNKNOWN, ImageSet
from pplr_cli.labelling.clustering import OUTLIER, why_outlier
from pplr_cli.report.label_quality import purities
from pplr_cli.text import printable

Arrays = dict[str, NDArray[Any]]

WIDTH = 64
TALLEST = 2
"""Largest height / width of a displayed crop: networks see people stretched."""
QUALITY = 80
CLUSTERS, IN_A_CLUSTER, OUTLIERS = 2, 10, 6
"""Clusters of each kind, crops of a cluster, and outliers displayed."""


class Crop(NamedTuple):
    """An image: data URI, path, and a note with camera, cluster or identity.

    `kind` says why it is framed: a neighbour `within` eps, or of an`other` identity.
    """

    uri: str
    path: str
    note: str
    kind: str = ""


class Cluster(NamedTuple):
    """Some images of a cluster, the reason for its choice (`kind`), its number of identities."""

    number: int
    kind: str
    about: str
    crops: list[Crop]
    identities: int | None


class Outlier(NamedTuple):
    """An image in no cluster, its nearest images, and the reason (empty = not recorded)."""

    crop: Crop
    nearest: list[Crop]
    why: str


class Album:
    """Draws the images of an epoch.

    Args:
        images: the training images.
        pixels: uint8 [N, H, W, 3].
        arrays: the epoch's `labels`, `agreement` and, if recorded, the explanation.
        clustering: the settings of the run.
        width: of a crop in pixels.
    """

    def __init__(
        self,
        images: ImageSet,
        pixels: Images,
        arrays: Arrays,
        clustering: Clustering,
        width: int = WIDTH,
    ) -> None:
        self._images, self._pixels, self._arrays = images, pixels, arrays
        self._clustering = clustering
        self._labels: NDArray[np.int64] = arrays["labels"]
        _, height, columns, _ = pixels.shape
        self.size = (width, round(width * min(height / columns, TALLEST)))

    def clusters(self) -> list[Cluster]:
        """Return the largest, median, least agreed and least pure clusters, none twice."""
        sizes = np.bincount(self._labels[self._labels != OUTLIER])
        by_size = np.argsort(-sizes, kind="stable")
        middle = max(len(by_size) // 2 - CLUSTERS // 2, 0)
        agreement = [self._agreement(number) for number in range(len(sizes))]
        impure: Sequence[int] | NDArray[np.int64] = [] if self.impure is None else self.impure
        shown: dict[int, str] = {}
        for kind, order in (
            ("largest", by_size),
            ("median", np.roll(by_size, -middle)),
            ("least agreed", np.argsort(agreement, kind="stable")),
            ("least pure", impure),
        ):
            fresh = [int(each) for each in order if int(each) not in shown]
            shown |= dict.fromkeys(fresh[:CLUSTERS], kind)
        return [self._cluster(number, kind) for number, kind in shown.items()]

    def outliers(self) -> list[Outlier]:
        """Return outliers, from the fewest to the most neighbours."""
        found = np.flatnonzero(self._labels == OUTLIER)
        if "neighbors" in self._arrays:
            keys = (self._arrays["reciprocal"][found], self._arrays["neighbors"][found])
            found = found[np.lexsort(keys)]
        return [self._outlier(int(image)) for image in spread(found, OUTLIERS)]

    @cached_property
    def impure(self) -> NDArray[np.int64] | None:
        """The clusters of several identities, the worst first; None if identities are unknown."""
        if not self._images.has_identities:
            return None
        shares = purities(self._labels, self._images.identities)
        order = np.argsort(shares, kind="stable")
        return np.asarray(order[shares[order] < 1])

    def _agreement(self, cluster: int) -> float:
        return float(self._arrays["agreement"][self._labels == cluster].mean())

    def _cluster(self, number: int, kind: str) -> Cluster:
        members = np.flatnonzero(self._labels == number)
        cameras, identities = self._images.cameras[members], self._images.identities[members]
        found, who, counts = np.unique(identities, return_inverse=True, return_counts=True)
        known = self._images.has_identities
        others = (who != counts.argmax()) & known
        about = [f"{len(members):,} images"]
        if self._images.has_cameras:
            seen = len(np.unique(cameras))
            about.append(f"{seen} camera{'s' if seen > 1 else ''}")
        about.append(f"agreement {self._agreement(number):.2f}")
        if known:
            about.append(f"{100 * counts.max() / len(members):.0f} % one identity")
        shown = spread(np.lexsort((cameras, identities, others)), IN_A_CLUSTER)
        crops = [self._member(int(members[n]), other=bool(others[n])) for n in shown]
        return Cluster(number, kind, ", ".join(about), crops, len(found) if known else None)

    def _member(self, image: int, *, other: bool) -> Crop:
        """Return an image of a cluster; one of another identity than most is marked."""
        crop = self.crop(image, alone=True)
        if not other:
            return crop
        name = printable(self._images.names.identity(int(self._images.identities[image])))
        note = ", ".join(filter(None, (crop.note, f"identity {name}")))
        return crop._replace(note=note, kind="other")

    def _outlier(self, image: int) -> Outlier:
        if "neighbors" not in self._arrays:
            return Outlier(self.crop(image), [], "")
        pairs = zip(self._arrays["nearest"][image], self._arrays["within"][image], strict=True)
        nearest = [self.crop(int(other), kind="within" if near else "") for other, near in pairs]
        neighbors, reciprocal = (int(self._arrays[n][image]) for n in ("neighbors", "reciprocal"))
        why = why_outlier(neighbors, reciprocal, self._clustering)
        return Outlier(self.crop(image), nearest, why)

    def crop(self, image: int, *, kind: str = "", alone: bool = False) -> Crop:
        """Return an image with its camera and, unless `alone`, its cluster."""
        label, camera = int(self._labels[image]), int(self._images.cameras[image])
        notes = []
        if camera != UNKNOWN:
            notes.append(f"camera {printable(self._images.names.camera(camera))}")
        if not alone:
            notes.append("outlier" if label == OUTLIER else f"cluster {label}")
        path = printable(self._images.paths[image])
        return Crop(self._uri(image), path, ", ".join(notes), kind)

    def _uri(self, image: int) -> str:
        picture = Picture.fromarray(np.asarray(self._pixels[image]))
        buffer = io.BytesIO()
        picture.resize(self.size, Picture.Resampling.LANCZOS).save(
            buffer, "JPEG", quality=QUALITY, optimize=True
        )
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def spread(items: Sequence[int] | NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most `most` of the items, evenly spread from the first to the last."""
    count = min(most, len(items))
    places = np.linspace(0, len(items) - 1, count).round().astype(np.int64)
    return np.asarray(items, dtype=np.int64)[places]
