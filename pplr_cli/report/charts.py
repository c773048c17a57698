"""Charts over the epochs: their data and axes; the template of the page draws them as SVG."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from matplotlib.ticker import MaxNLocator

Rows = Sequence[Mapping[str, Any]]
Point = tuple[float, float]


class Series(NamedTuple):
    """A curve: its label and its points, in the order of the epochs."""

    label: str
    points: list[Point]


@dataclass(frozen=True)
class Chart:
    """A chart of curves, or of columns that stack them."""

    title: str  # above the chart
    curves: Sequence[Series]  # one or more, each in a colour of its own
    shown: Sequence[float] = (0.0,)  # values that the y axis includes
    bands: Sequence[Sequence[Point]] = ()  # outlines of areas behind the curves
    # where the column of a curve begins at each epoch; empty for lines
    bases: Sequence[Mapping[float, float]] = ()

    most_dots: ClassVar = 60  # curves of more points are drawn without dots

    @cached_property
    def span(self) -> tuple[float, float]:
        """The first and the last epoch."""
        xs = [x for curve in self.curves for x, _ in curve.points]
        return min(xs), max(xs)

    @cached_property
    def epochs(self) -> tuple[float, float]:
        """The range of the x axis."""
        first, last = self.span
        margin = 2.0 if first == last else 0.5 if self.bases else 0.0
        return first - margin, last + margin

    @cached_property
    def x_ticks(self) -> list[int]:
        """The epochs that are labelled."""
        first, last = self.span
        ticks = _ticks(self.span, integer=True, min_n_ticks=1)
        return [round(x) for x in ticks if first <= x <= last]

    @cached_property
    def y_ticks(self) -> list[float]:
        """The values that are labelled; the y axis ends at the first and the last."""
        return _ticks([*self.shown, *(y for curve in self.curves for _, y in curve.points)])

    def x(self, epoch: float) -> float:
        """Return the place of an epoch in percent of the width."""
        low, high = self.epochs
        return round(100 * (epoch - low) / (high - low), 2)

    def y(self, value: float) -> float:
        """Return the place of a value in percent of the height, from the top."""
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return round(100 * (high - value) / (high - low), 2)

    @property
    def table(self) -> dict[float, list[float | None]]:
        """The value of each curve by epoch."""
        epochs = sorted({x for curve in self.curves for x, _ in curve.points})
        columns = [dict(curve.points) for curve in self.curves]
        return {epoch: [column.get(epoch) for column in columns] for epoch in epochs}


def series(rows: Rows, key: str, label: str, scale: float = 1.0) -> Series:
    """Return the curve of a figure over the epochs that contain it."""
    return Series(label, [(row["epoch"], row[key] * scale) for row in rows if key in row])


def line_chart(title: str, curves: Iterable[Series], *shown: float) -> Chart:
    """Return a chart of the curves that have points; its y axis includes 0 and `shown`."""
    return Chart(title, [curve for curve in curves if curve.points], (0.0, *shown))


def band_chart(title: str, rows: Rows, prefix: str, low: float, high: float) -> Chart:
    """Return the spread of a figure over the images: two bands of percentiles and the median."""
    bands = []
    for below, above in (("p10", "p90"), ("p25", "p75")):
        upper, lower = (
            _widened(series(rows, f"{prefix}_{name}", "").points) for name in (above, below)
        )
        bands.append([*upper, *reversed(lower)])
    return Chart(title, [series(rows, f"{prefix}_p50", "median")], (low, high), bands)


def _widened(points: list[Point]) -> list[Point]:
    """Return the points; a single one becomes a line, as a band without width is invisible."""
    sides = (-0.4, 0.4) if len(points) == 1 else (0,)
    return [(x + side, y) for x, y in points for side in sides]


def stack_chart(title: str, rows: Rows, keys: Mapping[str, str]) -> Chart:
    """Return one column per epoch, stacked from the figures `keys` (name -> label) of the rows."""
    curves = [series(rows, key, label) for key, label in keys.items()]
    curves = [curve for curve in curves if curve.points]
    bases, base = [], {row["epoch"]: 0.0 for row in rows}
    for curve in curves:
        bases.append(base)
        base = base | {epoch: base[epoch] + value for epoch, value in curve.points}
    return Chart(title, curves, [0.0, *base.values()], bases=bases)


def number(value: float) -> str:
    """Return a figure with as many digits as its size requires."""
    if abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _ticks(values: Sequence[float], **options: Any) -> list[float]:
    """Return about six round numbers that enclose the values."""
    low, high = min(values), max(values)
    locator = MaxNLocator(5, steps=[1, 2, 5, 10], **options)
    return [float(tick) for tick in locator.tick_values(low, high if high > low else low + 1)]
