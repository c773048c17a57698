"""What happens between two steps and after each epoch: save, evaluate, record, tell, draw."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pplr_cli.engine.checkpoint import save_state, save_weights
from pplr_cli.engine.epoch import Epoch
from pplr_cli.engine.trainer import Trainer
from pplr_cli.interrupts import SAVING, Interrupted, Interrupts
from pplr_cli.progress import Reporter
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.retrieval.ranking import Scores
from pplr_cli.runs.folder import BEST, LAST, STATE, RunFolder
from pplr_cli.runs.health import findings, measure
from pplr_cli.runs.labels import read_labels
from pplr_cli.runs.lines import epoch_details, epoch_lines
from pplr_cli.timing import Stopwatch

Row = dict[str, Any]


class Course:
    """Follows one training run.

    Args:
        trainer: the trainer of the run.
        evaluator: None where the data set has no labelled query and gallery.
        folder: where the run is recorded; None in all processes but the first.
        facts: what the bits of the run depend on (`resume.facts`), kept with each state.
        reporter: told a few lines an epoch.
        interrupts: what signals have asked for.
        shows: called with each recorded row; they draw the report, for example.
    """

    def __init__(
        self,
        trainer: Trainer,
        evaluator: Evaluator | None,
        folder: RunFolder | None,
        facts: dict[str, Any],
        reporter: Reporter,
        interrupts: Interrupts,
        *shows: Callable[[Row], None],
    ) -> None:
        self._trainer, self._config = trainer, trainer.config
        self._evaluator, self._folder, self._facts = evaluator, folder, facts
        self._reporter, self._interrupts, self._shows = reporter, interrupts, shows
        self._saved = time.monotonic()
        self._warned: set[str] = set()
        self._labels: NDArray[np.int64] | None = None  # the last ones, should they not be on disk

    def at_boundary(self) -> None:
        """Save the state if it is time or was asked for; end the run if a signal asked for that.

        Raises:
            Interrupted: a signal asked to end the run, in any of the processes.
        """
        self._interrupts.hold()
        asked = self._trainer.processes.largest(self._interrupts.asked())
        if asked or self._due():
            self._save_state()
        if asked not in {0, SAVING}:
            raise Interrupted(asked)

    def _due(self) -> bool:
        """Tell whether the state is to be saved: all steps of an epoch are done, or it is time."""
        current = self._trainer.current
        if current is None or current.steps == self._config.optim.iters:
            return True
        return time.monotonic() - self._saved > 60 * self._config.engine.save_minutes

    def _save_state(self) -> None:
        if self._folder is None:
            return
        about = {"about": self._folder.about, "rows": self._folder.rows, "facts": self._facts}
        save_state({**self._trainer.state_dict(), **about}, self._folder.path / STATE)
        self._saved = time.monotonic()

    def after_epoch(self, epoch: Epoch) -> None:
        """Evaluate if it is time, record the epoch, save the weights, tell and draw."""
        self._interrupts.release()
        watch = Stopwatch(epoch.seconds)
        scores = self._evaluate(epoch.number)
        if scores is not None:
            watch.lap("evaluate")
        if self._folder is None or (epoch.number == 0 and scores is None):
            return
        row = self._record(self._folder, replace(epoch, seconds=watch.seconds), scores)
        if epoch.number:
            self._save_weights(self._folder, row)
        self._tell(self._folder)
        for show in self._shows:
            show(row)

    def finish(self) -> None:
        """Repeat what is wrong with the run."""
        if self._folder is not None:
            self._warn(self._folder, set())

    def _evaluate(self, number: int) -> Scores | None:
        """Return the scores after epoch `number` if the settings ask for them then."""
        settings = self._config.evaluation
        due = number in {0, self._config.optim.epochs} or number % settings.every == 0
        if self._evaluator is None or not due or (number == 0 and not settings.at_start):
            return None
        return self._evaluator.scores(self._trainer.network)

    def _record(self, folder: RunFolder, epoch: Epoch, scores: Scores | None) -> Row:
        """Record the epoch; records that cannot be written do not end the run."""
        row = folder.add(epoch, scores, self._health(folder, epoch))
        try:
            folder.write_records(epoch)
        except OSError as error:
            self._reporter.warn(
                f"`{error.filename or folder.path}`: {error.strerror}: the epoch is not recorded",
                "the work goes on; the next record that can be written holds all epochs",
            )
        return row

    def _health(self, folder: RunFolder, epoch: Epoch) -> dict[str, float]:
        """Return what the epoch's clusters look like from outside."""
        pseudo = epoch.pseudo
        if pseudo is None:
            return {}
        previous = read_labels(folder.path, epoch.number - 1, "labels").get("labels", self._labels)
        self._labels = pseudo.labels
        small = (pseudo.sizes < self._config.batch.instances).sum()  # their images are repeated
        health = measure(pseudo.labels, self._trainer.images.cameras, previous)
        return {"clusters_small": int(small)} | health

    def _save_weights(self, folder: RunFolder, row: Row) -> None:
        """Write `last.pth`, and `best.pth` where the mAP is the highest yet."""
        told = ("epoch", "mAP", "rank1")
        about = folder.about | {key: row[key] for key in told if key in row}
        save_weights(self._trainer.network, folder.path / LAST, about)
        if row is folder.best:
            save_weights(self._trainer.network, folder.path / BEST, about)

    def _tell(self, folder: RunFolder) -> None:
        """Tell the last epoch's figures, and once what is wrong."""
        lines = epoch_lines(folder.rows, self._config.optim.epochs)
        self._reporter.info("\n  ".join(lines))
        for line in epoch_details(folder.rows[-1]):
            self._reporter.detail(f"  {line}")
        self._warned = self._warn(folder, self._warned)

    def _warn(self, folder: RunFolder, known: set[str]) -> set[str]:
        """Warn of what is wrong, unless it is known; return the kinds of all that is wrong."""
        found = findings(folder.rows)
        for finding in found:
            if finding.kind not in known:
                self._reporter.warn(finding.message, finding.hint)
        return {finding.kind for finding in found}
