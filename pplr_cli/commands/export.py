"""`pplr export`: the retrieval feature as an ONNX file, checked against torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pplr_cli.commands import documents, options
from pplr_cli.commands.model import WeightsRequest
from pplr_cli.commands.options import takes
from pplr_cli.errors import UsageError
from pplr_cli.files import check_output, open_output
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from pplr_cli.data.cache import Pixels
    from pplr_cli.data.manifest import ImageSet
    from pplr_cli.retrieval.model import Model

To = Annotated[Path, typer.Option("--to", metavar="FILE.onnx", help="File to write.")]
Crops = Annotated[
    Path | None,
    typer.Option(
        "--crops",
        metavar="DIR",
        help="Images to check the file with (default: the data set's, else noise).",
    ),
]

CHECKED = 32
"""Largest number of crops to check the file with."""


class ExportDocument(documents.Document, command="export"):
    """A model that was exported."""

    file: documents.File
    weights: documents.Weights
    bytes: documents.Bytes
    preprocessing: dict[str, Any]
    """What the model expects, and what it does itself."""
    feature_size: documents.FeatureSize
    checked: dict[str, Any]
    """Source and number of the images, and the largest distance to the features of torch."""


@takes(WeightsRequest)
def export(
    to: To,
    overwrite: options.Overwrite = False,
    crops: Crops = None,
    **values: Any,
) -> None:
    """Export the retrieval feature of a weights file as an ONNX model."""
    if to.suffix != ".onnx":
        raise UsageError(f"`--to {to}`: the file's name must end in .onnx", "`--to model.onnx`")
    check_output(to, overwrite=overwrite)

    from pplr_cli.engine import onnx

    onnx.require_packages()
    request = WeightsRequest(**values)
    model = request.load(cache=False)
    height, width = model.config.data.height, model.config.data.width
    source, images = _crops(crops, model, request.data)
    about = {key: value for key, value in model.about.items() if key != "format"}
    content = onnx.build(model.network, height, width, about)
    difference = onnx.largest_difference(content, model.network, images)
    with open_output(to, overwrite=overwrite) as file:
        file.write(content)
    document: dict[str, Any] = {
        "file": str(to),
        "weights": str(request.weights),
        "bytes": len(content),
        "preprocessing": onnx.preprocessing(height, width),
        "feature_size": model.network.feature_size,
        "checked": {"crops": source, "images": len(images), "largest_difference": difference},
    }
    if request.json:
        request.console.document(ExportDocument(**document))
    else:
        _print(document, request.console)


def _crops(folder: Path | None, model: "Model", data_dir: Path) -> tuple[str, "Pixels"]:
    """Return where the crops for the check come from, and up to `CHECKED` of them, decoded."""
    import numpy as np

    from pplr_cli.data.manifest import Split
    from pplr_cli.ingest.folder import open_folder
    from pplr_cli.ingest.library import open_dataset, prepared_names

    data, reporter = model.config.data, model.runtime.reporter
    if folder is not None:
        return str(folder), _some(open_folder(folder, reporter), model)
    if data.name in prepared_names(data_dir):
        manifest = open_dataset(data.name, data_dir, reporter)
        splits = map(manifest.split, (Split.GALLERY, Split.TRAIN))
        return f"data set {data.name}", _some(next(filter(len, splits)), model)
    shape = (CHECKED, data.height, data.width, 3)
    return "noise", np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _some(images: "ImageSet", model: "Model") -> "Pixels":
    """Decode some of the images, evenly spaced."""
    return model.decode(images.files[:: -(-len(images) // CHECKED)])


def _print(document: dict[str, Any], console: Console) -> None:
    inside, checked = document["preprocessing"], document["checked"]
    mean, std = (", ".join(map(str, inside[key])) for key in ("mean", "std"))
    rows = [
        ("file", f"{document['file']} ({document['bytes'] / 1e6:.1f} MB)"),
        ("input", f"`{inside['input']}`: uint8 [N, {inside['height']}, {inside['width']}, 3], RGB"),
        ("resize before", f"{inside['width']} x {inside['height']} pixels, {inside['resize']}"),
        ("inside the model", f"scaling to 0..1, mean {mean}, deviation {std}"),
        ("output", f"`features`: float32 [N, {document['feature_size']}], each of length 1"),
        (
            "checked with",
            f"{checked['images']} crops ({checked['crops']}): at most "
            f"{checked['largest_difference']:.1g} from torch's features",
        ),
    ]
    console.table(("what", "value"), rows)
