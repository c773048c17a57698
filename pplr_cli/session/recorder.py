"""What is recorded of a run: its state between steps, its figures and weights after each epoch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pplr_cli.engine.checkpoint import save_state, save_weights
from pplr_cli.engine.epoch import Epoch
from pplr_cli.engine.trainer import Trainer
from pplr_cli.interrupts import SAVING, Interrupted, Interrupts
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.runs.folder import BEST, LAST, STATE, RunFolder
from pplr_cli.runs.health import findings, measure, verdict
from pplr_cli.runs.labels import read_labels
from pplr_cli.runs.lines import epoch_details, epoch_lines
from pplr_cli.runs.rows import Row, best_row, flat_row
from pplr_cli.timing import Stopwatch


@dataclass
class RunRecorder:
    """Saves, evaluates and records one training run."""

    trainer: Trainer  # its reporter gets a few lines per epoch
    evaluator: Evaluator | None  # None if the data set has no labelled query and gallery
    facts: dict[str, Any]  # what the bits of the run depend on, kept with each state
    interrupts: Interrupts  # which signals have arrived
    folder: RunFolder | None = None  # None in all processes but the first, which record nothing
    loggers: Sequence[Callable[[Row], None]] = ()  # called with each recorded row

    def __post_init__(self) -> None:
        self._config, self._reporter = self.trainer.config, self.trainer.runtime.reporter
        self._saved = time.monotonic()
        self._warned: set[str] = set()
        self._labels: NDArray[np.int64] | None = None  # the last, in case their file is missing

    def at_boundary(self) -> None:
        """Save the state if it is time or a signal asked for it; end the run if one asked for that.

        Raises:
            Interrupted: a signal asked one of the processes to end the run.
        """
        self.interrupts.hold()
        asked = self.trainer.processes.largest(self.interrupts.asked())
        if asked or self._due():
            self._save_state()
        if asked not in {0, SAVING}:
            raise Interrupted(asked)

    def _due(self) -> bool:
        """Return whether to save: after the last step of an epoch, and every few minutes."""
        current = self.trainer.current
        if current is None or current.steps == self._config.optim.iters:
            return True
        return time.monotonic() - self._saved > 60 * self._config.engine.save_minutes

    def _save_state(self) -> None:
        if self.folder is None:
            return
        about = {"about": self.folder.about, "rows": self.folder.rows, "facts": self.facts}
        save_state({**self.trainer.state_dict(), **about}, self.folder.path / STATE)
        self._saved = time.monotonic()

    def after_epoch(self, epoch: Epoch) -> None:
        """Evaluate if it is due; record, save the weights, report and log the epoch."""
        self.interrupts.release()
        watch = Stopwatch(dict(epoch.seconds))
        scores = self._evaluate(epoch.number, watch)
        if self.folder is None or (epoch.number == 0 and scores is None):
            return
        row = self._record(self.folder, replace(epoch, seconds=watch.seconds), scores)
        self._save_weights(self.folder, row)
        self._report(self.folder)
        for log in self.loggers:
            log(row)

    def finish(self) -> None:
        """Report all warnings that hold at the end, or give the verdict."""
        if self.folder is not None and not self._warn(self.folder, set()):
            self._reporter.info(verdict(self.folder.rows, self._config.optim.epochs).text)

    def _evaluate(self, number: int, watch: Stopwatch) -> Scores | None:
        """Return the scores after epoch `number` if the settings ask for them then."""
        settings = self._config.evaluation
        due = number in {0, self._config.optim.epochs} or number % settings.every == 0
        if self.evaluator is None or not due or (number == 0 and not settings.at_start):
            return None
        with watch.timing("evaluate"):
            return self.evaluator.scores(self.trainer.network)

    def _record(self, folder: RunFolder, epoch: Epoch, scores: Scores | None) -> Row:
        """Record the epoch; a failure to write the records does not end the run."""
        row = flat_row(epoch, scores, self._health(folder, epoch))
        folder.rows.append(row)
        try:
            folder.write_records(epoch)
        except OSError as error:
            self._reporter.warn(
                f"`{error.filename or folder.path}`: {error.strerror}: the epoch is not recorded",
                "training continues; the next record that can be written holds all epochs",
            )
        return row

    def _health(self, folder: RunFolder, epoch: Epoch) -> dict[str, float]:
        """Return figures of the clusters: sizes, cameras, change since the epoch before."""
        pseudo = epoch.pseudo
        if pseudo is None:
            return {}
        before = read_labels(folder.path, epoch.number - 1, len(pseudo.labels), "labels")
        previous = before.get("labels", self._labels)
        self._labels = pseudo.labels
        small = (pseudo.sizes < self._config.batch.instances).sum()  # batches repeat their images
        health = measure(pseudo.labels, self.trainer.images.cameras, previous)
        return {"clusters_small": int(small)} | health

    def _save_weights(self, folder: RunFolder, row: Row) -> None:
        """Write `last.pth` after training, and `best.pth` if the mAP is the highest so far."""
        figures = {key: row[key] for key in ("epoch", "mAP", "rank1") if key in row}
        about = folder.about | figures
        if row["epoch"]:
            save_weights(self.trainer.network, folder.path / LAST, about)
        if row is best_row(folder.rows):
            save_weights(self.trainer.network, folder.path / BEST, about)

    def _report(self, folder: RunFolder) -> None:
        """Report the last epoch's figures, and each new warning."""
        lines = epoch_lines(folder.rows, self._config.optim.epochs)
        self._reporter.info("\n  ".join(lines))
        for line in epoch_details(folder.rows[-1]):
            self._reporter.detail(f"  {line}")
        if folder.rows[-1]["epoch"] < self._config.optim.epochs:  # else `finish` warns
            self._warned = self._warn(folder, self._warned)

    def _warn(self, folder: RunFolder, known: set[str]) -> set[str]:
        """Report the warnings of kinds not in `known`; return the kinds of all."""
        found = findings(folder.rows, self._config.optim.epochs)
        for finding in found:
            if finding.kind not in known:
                self._reporter.warn(finding.message, finding.hint)
        return {finding.kind for finding in found}
