"""`pplr download-weights`: list and download the official weights and weights to start from."""

import string
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

from pplr_cli.commands import completion, documents, options
from pplr_cli.config.options import argument, option
from pplr_cli.errors import UsageError
from pplr_cli.terminal.console import Console
from pplr_cli.text import nearest, sized

if TYPE_CHECKING:
    from pplr_cli.weights.catalogue import Entry
    from pplr_cli.weights.loading import StateDict
    from pplr_cli.weights.store import Source


class Known(documents.Part):
    """Weights that can be downloaded."""

    name: str
    description: str
    source: str
    """Web address, or folder of the authors."""
    bytes: Annotated[int | None, documents.meaning("Size; approximate before the download.")]
    exists: bool
    """Whether they are downloaded."""
    weights: documents.Weights
    published_sha256: str | None
    """Its first digits; null = none is published."""
    licence: str | None
    """Of the code that the weights were published with."""
    effect: str | None
    """Known effect as a start, on PPLR or another method."""
    sha256: str | None = None
    """With NAME, of the file."""


class DownloadDocument(documents.Document, command="download-weights"):
    """Weights: all, or those of NAME."""

    downloads: list[Known]


@options.takes()
def download_weights(
    name: str | None = argument(
        None,
        "Weights to download (default: list all).",
        "NAME",
        autocompletion=completion.downloads,
    ),
    url: str | None = option(None, "Download from this web address."),
    from_file: Path | None = option(None, "Copy a local file."),
    drive_file: str | None = option(None, "Path in the authors' folder, if names are ambiguous."),
    force: bool = option(False, "Replace an existing file."),
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """List the weights, or download one of them and print its path."""
    from pplr_cli.weights.catalogue import everything

    console = Console(verbosity=verbose - quiet)
    entries = everything()
    if name is None:
        if force or any((url, from_file, drive_file)):
            raise UsageError("missing NAME", f"there are {', '.join(entries)}")
        _list(list(entries.values()), console, json)
    elif name not in entries:
        raise UsageError(f"`{name}`: no such weights", nearest(name, list(entries)))
    else:
        source = _source(entries[name], url, from_file, drive_file)
        _fetch(entries[name], source, console, force, json)


def _list(entries: list["Entry"], console: Console, json: bool) -> None:
    """Print each entry with its size, its file and whether the file exists."""
    known = [_known(entry) for entry in entries]
    if json:
        console.document(DownloadDocument(downloads=known))
        return
    rows = [
        (
            each.name,
            each.description,
            "?" if each.bytes is None else sized(each.bytes),
            "yes" if each.exists else "no",
            str(each.weights),
        )
        for each in known
    ]
    console.table(("name", "weights", "size", "there", "file"), rows)


def _known(entry: "Entry", sha256: str | None = None) -> Known:
    """Return the facts of an entry; the size is that of the file if it exists."""
    exists = entry.target.is_file()
    return Known(
        name=entry.name,
        description=entry.description,
        source=entry.url,
        bytes=entry.target.stat().st_size if exists else entry.size or None,
        exists=exists,
        weights=entry.target,
        published_sha256=entry.sha256 or None,
        licence=entry.licence,
        effect=entry.effect,
        sha256=sha256,
    )


def _source(
    entry: "Entry", url: str | None, from_file: Path | None, drive_file: str | None
) -> "Source":
    """Return the source that the options name."""
    from pplr_cli.weights.catalogue import StartFile
    from pplr_cli.weights.store import Source

    if sum(option is not None for option in (url, from_file, drive_file)) > 1:
        raise UsageError("`--url`, `--from-file` and `--drive-file` exclude each other", "keep one")
    if url is not None:
        return Source(url=_checked(url))
    if from_file is not None:
        return Source(file=from_file)
    if drive_file is not None and isinstance(entry, StartFile):
        raise UsageError(
            f"`--drive-file`: `{entry.name}` does not come from the authors' folder", "leave it out"
        )
    return Source(drive_file=drive_file)


def _checked(url: str) -> str:
    """Return a web address, quoted; `UsageError` if it is none."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return quote(url, safe=string.punctuation)  # spaces and letters beyond ASCII
    except ValueError:  # an unclosed bracket, for example
        pass
    hint = "expected `https://...` or `http://...`; use `--from-file` for a local file"
    raise UsageError(f"`--url {url}`: not a web address", hint)


def _fetch(entry: "Entry", source: "Source", console: Console, force: bool, json: bool) -> None:
    """Download an entry and print its path."""
    from pplr_cli.weights.catalogue import Official
    from pplr_cli.weights.digest import file_sha256
    from pplr_cli.weights.store import PUBLISHED, obtain

    if entry.target.is_file() and not force and source != PUBLISHED:
        console.warn(f"`{entry.name}` exists already", "`--force` replaces it")
    path = obtain(entry, console, source, force, partial(_fits, entry))
    if json:
        console.document(DownloadDocument(downloads=[_known(entry, file_sha256(path))]))
        return
    if isinstance(entry, Official):
        console.info(f"next: `pplr evaluate --preset {entry.data_set} --weights {path}`")
    else:
        console.info(f"licence: {entry.licence}; effect: {entry.effect}")
    console.result(str(path))


def _fits(entry: "Entry", state: "StateDict") -> None:
    """Raise `WeightsError` unless the weights fit the network that the authors trained."""
    import torch

    from pplr_cli.engine.network import Network
    from pplr_cli.weights.catalogue import Official
    from pplr_cli.weights.fitting import fit_backbone, fit_network

    with torch.device("meta"):  # no time for random weights
        network = Network(entry.backbone, Official.parts, classes=1)
    network.to_empty(device="cpu")
    if isinstance(entry, Official):
        fit_network(state, network)
    else:
        fit_backbone(state, network.base)
