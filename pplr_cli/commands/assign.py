"""`pplr assign`: give new crops the identities of known ones, or new identities."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pplr_cli.commands import documents, label_output, options
from pplr_cli.commands.label_output import LabelOutput
from pplr_cli.commands.model import CropsRequest
from pplr_cli.commands.options import takes
from pplr_cli.config.options import option
from pplr_cli.config.types import Fraction

if TYPE_CHECKING:
    from pplr_cli.retrieval.threshold import Threshold


class ThresholdUsed(documents.Part):
    """The largest distance to a known image, and how it does on the known images."""

    distance: documents.Distance
    precision: Fraction | None
    recall: Fraction | None
    trials: int
    """Known images or tracks whose identity has another one."""


class AssignedLabel(documents.Part):
    """The identity of an image."""

    path: str
    pseudo_identity: int | str
    """Text if the known identities have names."""
    known: Literal[0, 1]
    """1 if it is a known identity."""
    distance: documents.Distance
    camera: str | None


class AssignDocument(label_output.Labelled, command="assign"):
    """Images with known or new identities."""

    weights: documents.Weights
    threshold: ThresholdUsed
    new_identities: int
    skipped: documents.Skipped
    labels: list[AssignedLabel]


@takes(CropsRequest)
def assign(
    known: Path = option(
        ...,
        "Known identities: a table of labels, or a folder with one per identity.",
        metavar="LABELS",
    ),
    known_images: Path | None = option(
        None, "Folder or data set of the table's images (default: DIR).", metavar="DIR"
    ),
    max_distance: float | None = option(
        None,
        "Largest distance to a known crop (default: chosen from the known crops).",
        min=0,
        max=2,
    ),
    to: label_output.Kind = label_output.TO,
    output: Path | None = label_output.OUTPUT,
    copy: bool = label_output.COPY,
    overwrite: options.Overwrite = False,
    **values: Any,
) -> None:
    """Write path, identity, distance and camera of each image."""
    target = LabelOutput.checked(to, output, copy, overwrite)

    from pplr_cli.ingest.folder import is_prepared, open_images
    from pplr_cli.ingest.known import read_known
    from pplr_cli.retrieval.assign import assign_images
    from pplr_cli.runs.labels import assigned_rows

    request = CropsRequest(**values)
    model, images, console = request.load(), request.images(), request.console
    others, folder = images, request.data
    if known_images is not None:
        its = None if is_prepared(known_images, folder) else request.pattern
        others = open_images(known_images, folder, console, pattern=its)
    labelled = read_known(known, others, console)
    found = assign_images(
        model, labelled, images, max_distance=max_distance, skip_bad=request.skip_bad
    )
    console.info(_describe(found.threshold, chosen=max_distance is None))
    if not found.threshold.separates:
        hint = "use a better model, or a smaller --max-distance: more become new identities"
        console.warn("more than half of the known identities given are probably wrong", hint)
    rows = list(assigned_rows(found))
    new = {row.pseudo_identity for row in rows if not row.known}
    olds = sum(row.known for row in rows)
    document = partial(
        AssignDocument,
        weights=request.weights,
        threshold=ThresholdUsed(**found.threshold._asdict()),
        new_identities=len(new),
        skipped=len(images) - len(found.images),
    )
    line = (
        f"{len(rows):,} images below `{found.images.root}`: {olds:,} of known identities, "
        f"{len(rows) - olds:,} in {len(new):,} new identities"
    )
    target.write(rows, found.images.root, line, console, document if request.json else None)


def _describe(threshold: "Threshold", *, chosen: bool) -> str:
    """Return the threshold and its precision and recall on the known crops."""
    how = "largest F-score on the known crops" if chosen else "--max-distance"
    text = f"threshold {threshold.distance:.3f} ({how})"
    if threshold.precision is None or threshold.recall is None:
        return text
    return (
        f"{text}: precision {100 * threshold.precision:.1f} %, recall "
        f"{100 * threshold.recall:.1f} % on {threshold.trials:,} of them"
    )
