"""What happens after each epoch: evaluate, record, save, tell."""

from pathlib import Path
from typing import Any

from pplr_cli.config import Config
from pplr_cli.engine.checkpoint import save_weights
from pplr_cli.engine.network import Network
from pplr_cli.engine.trainer import Epoch
from pplr_cli.progress import Reporter
from pplr_cli.report.curves import draw_curves
from pplr_cli.report.run import BEST, CURVES, LAST, RunFolder
from pplr_cli.retrieval.evaluator import Evaluator
from pplr_cli.retrieval.ranking import Scores


class Course:
    """Follows one training run.

    Args:
        config: when to evaluate.
        network: the network that is being trained.
        evaluator: None where the data set has no labelled query and gallery.
        folder: where the run is recorded.
        reporter: told one line an epoch.
    """

    def __init__(
        self,
        config: Config,
        network: Network,
        evaluator: Evaluator | None,
        folder: RunFolder,
        reporter: Reporter,
    ) -> None:
        self._config, self._network = config, network
        self._evaluator, self._folder, self._reporter = evaluator, folder, reporter
        self.first: Scores | None = None  # before training
        self.best: Scores | None = None
        self.last: Scores | None = None

    def after_epoch(self, epoch: Epoch) -> None:
        """Evaluate if it is time, record the epoch and save the weights."""
        scores = self._evaluate(epoch.number)
        if epoch.number == 0 and scores is None:
            return
        row = self._folder.record(epoch, scores)
        self._reporter.info(_line(row, self._config.optim.epochs))
        if epoch.number:
            self._save(epoch.number, scores)

    def finish(self) -> list[Path]:
        """Draw the curves; return the files to look at."""
        path = self._folder.path
        draw_curves(self._folder.rows, path / CURVES, f"PPLR on {self._config.data.name}")
        weights = BEST if (path / BEST).is_file() else LAST
        return [path / weights, path / CURVES]

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
