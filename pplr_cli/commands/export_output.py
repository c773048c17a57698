"""What `pplr export` prints: a document, or a table."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pplr_cli.commands import documents
from pplr_cli.commands.documents import meaning
from pplr_cli.config.types import Fraction
from pplr_cli.export.choice import Format, Target
from pplr_cli.text import sized

Cosine = Annotated[float, meaning("Smallest cosine of a crop's features to those of torch.")]


class Inside(documents.Part):
    """The check inside the program that the model is for, with its own preprocessing."""

    program: str
    """Name and version."""
    cosine: Cosine
    own_cosine: float
    """Smallest cosine to the features of pplr, which resizes the crops itself."""


class Checked(documents.Part):
    """The comparison with torch."""

    crops: str
    """Source of the crops."""
    images: documents.Images
    program: str
    """Name and version of the package that ran the file."""
    largest_difference: documents.Distance
    smallest_cosine: Cosine
    images_per_second: float
    """On this CPU, in one batch."""
    inside: Inside | None
    """Null without a target, or if it is not installed."""


class ThresholdChosen(documents.Part):
    """The distance with the largest F-score on labelled images."""

    distance: documents.Distance
    precision: Fraction
    recall: Fraction
    images: documents.Images
    identities: int
    source: Literal["query and gallery", "training images"]


class ExportDocument(documents.Document, command="export"):
    """A model that was exported."""

    file: documents.File
    weights: documents.Weights
    format: Format
    target: Target | None
    """The program of --for."""
    half: bool
    opset: int | None
    """Of ONNX."""
    bytes: documents.Bytes
    preprocessing: dict[str, Any]
    """What the model expects, and what it does itself."""
    feature_size: documents.FeatureSize
    checked: Checked
    threshold: ThresholdChosen | None
    """Null for a file, and for a folder if no identities are known."""


def rows(document: ExportDocument) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table."""
    before, checked = document.preprocessing, document.checked
    kind = f", opset {document.opset}" if document.opset else ""
    kind += ", float16" if document.half else ""
    yield "file", f"{document.file} ({sized(document.bytes)}{kind})"
    sides = ", ".join(map(str, before["shape"]))
    yield "input", f"`{before['input']}`: {before['dtype']} [{sides}], {before['colour']}"
    yield "resize before", f"{before['width']} x {before['height']} pixels, {before['resize']}"
    mean, std = (", ".join(map(str, before[key])) for key in ("mean", "std"))
    yield "normalise", f"{before['normalised']}; mean {mean}, std {std}"
    shape = f"[{before['shape'][0]}, {document.feature_size}]"
    yield "output", f"`features`: float32 {shape}, each of length 1"
    yield (
        "checked with",
        f"{checked.images} crops ({checked.crops}), {checked.program}: at most "
        f"{checked.largest_difference:.1g} from torch's features, cosine at least "
        f"{checked.smallest_cosine:.6f}",
    )
    rate = checked.images_per_second
    digits = 0 if rate >= 10 else 1
    yield "speed", f"{rate:,.{digits}f} images per second on this CPU"
    if inside := checked.inside:
        own = f"{inside.own_cosine:.4f} to the features of pplr, which resizes the crops itself"
        yield f"inside {inside.program}", f"cosine at least {inside.cosine:.6f}; {own}"
    elif document.target:
        yield f"inside {document.target}", "not checked: it is not installed"
    if chosen := document.threshold:
        yield (
            "threshold",
            f"{chosen.distance:.3f}: {100 * chosen.precision:.1f} % of the matches are right "
            f"(precision), {100 * chosen.recall:.1f} % are found (recall), on {chosen.images:,} "
            f"images ({chosen.source})",
        )
