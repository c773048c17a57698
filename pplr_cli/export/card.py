"""The model card of an exported folder: everything in it comes from the run or the weights file."""

from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from pplr_cli import __version__
from pplr_cli.export.choice import Choice
from pplr_cli.export.formats import describe
from pplr_cli.export.labelled import NO_DATA, NO_LABELS, Labelled
from pplr_cli.files import write_text
from pplr_cli.retrieval.model import Model
from pplr_cli.retrieval.published import RANKS
from pplr_cli.runs.folder import CONFIG
from pplr_cli.runs.records import Run
from pplr_cli.runs.rows import Row
from pplr_cli.weights.digest import file_sha256

CARD = "README.md"
UNKNOWN = "not recorded"
LICENCES = (
    "afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsl-1.0 cc cc-by-3.0 "
    "cc-by-4.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-4.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 "
    "cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 epl-2.0 eupl-1.1 gpl gpl-2.0 gpl-3.0 isc lgpl "
    "lgpl-2.1 lgpl-3.0 mit mpl-2.0 ms-pl odbl odc-by openrail other unknown unlicense zlib"
)
"""Identifiers that model hubs know, in lower case, with spaces between."""
INITIAL = {
    "imagenet": "ImageNet weights of torchvision",
    "random": "random weights",
    "synthetic": "weights trained on drawn figures, shipped with pplr",
}


def write_card(folder: Path, text: str, model: Model) -> None:
    """Write the card, and the settings as `config.yaml`."""
    header = f"# pplr {__version__}, resolved settings\n"
    write_text(folder / CONFIG, header + yaml.safe_dump(model.config.document(), sort_keys=False))
    write_text(folder / CARD, text)


def render(
    model: Model,
    choice: Choice,
    weights: Path,
    labelled: Labelled | None,
    *,
    prepared: bool,
    licence: str | None,
) -> str:
    """Return the card as Markdown, with the front matter that model hubs read.

    Args:
        model: the network.
        choice: what is exported.
        weights: the weights file; its run folder, if it is in one, has the figures.
        labelled: the threshold.
        prepared: whether the data set is on this machine.
        licence: the licence of the weights; None if nobody stated it.
    """
    environment = Environment(
        loader=PackageLoader("pplr_cli.export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    data, run = model.config.data, _run(weights)
    digest = run.environment.get("data_digest") if run else None
    initial = INITIAL.get(model.config.model.weights, f"`{Path(model.config.model.weights).name}`")
    untrained, name = is_untrained(model), (choice.folder or choice.path).resolve().name
    return environment.get_template("card.md").render(
        title=f"{name}: {data.name}, {model.config.model.backbone}",
        choice=choice,
        trained="mode" in model.about and not untrained,
        untrained=untrained,
        facts=list(_facts(model, weights, run, digest).items()),
        before=describe(model, choice)["preprocessing"],
        height=data.height,
        width=data.width,
        size=model.network.feature_size,
        labelled=labelled,
        threshold=labelled.threshold if labelled else None,
        no_threshold=NO_LABELS if prepared else NO_DATA,
        license=licence,
        origin=initial if untrained else f"the images of `{data.name}`, and {initial}",
    )


def is_untrained(model: Model) -> bool:
    """Return whether the weights are those that a run started from: its epoch 0."""
    return model.about.get("epoch") == 0


def _run(weights: Path) -> Run | None:
    """Return the run whose folder contains a weights file."""
    folder = weights.resolve().parent
    return Run(folder) if (folder / CONFIG).is_file() else None


def _facts(model: Model, weights: Path, run: Run | None, digest: str | None) -> dict[str, str]:
    """Return names and values of the table, unknown ones too."""
    about, config = model.about, model.config
    row: Row = {key: about[key] for key in ("mAP", "rank1") if key in about}
    for each in run.rows if run else ():
        if each["epoch"] == about.get("epoch"):
            row = each
    scores = {"mAP": "mAP", **{f"rank-{k}": f"rank{k}" for k in RANKS}, "mINP": "mINP"}
    figures = [f"{name} {100 * row[key]:.1f} %" for name, key in scores.items() if key in row]
    machine = (run.environment if run else {}).get("packages", {}).get("torch")
    facts = {
        "Network": f"{config.model.backbone}, {config.model.parts} parts, "
        f"images of {config.data.width} x {config.data.height} pixels",
        "Data set": f"`{config.data.name}`" + (f", digest `{digest[:12]}`" if digest else ""),
        "Training": f"`{about['mode']}`" if "mode" in about else UNKNOWN,
        "Images trained on": f"{row['images']:,}" if "images" in row else UNKNOWN,
        "Epoch": f"{about['epoch']} of {config.optim.epochs}" if "epoch" in about else UNKNOWN,
        "Seed": str(config.seed) if "mode" in about else UNKNOWN,
        "Query and gallery of the data set": ", ".join(figures) or UNKNOWN,
        "Trained with": f"torch {machine}" if machine else UNKNOWN,
        "Exported by": f"pplr {__version__}",
        "SHA-256 of the weights": f"`{file_sha256(weights)}`",
    }
    if is_untrained(model):
        facts |= dict.fromkeys(("Training", "Images trained on", "Trained with"), "none")
        facts["Epoch"] = "0: before training"
    return facts
