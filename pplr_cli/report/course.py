"""What happens after each epoch: evaluate, record, save, tell, draw."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pplr_cli.config import Config
from pplr_cli.engine.checkpoint import save_weights
from pplr_cli.engine.network import Network
from pplr_cli.engine.trainer import Epoch
from pplr_cli.progress import Reporter
from pplr_cli.report.board import Board
from pplr_cli.report.health import findings, measure
from pplr_cli.report.page import Report
from pplr_cli.report.run import BEST, LAST, REPORT, RunFolder, read_labels, stage_seconds
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.stopwatch import Stopwatch


class Course:
    """Follows one training run.

    Args:
        config: when to evaluate.
        network: the network that is being trained.
        evaluator: None where the data set has no labelled query and gallery.
        folder: where the run is recorded.
        report: drawn anew after each epoch.
        reporter: told a few lines an epoch.
        board: for TensorBoard, if wanted.
    """

    def __init__(
        self,
        config: Config,
        network: Network,
        evaluator: Evaluator | None,
        folder: RunFolder,
        report: Report,
        reporter: Reporter,
        board: Board | None = None,
    ) -> None:
        self._config, self._network = config, network
        self._evaluator, self._folder, self._reporter = evaluator, folder, reporter
        self._report, self._board = report, board
        self._warned: set[str] = set()
        self.first: Scores | None = None  # before training
        self.best: Scores | None = None
        self.last: Scores | None = None

    def after_epoch(self, epoch: Epoch) -> None:
        """Evaluate if it is time, record the epoch, save the weights and draw the report."""
        watch = Stopwatch()
        scores = self._evaluate(epoch.number)
        if epoch.number == 0 and scores is None:
            return
        if scores is not None:
            watch.lap("evaluate")
        epoch = replace(epoch, seconds=epoch.seconds | watch.seconds)
        row = self._folder.record(epoch, scores, self._health(epoch))
        self._tell()
        if epoch.number:
            self._save(epoch.number, scores)
        if self._board is not None:
            self._board.add(row)
        self._report.redraw()

    def finish(self) -> list[Path]:
        """Draw the report a last time, repeat what is wrong; return the files to look at."""
        self._report.redraw()
        self._warn(set())
        path = self._folder.path
        weights = BEST if (path / BEST).is_file() else LAST
        return [path / weights, path / REPORT]

    def _health(self, epoch: Epoch) -> dict[str, float]:
        """Return what the epoch's clusters look like from outside."""
        if epoch.pseudo is None:
            return {}
        previous = read_labels(self._folder.path, epoch.number - 1, "labels").get("labels")
        return measure(epoch.pseudo.labels, self._report.images.cameras, previous)

    def _tell(self) -> None:
        """Tell the last epoch's figures, and once what is wrong."""
        rows = self._folder.rows
        self._reporter.info("\n  ".join(_lines(rows, self._config.optim.epochs)))
        for line in _details(rows[-1]):
            self._reporter.detail(f"  {line}")
        self._warned = self._warn(self._warned)

    def _warn(self, known: set[str]) -> set[str]:
        """Warn of what is wrong, unless it is known; return the kinds of all that is wrong."""
        found = findings(self._folder.rows)
        for finding in found:
            if finding.kind not in known:
                self._reporter.warn(finding.message, finding.hint)
        return {finding.kind for finding in found}

    def _evaluate(self, number: int) -> Scores | None:
        """Return the scores after epoch `number` if the settings ask for them then."""
        settings = self._config.evaluation
        due = number in {0, self._config.optim.epochs} or number % settings.every == 0
        if self._evaluator is None or not due or (number == 0 and not settings.at_start):
            return None
        scores = self._evaluator.scores(self._network)
        if number == 0:
            self.first = scores
        self.last = scores
        return scores

    def _save(self, number: int, scores: Scores | None) -> None:
        """Write `last.pth`, and `best.pth` where the mAP is the highest yet."""
        about: dict[str, Any] = {**self._folder.about, "epoch": number}
        if scores is not None:
            about |= {"mAP": scores.mAP, "rank1": scores.rank(1)}
        save_weights(self._network, self._folder.path / LAST, about)
        if scores is not None and (self.best is None or scores.mAP > self.best.mAP):
            self.best = scores
            save_weights(self._network, self._folder.path / BEST, about)


def best_row(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row of the highest mAP since training began, None where there is none."""
    scored = [row for row in rows if "mAP" in row and row["epoch"]]
    return max(scored, key=lambda row: row["mAP"]) if scored else None


def _lines(rows: list[dict[str, Any]], epochs: int) -> Iterator[str]:
    """Yield the last epoch's figures as a few short lines."""
    row, best = rows[-1], best_row(rows)
    head = []
    if "clusters" in row:
        share = f"{row['outliers']:,} of {row['images']:,} outliers"
        head = [f"{row['clusters']:,} clusters", share, f"agreement {row['agreement_mean']:.2f}"]
    scores = []
    if "mAP" in row:
        scores = [f"mAP {100 * row['mAP']:.1f}", f"rank-1 {100 * row['rank1']:.1f}"]
    if best is not None and "mAP" in row:
        scores.append(f"best mAP {100 * best['mAP']:.1f} after epoch {best['epoch']}")
    seconds = sum(stage_seconds(row).values())
    yield f"epoch {row['epoch']}/{epochs}: {', '.join([*(head or scores), f'{seconds:.1f} s'])}"
    if "loss_total" in row:
        losses = {k.removeprefix("loss_"): v for k, v in row.items() if k.startswith("loss_")}
        total = losses.pop("total")
        parts = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        yield f"loss {total:.3f}: {parts}; lr {row['learning_rate']:.1e}"
    if head and scores:
        yield ", ".join(scores)


def _details(row: dict[str, Any]) -> Iterator[str]:
    """Yield an epoch's health and times for those who ask for them."""
    shares = ("single_camera_share", "camera_nmi", "previous_ari", "largest_cluster_share")
    health = [f"{name} {row[name]:.2f}" for name in shares if name in row]
    times = [f"{k.removeprefix('seconds_')} {v:.1f}" for k, v in row.items() if "seconds_" in k]
    yield from filter(None, (", ".join(health), times and f"seconds: {', '.join(times)}"))
