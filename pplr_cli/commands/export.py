"""`pplr export`: the retrieval feature as an ONNX file, checked against torch."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pplr_cli import env
from pplr_cli.commands import options
from pplr_cli.config import presets
from pplr_cli.errors import UsageError
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from pplr_cli.config.fields import Config
    from pplr_cli.data.cache import Pixels
    from pplr_cli.data.manifest import ImageSet
    from pplr_cli.runtime import Runtime
    from pplr_cli.synthetic.world import World

To = Annotated[Path, typer.Option("--to", metavar="FILE.onnx", help="The file to write.")]
Crops = Annotated[
    Path | None,
    typer.Option(
        "--crops",
        metavar="DIR",
        help="Images to check the file with (default: the data set's, else drawn ones).",
    ),
]

CHECKED = 32
"""Crops that the file is checked with, at most."""


def export(
    weights: options.Weights,
    to: To,
    crops: Crops = None,
    preset: options.OptionalPreset = None,
    data_dir: options.DataDir = None,
    settings: options.Set = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Export the retrieval feature of a weights file as an ONNX model."""
    if to.suffix != ".onnx":
        raise UsageError(f"`--to {to}`: the file's name must end in .onnx", "`--to model.onnx`")

    from pplr_cli.engine import onnx
    from pplr_cli.files import atomic_write
    from pplr_cli.retrieval.model import Model
    from pplr_cli.runtime import Runtime

    onnx.require_packages()
    console = Console(verbosity=verbose - quiet)
    runtime = Runtime(reporter=console, workers=options.CORES, cache=False)
    model = Model.load(weights, runtime, preset, presets.overrides(settings or ()))
    network, config = model.network, model.config
    source, images = _crops(crops, config, env.data_dir(data_dir), runtime)
    about = {key: value for key, value in model.about.items() if key != "format"}
    content = onnx.build(network, config.data.height, config.data.width, about)
    difference = onnx.largest_difference(content, network, images)
    with atomic_write(to) as file:
        file.write(content)
    document = {
        "file": str(to),
        "weights": str(weights),
        "bytes": len(content),
        "preprocessing": onnx.preprocessing(config.data.height, config.data.width),
        "feature_size": network.feature_size,
        "checked": {"crops": source, "images": len(images), "largest_difference": difference},
    }
    if json:
        console.document(document)
    else:
        _print(document, console)


def _crops(
    folder: Path | None, config: "Config", data_dir: Path, runtime: "Runtime"
) -> tuple[str, "Pixels"]:
    """Return where the crops for the check come from, and up to `CHECKED` of them."""
    from pplr_cli.data.manifest import Split
    from pplr_cli.ingest.folder import open_folder
    from pplr_cli.ingest.library import open_dataset, prepared_names
    from pplr_cli.synthetic import world

    name = config.data.name
    if folder is not None:
        return str(folder), _load(open_folder(folder, runtime.reporter), config, runtime)
    if name in prepared_names(data_dir):
        manifest = open_dataset(name, data_dir, runtime.reporter)
        images = next(
            part for part in map(manifest.split, (Split.GALLERY, Split.TRAIN)) if len(part)
        )
        return f"data set {name}", _load(images, config, runtime)
    with tempfile.TemporaryDirectory() as drawn:
        world.make(Path(drawn), _world(config), seed=0, reporter=runtime.reporter)
        return "drawn", _load(open_folder(Path(drawn), runtime.reporter), config, runtime)


def _world(config: "Config") -> "World":
    """Return a synthetic world of crops of the network's size."""
    from pplr_cli.synthetic.world import World

    size = {"height": config.data.height, "width": config.data.width}
    return World(
        stream=2, train_people=8, test_people=0, cameras=4, visits=(4, 4), shots=(1, 1), **size
    )


def _load(images: "ImageSet", config: "Config", runtime: "Runtime") -> "Pixels":
    """Decode some of the images, evenly spread."""
    from pplr_cli.data.cache import decode_images

    step = -(-len(images) // CHECKED)
    some = replace(
        images,
        paths=images.paths[::step],
        identities=images.identities[::step],
        cameras=images.cameras[::step],
        contents=images.contents[::step],
    )
    size = (config.data.height, config.data.width)
    return decode_images(some, *size, runtime.reporter, runtime.workers)


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
