"""`pplr evaluate`: how well a weights file finds the queries' identities in the gallery."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pplr_cli import env, presets
from pplr_cli.commands import options
from pplr_cli.config import Config
from pplr_cli.console import Console
from pplr_cli.errors import UsageError
from pplr_cli.report import paper

if TYPE_CHECKING:
    from pplr_cli.data.manifest import Manifest
    from pplr_cli.engine.network import Network
    from pplr_cli.retrieval.ranking import Scores
    from pplr_cli.runtime import Runtime
    from pplr_cli.weights.loading import StateDict

Weights = Annotated[
    Path,
    typer.Option("--weights", help="Our own best.pth or last.pth, or an official PPLR file."),
]
Rerank = Annotated[bool, typer.Option("--rerank", help="Rank by k-reciprocal re-ranked distances.")]

RANKS = (1, 5, 10)
MODES = {"train": "without camera labels", "train-cam": "with camera labels"}


def evaluate(
    weights: Weights,
    preset: options.OptionalPreset = None,
    data: options.Data = None,
    data_dir: options.DataDir = None,
    rerank: Rerank = False,
    settings: options.Set = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    workers: options.Workers = options.CORES,
    cache: options.Cache = True,
    verify: options.Verify = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Print mAP and rank-1, 5 and 10 of a weights file, the paper's figures beside them."""
    from pplr_cli.data.library import open_dataset
    from pplr_cli.runtime import Runtime, choose_device
    from pplr_cli.weights.loading import read_state_dict

    console = Console(verbosity=verbose - quiet)
    runtime = Runtime(choose_device(device), console, precision, workers, cache)
    state = read_state_dict(weights)
    config = _settings(state, preset, options.overrides(settings, data))
    network = _network(state, config, runtime)
    manifest = open_dataset(config.data.name, env.data_dir(data_dir), console, verify=verify)
    scores = _scores(network, manifest, config, runtime, rerank)
    if json:
        console.document(_document(state, manifest, scores, rerank))
    else:
        _print(weights, manifest, scores, rerank, console)


def _settings(state: "StateDict", preset: str | None, overrides: list[str]) -> Config:
    """Return the settings of `--preset` if given, else those that the file recorded."""
    if preset is not None:
        return presets.resolve(preset, "train", overrides)
    recorded = (state.about or {}).get("settings")
    if recorded is None:
        raise UsageError(
            f"`{state.path}`: does not say with which settings it was made",
            f"name its preset with --preset: {', '.join(presets.names())}, or a file",
        )
    return presets.restore(recorded, str(state.path), overrides)


def _network(state: "StateDict", config: Config, runtime: "Runtime") -> "Network":
    """Return the network with the weights of the file, on the device."""
    from pplr_cli.engine.network import Network
    from pplr_cli.weights.fitting import fit_network

    network = Network(config.model.backbone, config.model.parts, config.model.classes)
    for note in (*state.notes, *fit_network(state, network)):
        runtime.reporter.info(f"`{state.path}`: {note}")
    return network.to(runtime.device)


def _scores(
    network: "Network", manifest: "Manifest", config: Config, runtime: "Runtime", rerank: bool
) -> "Scores":
    """Score the network, and tell how fast that was."""
    from pplr_cli.retrieval.evaluator import Evaluator

    start = time.monotonic()
    evaluator = Evaluator(manifest, config, runtime)
    images = sum(map(len, evaluator.sets))
    opened = time.monotonic()
    runtime.reporter.info(f"opened {images:,} images in {opened - start:.1f} s")
    scores = evaluator.scores(network, rerank=rerank)
    seconds = time.monotonic() - opened
    rate = f"{seconds:.1f} s ({images / max(seconds, 1e-3):,.0f}/s)"
    runtime.reporter.info(f"on {runtime.device}, extracted and ranked {images:,} images in {rate}")
    return scores


def _print(
    weights: Path, manifest: "Manifest", scores: "Scores", rerank: bool, console: Console
) -> None:
    """Print the scores in percent, and the paper's where it has the data set."""
    ours = [scores.mAP, *map(scores.rank, RANKS), scores.mINP]
    name = f"{weights} (re-ranked)" if rerank else str(weights)
    rows = [[name, *(f"{100 * value:.1f}" for value in ours)]]
    for mode, figures in paper.FIGURES.get(manifest.layout, {}).items():
        rows.append([f"{paper.LABEL}, {MODES[mode]}", *(f"{value:.1f}" for value in figures), "-"])
    console.table([manifest.name, "mAP", *(f"rank-{k}" for k in RANKS), "mINP"], rows)
    if scores.skipped:
        console.result(
            f"{scores.skipped:,} of {scores.skipped + scores.queries:,} queries left out: the "
            "gallery has no image of theirs by another camera"
        )


def _document(
    state: "StateDict", manifest: "Manifest", scores: "Scores", rerank: bool
) -> dict[str, Any]:
    """Return the scores and the paper's as plain values, each from 0 to 1."""
    return {
        "weights": str(state.path),
        "mode": (state.about or {}).get("mode"),
        "epoch": (state.about or {}).get("epoch"),
        "data": manifest.name,
        "rerank": rerank,
        "mAP": scores.mAP,
        **{f"rank{k}": scores.rank(k) for k in RANKS},
        "mINP": scores.mINP,
        "queries": scores.queries,
        "skipped": scores.skipped,
        "paper": {
            mode: {key: round(value / 100, 3) for key, value in figures._asdict().items()}
            for mode, figures in paper.FIGURES.get(manifest.layout, {}).items()
        },
    }
