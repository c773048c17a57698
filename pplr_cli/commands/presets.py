"""`pplr presets`: list, show and copy the presets."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pplr_cli.commands import completion, documents, options
from pplr_cli.config import presets
from pplr_cli.config.document import annotated, differences
from pplr_cli.config.fields import Config
from pplr_cli.config.options import argument, option
from pplr_cli.errors import UsageError
from pplr_cli.files import open_output
from pplr_cli.terminal.console import Console

app = typer.Typer(help="List, show and copy the presets.", no_args_is_help=True)

NAME: str = argument(
    ...,
    "Name of a shipped preset, or a YAML file.",
    "NAME",
    autocompletion=completion.preset_names,
)

COLUMNS = {
    "name": "",
    "data set": "{0.data.name}",
    "size": "{0.data.height} x {0.data.width}",
    "backbone": "{0.model.backbone}",
    "eps": "{0.clustering.eps}",
    "eps (cam)": "{1.clustering.eps}",
    "batch": "{0.batch.size}",
    "epochs": "{0.optim.epochs} x {0.optim.iters}",
}
"""Columns of the list, made of the settings of train (0) and train-cam (1)."""


class Preset(documents.Part):
    """The settings of a preset."""

    preset: Annotated[str, documents.meaning("Name of the preset, or its file.")]
    settings: Annotated[dict[str, Any], documents.meaning("Every setting.")]
    camera: Annotated[dict[str, Any], documents.meaning("What train-cam changes.")]


class ListDocument(documents.Document, command="presets-list"):
    """The shipped presets."""

    presets: list[Preset]


class ShowDocument(Preset, documents.Document, command="presets-show"):
    """A preset; with `--camera`, train-cam's changes are part of the settings."""


class CopyDocument(documents.Document, command="presets-copy"):
    """A preset that was copied."""

    file: documents.File


@app.command("list")
def list_presets(json: options.Json = False) -> None:
    """List the shipped presets."""
    found = {name: _both_modes(name, []) for name in presets.names()}
    if json:
        listed = [Preset(**_document(name, *both)) for name, both in found.items()]
        Console().document(ListDocument(presets=listed))
        return
    rows = [
        [name, *(t.format(*both) for t in COLUMNS.values() if t)] for name, both in found.items()
    ]
    Console().table(list(COLUMNS), rows)


@app.command(epilog="\b\nExample:\n  pplr presets show market --camera --set optim.epochs=10")
@options.takes()
def show(
    name: str = NAME,
    camera: bool = option(False, "Show the settings of train-cam."),
    settings: options.Set = None,
    json: options.Json = False,
) -> None:
    """Print every setting of a preset, as a preset file."""
    plain, with_camera = _both_modes(name, settings or [])
    if json:
        shown = _document(name, with_camera if camera else plain, with_camera)
        Console().document(ShowDocument(**shown))
    elif camera:
        Console().result(annotated(with_camera).rstrip())
    else:
        changes = differences(plain.document(), with_camera.document())
        Console().result(annotated(plain, changes).rstrip())


@app.command(epilog="\b\nExample:\n  pplr presets copy market my-market.yaml")
@options.takes()
def copy(
    name: str = NAME,
    destination: Path | None = argument(None, "A folder or a .yaml file.", "[DEST]"),
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Copy a preset to a file that you can edit."""
    source = presets.find(name)
    target = destination or Path()
    if target.is_dir():
        target /= f"{source.stem}.yaml"
    if target.suffix not in presets.SUFFIXES:
        raise UsageError(f"`{target}`: not a preset file name", f"try `{target}.yaml`")
    with open_output(target, overwrite=overwrite) as file:
        file.write(source.read_bytes())
    if json:
        Console().document(CopyDocument(file=target))
    else:
        Console().result(str(target))


def _both_modes(name: str, settings: list[str]) -> tuple[Config, Config]:
    """Return the settings of train and of train-cam."""
    return presets.resolve(name, "train", settings), presets.resolve(name, "train-cam", settings)


def _document(name: str, plain: Config, camera: Config) -> dict[str, Any]:
    """Return the fields of a `Preset`."""
    values = plain.document()
    return {
        "preset": name,
        "settings": values,
        "camera": differences(values, camera.document()),
    }
