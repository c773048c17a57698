"""A finished training run, as Python code gets it."""

from pathlib import Path

from pplr_cli.labelling.stage import PseudoLabels
from pplr_cli.runs.folder import BEST, LAST, REPORT
from pplr_cli.runs.labels import epoch_labels
from pplr_cli.runs.lines import outcome_line
from pplr_cli.runs.records import Records


class Run(Records):
    """The records of a run (`path`, `config`, `rows`, ...) and its results."""

    @property
    def evaluated(self) -> bool:
        """Whether the data set has labels to evaluate with."""
        return (self.path / BEST).is_file()

    @property
    def weights(self) -> Path:
        """`best.pth` of a run that was evaluated, else `last.pth`."""
        return self.path / (BEST if self.evaluated else LAST)

    @property
    def report(self) -> Path:
        """The report, an HTML page."""
        return self.path / REPORT

    def labels(self, epoch: int | None = None) -> PseudoLabels:
        """Return the pseudo-labels of the training images in an epoch; by default the last one.

        Raises:
            UsageError: there are no labels of that epoch.
        """
        return epoch_labels(self.path, epoch, self.config.model.parts).pseudo

    def summary(self) -> list[str]:
        """Return the result in three lines: scores, weights, report."""
        scores = outcome_line(self.rows) if self.rows else "no figures could be recorded"
        return [scores, f"weights: {self.weights}", f"report: {self.report}"]
