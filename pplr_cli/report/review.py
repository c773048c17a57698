"""`review.html`: one page on which people correct the clusters of a run, without a server.

The page asks about pairs of images, those first whose answer would change most, and shows clusters
to split and merge. `templates/review.js` keeps the answers in the browser and saves `answers.csv`.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.files import write_text
from pplr_cli.labelling.answers import DIFFERENT, SAME
from pplr_cli.labelling.questions import questions
from pplr_cli.report.album import Album, spread
from pplr_cli.report.page import templates
from pplr_cli.runs.relabel import Clustered
from pplr_cli.text import printable

Ints = NDArray[np.int64]

REVIEW = "review.html"
WIDTH = 96
IN_A_CLUSTER, OF_A_TRACK = 12, 3
"""Images of a cluster, and of a track in a question."""


class Review(NamedTuple):
    """What a page contains."""

    pairs: int
    clusters: int
    of_clusters: int
    size: int


def write_review(path: Path, run: Path, clustered: Clustered, pairs: int, clusters: int) -> Review:
    """Write the page of a run.

    Args:
        path: the file.
        run: the run folder; its path and epoch are the key of the answers in the browser.
        clustered: the clusters to review.
        pairs: largest number of pairs.
        clusters: largest number of clusters.
    """
    data = _data(clustered, pairs, clusters)
    epoch = clustered.epoch
    data["key"] = f"{run.name}/{epoch}/{hashlib.sha256(bytes(run.resolve())).hexdigest()[:8]}"
    script = templates().get_template("review.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    total = clustered.pseudo.clusters
    about = {"run": run.name, "epoch": epoch, "images": len(clustered.images), "total": total}
    page = (
        templates()
        .get_template("review.html")
        .render(**about, data=data, script=script, digest=digest)
    )
    write_text(path, printable(page))
    return Review(len(data["pairs"]), len(data["clusters"]), total, path.stat().st_size)


def _data(clustered: Clustered, pairs: int, clusters: int) -> dict[str, Any]:
    """Return what the script needs: images by number, pairs and clusters of them, answers."""
    labels, images = clustered.pseudo.labels, clustered.images
    parts = clustered.parts()
    asked, change = questions(parts, labels)
    items = np.arange(len(labels)) if clustered.tracks is None else clustered.tracks.of
    fresh = ~_implied(asked, items, clustered)
    asked, change = asked[fresh][:pairs], change[fresh][:pairs]
    weight = np.zeros(clustered.pseudo.clusters + 1)  # the last for outliers
    for side in (0, 1):
        np.add.at(weight, labels[asked[:, side]], change)
    chosen = np.argsort(-weight[:-1], kind="stable")[:clusters]
    members = {int(c): _members(np.flatnonzero(labels == c), clustered) for c in chosen}
    views = {int(image): _view(image, clustered) for image in np.unique(asked)}
    shown = sorted({image for group in (*members.values(), *views.values()) for image in group})
    number = {image: n for n, image in enumerate(shown)}
    used = clustered.pseudo.arrays()
    album = Album(images, clustered.store.pixels, used, clustered.config.clustering, WIDTH)
    return {
        "images": [_image(album, image, items) for image in shown],
        "size": album.size,
        "pairs": [[number[a], number[b]] for a, b in asked.tolist()],
        "views": {number[image]: [number[each] for each in view] for image, view in views.items()},
        "clusters": [
            {"number": c, "size": int((labels == c).sum()), "images": [number[m] for m in group]}
            for c, group in members.items()
        ],
        "answers": _answers(clustered, items),
    }


def _image(album: Album, image: int, items: Ints) -> dict[str, Any]:
    crop = album.crop(image, alone=True)
    return {"path": crop.path, "note": crop.note, "item": int(items[image]), "uri": crop.uri}


def _members(images: Ints, clustered: Clustered) -> list[int]:
    """Return the images that are shown of a cluster: one of each track, ordered by camera."""
    if clustered.tracks is not None:
        images = images[np.unique(clustered.tracks.of[images], return_index=True)[1]]
    order = np.argsort(clustered.images.cameras[images], kind="stable")
    return [int(image) for image in spread(images[order], IN_A_CLUSTER)]


def _view(image: int, clustered: Clustered) -> list[int]:
    """Return the image itself and, with tracks, others of its track."""
    if clustered.tracks is None:
        return [int(image)]
    track = np.flatnonzero(clustered.tracks.of == clustered.tracks.of[image])
    others = spread(track[track != image], OF_A_TRACK - 1)
    return [int(image), *others.tolist()]


def _answers(clustered: Clustered, items: Ints) -> list[list[Any]]:
    """Return the answers known already: paths, answer and items of each."""
    if clustered.answers is None:
        return []
    paths = [printable(path) for path in clustered.images.paths]
    known = {SAME: clustered.answers.same, DIFFERENT: clustered.answers.different}
    return [
        [paths[a], paths[b], answer, int(items[a]), int(items[b])]
        for answer, found in known.items()
        for a, b in found.tolist()
    ]


def _implied(asked: Ints, items: Ints, clustered: Clustered) -> NDArray[np.bool_]:
    """Return which pairs the known answers decide, bool [Q]."""
    from pplr_cli.labelling.constraints import connected

    if clustered.answers is None:
        return np.zeros(len(asked), bool)
    known = clustered.answers.of(items)
    groups = connected(known.same, int(items.max()) + 1)
    apart = {frozenset(pair) for pair in groups[known.different].tolist()}
    pairs = groups[items[asked]].tolist()
    return np.array([a == b or frozenset((a, b)) in apart for a, b in pairs], bool)
