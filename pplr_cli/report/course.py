"""What happens between two steps and after each epoch: save, evaluate, record, tell."""

import time
from typing import Any

from pplr_cli.engine.checkpoint import save_state, save_weights
from pplr_cli.engine.epoch import Epoch
from pplr_cli.engine.state import trainer_state
from pplr_cli.engine.trainer import Trainer
from pplr_cli.interrupts import SAVING, Interrupted, Interrupts
from pplr_cli.progress import Reporter
from pplr_cli.report.run import BEST, LAST, STATE, RunFolder
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.retrieval.ranking import Scores


class Course:
    """Follows one training run.

    Args:
        trainer: the trainer of the run.
        evaluator: None where the data set has no labelled query and gallery.
        folder: where the run is recorded; None in all processes but the first.
        facts: what the bits of the run depend on (`resume.facts`), kept with each state.
        reporter: told one line an epoch.
        interrupts: what signals have asked for.
    """

    def __init__(
        self,
        trainer: Trainer,
        evaluator: Evaluator | None,
        folder: RunFolder | None,
        facts: dict[str, Any],
        reporter: Reporter,
        interrupts: Interrupts,
    ) -> None:
        self._trainer, self._config = trainer, trainer.config
        self._evaluator, self._folder, self._facts = evaluator, folder, facts
        self._reporter, self._interrupts = reporter, interrupts
        self._saved = time.monotonic()

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
        save_state({**trainer_state(self._trainer), **about}, self._folder.path / STATE)
        self._saved = time.monotonic()

    def after_epoch(self, epoch: Epoch) -> None:
        """Evaluate if it is time, record the epoch and save the weights."""
        self._interrupts.release()
        scores = self._evaluate(epoch.number)
        if self._folder is None or (epoch.number == 0 and scores is None):
            return
        row = self._record(self._folder, epoch, scores)
        self._reporter.info(_line(row, self._config.optim.epochs))
        if epoch.number:
            self._save_weights(self._folder, row)

    def _evaluate(self, number: int) -> Scores | None:
        """Return the scores after epoch `number` if the settings ask for them then."""
        settings = self._config.evaluation
        due = number in {0, self._config.optim.epochs} or number % settings.every == 0
        if self._evaluator is None or not due or (number == 0 and not settings.at_start):
            return None
        return self._evaluator.scores(self._trainer.network)

    def _record(self, folder: RunFolder, epoch: Epoch, scores: Scores | None) -> dict[str, Any]:
        """Record the epoch; records that cannot be written do not end the run."""
        row = folder.add(epoch, scores)
        try:
            folder.write_records(epoch)
        except OSError as error:
            self._reporter.warn(
                f"`{error.filename or folder.path}`: {error.strerror}: the epoch is not recorded",
                "the work goes on; the next record that can be written holds all epochs",
            )
        return row

    def _save_weights(self, folder: RunFolder, row: dict[str, Any]) -> None:
        """Write `last.pth`, and `best.pth` where the mAP is the highest yet."""
        told = ("epoch", "mAP", "rank1")
        about = folder.about | {key: row[key] for key in told if key in row}
        save_weights(self._trainer.network, folder.path / LAST, about)
        if row is folder.best:
            save_weights(self._trainer.network, folder.path / BEST, about)


def _line(row: dict[str, float], epochs: int) -> str:
    """Return an epoch's figures as one line."""
    parts = []
    if "clusters" in row:
        parts.append(f"{row['clusters']} clusters, {row['outliers']} of {row['images']} outliers")
        parts.append(f"agreement {row['agreement_mean']:.2f}")
        parts.append(f"loss {row['loss_total']:.3f}")
    if "mAP" in row:
        parts.append(f"mAP {100 * row['mAP']:.1f}, rank-1 {100 * row['rank1']:.1f}")
    if "seconds_train" in row:
        seconds = sum(value for key, value in row.items() if key.startswith("seconds_"))
        parts.append(f"{seconds:.1f} s")
    return f"epoch {row['epoch']}/{epochs}: {', '.join(parts)}"
