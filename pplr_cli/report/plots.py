"""The pictures of an evaluation: `pplr evaluate --plots DIR`.

Best, worst and random queries with their ranked results, the CMC curve, the histograms of
distances, and a table of all queries.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pplr_cli.data.images import UNKNOWN, ImageSet
from pplr_cli.files import atomic_write, remove_numbered
from pplr_cli.report.curves import draw_cmc, draw_separation
from pplr_cli.report.ranked import Match, Result, draw_ranked
from pplr_cli.retrieval.nearest import NONE
from pplr_cli.retrieval.survey import Survey
from pplr_cli.text import csv_text, printable

TOP = 10
"""Gallery images shown of each query."""
EACH = 6
"""Queries in each of the groups."""
SEED = 1
"""Seed of the random queries, which depend on file names only, not on the weights."""
TABLE = "queries.csv"


@dataclass(frozen=True)
class Evaluation:
    """The results to draw."""

    name: str  # of the data set
    query: ImageSet  # the query images
    gallery: ImageSet  # the gallery images
    survey: Survey  # the results
    rerank: bool  # whether the distances are re-ranked ones


def draw_plots(evaluation: Evaluation, folder: Path) -> None:
    """Write all pictures and the table into `folder`; replace those of an earlier call.

    Raises:
        DataError: an image to be shown cannot be decoded.
    """
    survey, name, upright = evaluation.survey, evaluation.name, evaluation.query.upright
    for group, queries in choose(evaluation).items():
        remove_numbered(folder / group, ".png")
        results = [_result(evaluation, query) for query in queries]
        for suffix in (".png", ".pdf"):
            path, title = folder / f"{group}{suffix}", f"{name}: {group} queries"
            draw_ranked(results, path, title, upright=upright)
        for number, (query, result) in enumerate(zip(queries, results, strict=True), 1):
            label = file_name(evaluation.query.paths[query])
            draw_ranked([result], folder / group / f"{number}-{label}.png", upright=upright)
    for suffix in (".png", ".pdf"):
        draw_cmc(survey.scores, folder / f"cmc{suffix}", name)
        path = folder / f"distances{suffix}"
        draw_separation(survey.separation, path, name, rerank=evaluation.rerank)
    _write_table(evaluation, folder / TABLE)


def choose(evaluation: Evaluation) -> dict[str, list[int]]:
    """Return the positions of the best, the worst and some random queries that have a match.

    Ties are in random order.
    """
    precision, paths = evaluation.survey.precision, evaluation.query.paths
    evaluated = [int(query) for query in np.flatnonzero(~np.isnan(precision))]
    shuffled = sorted(evaluated, key=lambda query: _lot(paths[query]))
    by_precision = sorted(shuffled, key=lambda query: -precision[query])
    return {
        "best": by_precision[:EACH],
        "worst": by_precision[::-1][:EACH],
        "random": shuffled[:EACH],
    }


def _lot(path: str) -> bytes:
    return hashlib.sha256(f"{SEED}:{path}".encode(errors="surrogateescape")).digest()


def file_name(path: str) -> str:
    """Return an image's path as part of a file name; special characters become `_`."""
    stem = path.rpartition(".")[0] or path
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", stem)[-100:]


def _result(evaluation: Evaluation, query: int) -> Result:
    survey, images = evaluation.survey, evaluation.query
    name = printable(images.names.identity(images.identities[query]))
    ranked = zip(*(values[query] for values in survey.ranked), strict=True)
    matches = [_match(evaluation, query, *found) for found in ranked if found[0] != NONE]
    path, place = images.paths[query], int(survey.place[query])
    first = None
    if place >= len(matches):
        first = (place + 1, _match(evaluation, query, *(each[query, 0] for each in survey.first)))
    score = f"average precision {survey.precision[query]:.3f}, first match at rank {place + 1:,}"
    heading = f"{path}   identity {name}   {score}"
    return Result(images.root / path, heading, matches, _camera(images, query), first)


def _match(evaluation: Evaluation, query: int, image: int, distance: float) -> Match:
    gallery = evaluation.gallery
    right = bool(gallery.identities[image] == evaluation.query.identities[query])
    shown = distance if evaluation.rerank else np.sqrt(max(distance, 0))
    return Match(gallery.files[image], float(shown), right, _camera(gallery, image))


def _camera(images: ImageSet, image: int) -> str:
    """Return the camera of an image as a caption; empty if it is unknown."""
    camera = images.cameras[image]
    return "" if camera == UNKNOWN else f"camera {images.names.camera(camera)}"


def _write_table(evaluation: Evaluation, path: Path) -> None:
    """Write a line for each query: average precision and rank of the first match."""
    query, survey = evaluation.query, evaluation.survey
    rows = []
    for number, name in enumerate(query.paths):
        precision, place = survey.precision[number], survey.place[number]
        found = (None, None) if np.isnan(place) else (f"{precision:.6f}", int(place) + 1)
        who = query.names.identity(query.identities[number])
        where = query.names.camera(query.cameras[number])
        rows.append((name, who, where, *found))
    columns = ("query", "identity", "camera", "average_precision", "first_match_rank")
    with atomic_write(path) as file:
        file.write(csv_text(columns, rows).encode(errors="surrogateescape"))
