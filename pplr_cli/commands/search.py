"""`pplr search`: which images of a folder show whom a query image shows."""

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pplr_cli.commands import documents, options
from pplr_cli.commands.model import ModelRequest
from pplr_cli.commands.options import takes
from pplr_cli.config.options import option
from pplr_cli.files import check_output, remove_numbered
from pplr_cli.terminal.console import Console

if TYPE_CHECKING:
    from pplr_cli.retrieval.search import Found


class Match(documents.Part):
    """A gallery image that was found."""

    rank: int
    """From 1."""
    distance: documents.Distance
    image: Path


class Result(documents.Part):
    """What a query found."""

    query: Path
    """The image, its folder, or the first image of its track."""
    picture: Path | None
    """Null without `--plots`."""
    matches: list[Match]


class SearchDocument(documents.Document, command="search"):
    """The nearest gallery images of each query."""

    weights: documents.Weights
    query: Path
    gallery: Path
    top: int
    """Matches wanted."""
    images: documents.Images
    skipped: documents.Skipped
    queries: int
    pictures: documents.Pictures
    results: list[Result]


@takes(ModelRequest)
def search(
    query: Path = option(..., "Query: image, folder or data set.", metavar="IMAGE_OR_DIR"),
    gallery: Path = option(..., "Crops to search: folder (any depth) or data set.", metavar="DIR"),
    top: int = option(10, "Matches printed for each query.", min=1),
    max_distance: float | None = option(None, "Leave out matches that are farther.", min=0, max=2),
    as_one: Literal["folder", "track"] | None = option(
        None, "Average the query features of each folder or track."
    ),
    plots: options.Plots = None,
    overwrite: options.Overwrite = False,
    skip_bad: options.SkipBad = False,
    **values: Any,
) -> None:
    """Rank a folder of crops by similarity to a query image, or to each image of a folder."""
    if plots is not None:
        check_output(plots, overwrite=overwrite, folder=True)

    from pplr_cli.ingest.folder import open_images
    from pplr_cli.retrieval.crops import extract_crops
    from pplr_cli.retrieval.queries import group_images
    from pplr_cli.retrieval.search import nearest_images

    request = ModelRequest(**values)
    model, console = request.load(), request.console
    opened = [open_images(path, request.data, console) for path in (query, gallery)]
    wanted, searched = (extract_crops(model, images, skip_bad=skip_bad) for images in opened)
    limit = float("inf") if max_distance is None else max_distance
    results = nearest_images(
        wanted,
        searched,
        budget=model.distance_budget,
        top=top,
        max_distance=limit,
        as_one=as_one,
    )
    if empty := sum(not found.matches for found in results):
        near = "" if max_distance is None else f" within {max_distance:g}"
        console.warn(f"`{gallery}`: {empty} of {len(results)} queries find no other image{near}")
    groups = group_images(wanted.images, as_one)
    shown = [wanted.images.files[row] for row in groups.first]
    pictures = _draw(results, shown, plots) if plots is not None else []
    if request.json:
        given, used = sum(map(len, opened)), len(wanted.images) + len(searched.images)
        document = SearchDocument(
            weights=request.weights,
            query=query,
            gallery=gallery,
            top=top,
            images=len(searched.images),
            skipped=given - used,
            queries=len(results),
            pictures=plots,
            results=_documents(results, pictures),
        )
        console.document(document)
    else:
        _print(results, console)
        if plots is not None:
            console.result(f"pictures: {plots}")


def _draw(results: "list[Found]", shown: list[Path], folder: Path) -> list[Path]:
    """Draw a picture for each query, with its (first) image and named by its number and name."""
    from pplr_cli.report import ranked
    from pplr_cli.report.plots import file_name

    remove_numbered(folder, ".png")
    pictures = []
    for number, ((query, found), image) in enumerate(zip(results, shown, strict=True), 1):
        path = folder / f"{number:0{len(str(len(results)))}}-{file_name(query.name)}.png"
        shown_matches = [ranked.Match(*match) for match in found]
        ranked.draw_ranked([ranked.Result(image, str(query), shown_matches)], path, upright=True)
        pictures.append(path)
    return pictures


def _print(results: "list[Found]", console: Console) -> None:
    rows = [
        [str(result.query), str(rank), f"{match.distance:.3f}", str(match.file)]
        for result in results
        for rank, match in enumerate(result.matches, 1)
    ]
    console.table(["query", "rank", "distance", "image"], rows)


def _documents(results: "list[Found]", pictures: list[Path]) -> list[Result]:
    """Return what each query found, with its picture."""
    return [
        Result(
            query=result.query,
            picture=picture,
            matches=[
                Match(rank=rank, distance=match.distance, image=match.file)
                for rank, match in enumerate(result.matches, 1)
            ],
        )
        for result, picture in zip_longest(results, pictures)
    ]
