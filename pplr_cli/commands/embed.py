"""`pplr embed`: the features of a folder of crops, or of a data set, as a file."""

from pathlib import Path
from typing import Any, Literal

from pplr_cli.commands import documents, options
from pplr_cli.commands.model import CropsRequest
from pplr_cli.commands.options import takes
from pplr_cli.config.options import option


class EmbedDocument(documents.Document, command="embed"):
    """EmbedDocument written into a file."""

    files: list[Path]
    """Vectors first."""
    root: documents.Root
    images: documents.Images
    skipped: documents.Skipped
    resumed: int
    """Images taken over from an interrupted call."""
    feature_size: documents.FeatureSize
    type: Literal["float32", "float16"]
    weights: documents.Weights
    weights_sha256: documents.Digest


@takes(CropsRequest)
def embed(
    to: Path = option(..., "File to write: .npz, .npy or .parquet.", metavar="FILE"),
    half: bool = option(False, "Write float16 instead of float32."),
    overwrite: options.Overwrite = False,
    **values: Any,
) -> None:
    """Write path, camera, track and feature of each image; continues an interrupted call."""
    from pplr_cli.retrieval.feature_files import check_target, files

    check_target(to, overwrite=overwrite)

    from pplr_cli.retrieval.embedding import PARTIAL, embed_images
    from pplr_cli.weights.digest import file_sha256

    request = CropsRequest(**values)
    model, images, console = request.load(), request.images(), request.console
    digest = file_sha256(request.weights)
    try:
        found = embed_images(
            model, digest, images, to, half=half, skip_bad=request.skip_bad, overwrite=overwrite
        )
    except KeyboardInterrupt:
        console.info(f"interrupted; the same command continues from `{to}{PARTIAL}`")
        raise
    document = EmbedDocument(
        files=list(reversed(files(to))),
        root=found.images.root,
        images=len(found.images),
        skipped=len(images) - len(found.images),
        resumed=found.reused,
        feature_size=model.network.feature_size,
        type="float16" if half else "float32",
        weights=request.weights,
        weights_sha256=digest,
    )
    if request.json:
        console.document(document)
    else:
        size, kind = document.feature_size, document.type
        console.result(f"{len(found.images):,} images below `{images.root}`, {size} {kind} each")
        console.result(f"features: {', '.join(map(str, document.files))}")
