"""`pplr export`: the retrieval feature for other programs, checked against torch."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pplr_cli.commands import options
from pplr_cli.commands.export_output import (
    Checked,
    ExportDocument,
    Inside,
    ThresholdChosen,
    rows,
)
from pplr_cli.commands.model import WeightsRequest
from pplr_cli.commands.options import takes
from pplr_cli.config.options import option
from pplr_cli.export.choice import Choice, Format, Input, Target, choose
from pplr_cli.files import check_output, open_output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pplr_cli.data.images import ImageSet
    from pplr_cli.data.manifest import Manifest
    from pplr_cli.export.labelled import Labelled
    from pplr_cli.retrieval.model import Model

CHECKED = 32
"""Largest number of crops to check the file with."""


@takes(WeightsRequest)
def export(
    to: Path = option(
        ...,
        "File (.onnx, .safetensors or .torchscript), or folder with a model card.",
        metavar="FILE|DIR",
    ),
    kind: Format | None = option(None, "Format (default: by the suffix of FILE).", "--format"),
    target: Target | None = option(
        None, "Program to export for; chooses format and input.", "--for"
    ),
    form: Input | None = option(
        None,
        "What the model takes: uint8 [N, H, W, 3] (the default), normalised float32 "
        "[N, 3, H, W], or float32 from 0 to 1.",
        "--input",
    ),
    half: bool = option(False, "Store and compute in float16."),
    batch: str = option("dynamic", "Images of every call (ONNX).", metavar="dynamic|N"),
    licence: str | None = option(
        None, "Licence of the weights, for the model card: mit, ...", "--license", metavar="ID"
    ),
    overwrite: options.Overwrite = False,
    crops: Path | None = option(
        None,
        "Images to check the file with (default: the data set's, else noise).",
        metavar="DIR",
    ),
    **values: Any,
) -> None:
    """Export the retrieval feature of a weights file for other programs."""
    choice = choose(to, kind, form, batch, target, half=half)
    check_output(to, overwrite=overwrite, folder=choice.folder is not None)

    from pplr_cli.export import formats
    from pplr_cli.export.card import is_untrained, render, write_card
    from pplr_cli.export.labelled import find_threshold

    formats.require_packages(choice.format)
    request = WeightsRequest(**values)
    model, manifest = request.load(cache=False), None
    if crops is None or choice.folder is not None:
        manifest = _data_set(model, request.data)
    labelled = find_threshold(model, manifest) if choice.folder and manifest else None
    _warn(request, labelled, licence, untrained=is_untrained(model))
    content, checked = _build(model, choice, *_crops(crops, model, manifest))
    if choice.folder is not None:
        prepared = manifest is not None
        card = render(model, choice, request.weights, labelled, prepared=prepared, licence=licence)
        write_card(choice.folder, card, model)
    with open_output(choice.path, overwrite=overwrite) as file:
        file.write(content)
    document = ExportDocument(
        file=choice.path,
        weights=request.weights,
        format=choice.format,
        target=choice.target,
        half=half,
        opset=formats.opset(choice.format),
        bytes=len(content),
        preprocessing=formats.describe(model, choice)["preprocessing"],
        feature_size=model.network.feature_size,
        checked=checked,
        threshold=_chosen(labelled),
    )
    if request.json:
        request.console.document(document)
    else:
        request.console.table(("what", "value"), list(rows(document)))


def _warn(
    request: WeightsRequest, labelled: "Labelled | None", licence: str | None, *, untrained: bool
) -> None:
    """Warn of weights that are probably not worth publishing, and of an unusual licence."""
    from pplr_cli.export.card import LICENCES

    warn = request.console.warn
    if untrained:
        hint = "export `last.pth` if you want the trained network"
        warn(f"`{request.weights}` has the starting weights of its run, before training", hint)
    if labelled is not None and not labelled.threshold.separates:
        hint = "use a better model: more than half of the matches at the threshold are wrong"
        warn("the model does not separate identities", hint)
    if licence is not None and licence.lower() not in LICENCES.split():
        hint = "use an SPDX identifier such as mit or cc-by-4.0, or `other`"
        warn(f"`--license {licence}`: model hubs may not know this licence", hint)


def _data_set(model: "Model", data_dir: Path) -> "Manifest | None":
    """Open the data set of the training, if it is prepared."""
    from pplr_cli.ingest.library import open_dataset, prepared_names

    name = model.config.data.name
    if name not in prepared_names(data_dir):
        return None
    return open_dataset(name, data_dir, model.runtime.reporter)


def _crops(
    folder: Path | None, model: "Model", manifest: "Manifest | None"
) -> "tuple[str, list[NDArray[np.uint8]]]":
    """Return where the crops for the check come from, and up to `CHECKED` of them, uint8 RGB."""
    import numpy as np

    from pplr_cli.data.images import Split
    from pplr_cli.ingest.folder import open_folder

    if folder is not None:
        return str(folder), _some(open_folder(folder, model.runtime.reporter), model)
    if manifest is not None:
        splits = map(manifest.split, (Split.GALLERY, Split.TRAIN))
        return f"data set {manifest.name}", _some(next(filter(len, splits)), model)
    shape = (CHECKED, model.config.data.height, model.config.data.width, 3)
    return "noise", list(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def _some(images: "ImageSet", model: "Model") -> "list[NDArray[np.uint8]]":
    """Decode some of the images, evenly spaced, in their own size."""
    import numpy as np

    from pplr_cli.data.decode import decode

    files = images.files[:: -(-len(images) // CHECKED)]
    model.decode(files)  # lists all that are broken
    return [np.asarray(decode(file, upright=True)) for file in files]


def _build(
    model: "Model", choice: Choice, source: str, crops: "list[NDArray[np.uint8]]"
) -> tuple[bytes, Checked]:
    """Return the content of the model file, and how the check of it went.

    Nothing may be decoded after it: ultralytics replaces functions of Pillow and torch.
    """
    from pplr_cli.export import formats
    from pplr_cli.export.check import check_file
    from pplr_cli.export.targets import check_inside

    content = formats.build(model, choice)
    with tempfile.TemporaryDirectory(prefix="pplr-export-") as folder:
        file = Path(folder) / choice.path.name
        file.write_bytes(content)
        found = check_file(file, choice, model, model.decode(crops))
        inside = check_inside(file, choice, model, crops) if choice.target else None
    return content, Checked(
        crops=source,
        images=len(crops),
        program=formats.runner(choice.format),
        largest_difference=found.distance,
        smallest_cosine=found.cosine,
        images_per_second=found.speed,
        inside=Inside(**inside._asdict()) if inside else None,
    )


def _chosen(labelled: "Labelled | None") -> ThresholdChosen | None:
    if labelled is None:
        return None
    threshold = labelled.threshold
    assert threshold.precision is not None
    assert threshold.recall is not None
    return ThresholdChosen(
        distance=threshold.distance,
        precision=threshold.precision,
        recall=threshold.recall,
        images=labelled.images,
        identities=labelled.identities,
        source=labelled.source,
    )
