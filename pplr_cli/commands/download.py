"""`pplr download-weights`: list and fetch the official weights and ImageNet backbones."""

from typing import Annotated

import typer

from pplr_cli.commands import options
from pplr_cli.console import Console
from pplr_cli.errors import UsageError
from pplr_cli.wording import nearest

Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="What to fetch (default: list what there is).")
]
File = Annotated[
    str | None,
    typer.Option("--file", help="Path in the authors' folder, where names there are not clear."),
]


def download_weights(
    name: Name = None,
    file: File = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """List the weights that can be fetched, or fetch one of them and print its path."""
    from pplr_cli.weights.catalogue import Official, everything
    from pplr_cli.weights.drive import fetch_official
    from pplr_cli.weights.imagenet import imagenet_file

    console = Console(verbosity=verbose - quiet)
    entries = everything()
    if name is None:
        rows = [
            (
                each.name,
                each.description,
                "yes" if each.target.is_file() else "no",
                str(each.target),
            )
            for each in entries.values()
        ]
        console.table(("name", "weights", "there", "file"), rows)
        return
    if name not in entries:
        raise UsageError(f"`{name}`: no such weights", nearest(name, list(entries)))
    entry = entries[name]
    if isinstance(entry, Official):
        path = fetch_official(entry, console, file)
        console.info(f"next: `pplr evaluate --preset {entry.data_set} --weights {path}`")
    else:
        path = imagenet_file(entry.name, console)
    console.result(str(path))
