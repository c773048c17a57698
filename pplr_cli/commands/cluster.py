"""`pplr cluster`: identities of a folder of crops, or of a data set, without training."""

from pplr_cli import env
from pplr_cli.commands import label_output, options
from pplr_cli.commands.label_output import LabelOutput
from pplr_cli.config import presets
from pplr_cli.terminal.console import Console


def cluster(
    source: options.Crops,
    weights: options.Weights,
    to: label_output.To = "csv",
    output: label_output.Output = None,
    copy: label_output.Copy = False,
    overwrite: options.Overwrite = False,
    pattern: options.Pattern = None,
    skip_bad: options.SkipBad = False,
    preset: options.OptionalPreset = None,
    settings: options.Set = None,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    workers: options.Workers = options.CORES,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Write path, pseudo-identity, agreement and camera of each image."""
    target = LabelOutput.checked(to, output, copy, overwrite)

    from pplr_cli.ingest.folder import open_images
    from pplr_cli.retrieval.clusters import cluster_images
    from pplr_cli.retrieval.model import Model
    from pplr_cli.runs.labels import label_rows
    from pplr_cli.runtime import Runtime, choose_device

    console = Console(verbosity=verbose - quiet)
    runtime = Runtime(choose_device(device), console, workers=workers)
    model = Model.load(weights, runtime, preset, presets.overrides(settings or ()))
    opened = open_images(source, env.data_dir(data_dir), console, pattern=pattern)
    images, pseudo = cluster_images(model, opened, skip_bad=skip_bad)
    rows = list(label_rows(images, pseudo.labels, pseudo.agreement.mean(1)))
    about = {
        "weights": str(weights),
        "pseudo_identities": pseudo.clusters,
        "outliers": pseudo.outliers,
    }
    line = (
        f"{len(rows):,} images below `{images.root}`, {pseudo.clusters:,} pseudo-identities, "
        f"{pseudo.outliers:,} outliers (-1)"
    )
    target.write(rows, images.root, about, line, console, json=json)
