"""`pplr cluster`: identities of a folder of crops, or of a data set, without training."""

from functools import partial
from pathlib import Path
from typing import Any

from pplr_cli.commands import documents, label_output, options
from pplr_cli.commands.label_output import LabelOutput
from pplr_cli.commands.model import CropsRequest
from pplr_cli.commands.options import takes


class ClusterDocument(label_output.Labelled, command="cluster"):
    """Images grouped into identities."""

    weights: documents.Weights
    clusters: documents.Clusters
    outliers: documents.Outliers
    skipped: documents.Skipped
    labels: list[label_output.Label]


@takes(CropsRequest)
def cluster(
    to: label_output.Kind = label_output.TO,
    output: Path | None = label_output.OUTPUT,
    copy: bool = label_output.COPY,
    overwrite: options.Overwrite = False,
    **values: Any,
) -> None:
    """Write path, pseudo-identity, agreement and camera of each image."""
    target = LabelOutput.checked(to, output, copy, overwrite)

    from pplr_cli.retrieval.clusters import cluster_images
    from pplr_cli.runs.labels import label_rows

    request = CropsRequest(**values)
    model, opened = request.load(), request.images()
    images, pseudo = cluster_images(model, opened, skip_bad=request.skip_bad)
    rows = list(label_rows(images, pseudo.labels, pseudo.agreement.mean(1)))
    document = partial(
        ClusterDocument,
        weights=request.weights,
        clusters=pseudo.clusters,
        outliers=pseudo.outliers,
        skipped=len(opened) - len(images),
    )
    line = (
        f"{len(rows):,} images below `{images.root}`, {pseudo.clusters:,} pseudo-identities, "
        f"{pseudo.outliers:,} outliers (-1)"
    )
    target.write(rows, images.root, line, request.console, document if request.json else None)
