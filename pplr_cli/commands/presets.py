"""`pplr presets`: list, show and copy the presets."""

from pathlib import Path
from typing import Annotated

import typer

from pplr_cli.commands import options
from pplr_cli.config import presets
from pplr_cli.config.document import annotated, differences
from pplr_cli.config.fields import Config
from pplr_cli.errors import PplrError, UsageError
from pplr_cli.files import write_text
from pplr_cli.terminal.console import Console

app = typer.Typer(help="List, show and copy the presets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A shipped preset, or a YAML file.")]

COLUMNS = ("name", "data set", "size", "backbone", "eps", "eps (cam)", "batch", "epochs")


@app.command("list")
def list_presets(json: options.Json = False) -> None:
    """List the shipped presets."""
    found = {name: _both_modes(name, []) for name in presets.names()}
    if json:
        Console().document([{"name": name, **_document(*both)} for name, both in found.items()])
        return
    Console().table(COLUMNS, [_row(name, *both) for name, both in found.items()])


@app.command(epilog="\b\nExample:\n  pplr presets show market --camera --set optim.epochs=10")
def show(
    name: Name,
    camera: Annotated[
        bool, typer.Option("--camera", help="The settings of train-cam, already resolved.")
    ] = False,
    settings: options.Set = None,
    json: options.Json = False,
) -> None:
    """Show every setting of a preset, resolved, as a preset file."""
    plain, with_camera = _both_modes(name, settings or [])
    if json:
        shown = with_camera.document() if camera else _document(plain, with_camera)
        Console().document(shown)
    elif camera:
        Console().result(annotated(with_camera).rstrip())
    else:
        changes = differences(plain.document(), with_camera.document())
        Console().result(annotated(plain, changes).rstrip())


@app.command(epilog="\b\nExample:\n  pplr presets copy market my-market.yaml")
def copy(
    name: Name,
    destination: Annotated[
        Path | None, typer.Argument(metavar="[DEST]", help="A folder or a .yaml file.")
    ] = None,
) -> None:
    """Copy a preset to a file that you can edit."""
    source = presets.find(name)
    target = destination or Path()
    if target.is_dir():
        target /= f"{source.stem}.yaml"
    if target.suffix not in presets.SUFFIXES:
        raise UsageError(f"`{target}`: not the name of a preset file", f"try `{target}.yaml`")
    if target.exists():
        raise PplrError(f"`{target}`: already there", "name another file")
    write_text(target, source.read_text(encoding="utf-8"))
    Console().result(str(target))


def _both_modes(name: str, settings: list[str]) -> tuple[Config, Config]:
    """Return the settings of train and of train-cam."""
    return presets.resolve(name, "train", settings), presets.resolve(name, "train-cam", settings)


def _document(plain: Config, camera: Config) -> dict[str, object]:
    values = plain.document()
    return {**values, presets.CAMERA: differences(values, camera.document())}


def _row(name: str, plain: Config, camera: Config) -> list[str]:
    return [
        name,
        plain.data.name,
        f"{plain.data.height} x {plain.data.width}",
        plain.model.backbone,
        f"{plain.clustering.eps}",
        f"{camera.clustering.eps}",
        f"{plain.batch.size}",
        f"{plain.optim.epochs} x {plain.optim.iters}",
    ]
