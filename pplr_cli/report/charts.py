"""Charts as inline SVG, coloured by the style sheet of the page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

WIDTH, HEIGHT = 360, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 34
"""Size of a drawing and the margins around its plot, in pixels."""
TICKS = 5
MOST_DOTS = 60
"""Lines of more points are drawn without dots."""

Rows = Sequence[Mapping[str, Any]]


class Series(NamedTuple):
    """A curve: its label and its points, in the order of the epochs."""

    label: str
    points: list[tuple[float, float]]


class Chart(NamedTuple):
    """A drawn chart with its title and legend."""

    title: str
    svg: Markup
    legend: list[str]


def series(rows: Rows, key: str, label: str, scale: float = 1.0) -> Series:
    """Return the curve of a figure over the epochs that contain it."""
    return Series(label, [(row["epoch"], row[key] * scale) for row in rows if key in row])


def line_chart(
    title: str, curves: Sequence[Series], low: float | None = 0.0, high: float | None = None
) -> Chart:
    """Draw curves over the epochs; the axis includes `low` and `high`."""
    shown = [curve for curve in curves if curve.points]
    plot = _plot(shown, low, high)
    body = Markup("").join(_curve(plot, curve, number) for number, curve in enumerate(shown))
    return Chart(title, plot.svg(body, _summary(title, shown)), [each.label for each in shown])


def band_chart(title: str, rows: Rows, prefix: str, low: float, high: float) -> Chart:
    """Draw the spread of a figure over the images: two bands of percentiles and the median."""
    middle = series(rows, f"{prefix}_p50", "median")
    plot = _plot([middle], low, high)
    body = Markup("")
    for number, (below, above) in enumerate((("p10", "p90"), ("p25", "p75"))):
        upper = series(rows, f"{prefix}_{above}", "").points
        lower = series(rows, f"{prefix}_{below}", "").points
        outline = " ".join(plot.place(*point) for point in [*upper, *reversed(lower)])
        body += Markup('<polygon class="band{}" points="{}"/>').format(number, outline)
    body += _curve(plot, middle, 0)
    return Chart(title, plot.svg(body, _summary(title, [middle])), [])


def stack_chart(title: str, rows: Rows, keys: Mapping[str, str]) -> Chart:
    """Draw one column per epoch, stacked from the figures `keys` (name -> label) in the rows."""
    shown = {key: label for key, label in keys.items() if any(key in row for row in rows)}
    totals = [(row["epoch"], sum(row.get(key, 0.0) for key in shown)) for row in rows]
    plot = _plot([Series("total", totals)], 0.0, None, margin=0.5)
    body = Markup("")
    for row in rows:
        base = 0.0
        for number, (key, label) in enumerate(shown.items()):
            value = row.get(key, 0.0)
            tip = f"epoch {row['epoch']}, {label}: {_number(value)}"
            body += plot.column(row["epoch"], base, base + value, number, tip)
            base += value
    return Chart(
        title, plot.svg(body, _summary(title, [Series("total", totals)])), [*shown.values()]
    )


class _Plot(NamedTuple):
    """The ranges of a plot's axes, and the step of its ticks."""

    x: tuple[float, float]
    y: tuple[float, float]
    step: float

    def across(self, x: float) -> float:
        low, high = self.x
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - low) / (high - low)

    def down(self, y: float) -> float:
        low, high = self.y
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low)

    def place(self, x: float, y: float) -> str:
        return f"{self.across(x):.1f},{self.down(y):.1f}"

    def column(self, x: float, low: float, high: float, number: int, tip: str) -> Markup:
        left, right = self.across(x - 0.4), self.across(x + 0.4)
        return Markup(
            '<rect class="f{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
            "<title>{}</title></rect>"
        ).format(number, left, self.down(high), right - left, self.down(low) - self.down(high), tip)

    def svg(self, body: Markup, summary: str) -> Markup:
        """Return the drawing with axes."""
        axes = Markup("")
        for n in range(round((self.y[1] - self.y[0]) / self.step) + 1):
            value = self.y[0] + n * self.step
            axes += Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>'
                '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
            ).format(
                LEFT, WIDTH - RIGHT, LEFT - 6, self.down(value) + 4, _number(value, self.step),
                y=self.down(value),
            )  # fmt: skip
        for value in _whole_ticks(*self.x):
            axes += Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                self.across(value), HEIGHT - BOTTOM + 15, value
            )
        axes += Markup('<text x="{}" y="{}" text-anchor="middle">epoch</text>').format(
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4
        )
        return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
            WIDTH, HEIGHT, summary, axes, body
        )


def _plot(
    curves: Sequence[Series], low: float | None, high: float | None, margin: float = 0.0
) -> _Plot:
    """Return a plot that contains the curves; its range ends at ticks."""
    points = [point for curve in curves for point in curve.points]
    xs = [x for x, _ in points] or [0.0]
    ys = [y for _, y in points] + [limit for limit in (low, high) if limit is not None] or [0.0]
    left, right = min(xs) - margin, max(xs) + margin
    if left == right:
        left, right = left - 0.5, right + 0.5
    step = _step(max(ys) - min(ys) or abs(max(ys)) or 1.0)
    bottom, top = math.floor(min(ys) / step + 1e-9) * step, math.ceil(max(ys) / step - 1e-9) * step
    return _Plot((left, right), (bottom, top if top > bottom else bottom + step), step)


def _curve(plot: _Plot, curve: Series, number: int) -> Markup:
    """Draw a curve; each point has a tooltip."""
    places = " ".join(plot.place(*point) for point in curve.points)
    drawn = Markup('<polyline class="s{}" points="{}"/>').format(number, places)
    if len(curve.points) > MOST_DOTS:
        return drawn
    for x, y in curve.points:
        drawn += Markup(
            '<circle class="f{}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}</title></circle>'
        ).format(number, plot.across(x), plot.down(y), f"epoch {x:g}, {curve.label}: {_number(y)}")
    return drawn


def _step(span: float) -> float:
    """Return the distance between ticks: 1, 2 or 5 times a power of ten."""
    rough = span / TICKS
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _whole_ticks(low: float, high: float) -> list[int]:
    """Return the epochs to label on the axis."""
    first, last = math.ceil(low), math.floor(high)
    step = max(1, round(_step(max(last - first, 1))))
    return [tick for tick in range(first, last + 1) if tick % step == 0]


def _number(value: float, step: float | None = None) -> str:
    """Return a number with as many digits as its size, or the step of its axis, requires."""
    if abs(step or value) < 1e-3:
        return f"{value:.2g}"
    digits = max(0, -math.floor(math.log10(step))) if step else (0 if abs(value) >= 1000 else 3)
    text = f"{value:,.{digits}f}"
    return text if step or "." not in text else text.rstrip("0").rstrip(".")


def _summary(title: str, curves: Sequence[Series]) -> str:
    """Describe a chart in words, for screen readers."""
    parts = [
        f"{curve.label} {_number(curve.points[0][1])} at epoch {curve.points[0][0]:g}, "
        f"{_number(curve.points[-1][1])} at epoch {curve.points[-1][0]:g}"
        for curve in curves
        if curve.points
    ]
    return f"{title}: {'; '.join(parts)}"
