"""The figures of an epoch, and of a whole run, as a few short lines for people."""

from collections.abc import Iterator
from typing import Any

from pplr_cli.runs.folder import best_row, stage_seconds

Row = dict[str, Any]


def epoch_lines(rows: list[Row], epochs: int) -> Iterator[str]:
    """Yield the last epoch's figures."""
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


def epoch_details(row: Row) -> Iterator[str]:
    """Yield an epoch's health and times for those who ask for them."""
    shares = ("single_camera_share", "camera_nmi", "previous_ari", "largest_cluster_share")
    health = [f"{name} {row[name]:.2f}" for name in shares if name in row]
    times = [f"{k.removeprefix('seconds_')} {v:.1f}" for k, v in row.items() if "seconds_" in k]
    yield from filter(None, (", ".join(health), times and f"seconds: {', '.join(times)}"))


def outcome_line(rows: list[Row]) -> str:
    """Return the result of a run: its scores or, where nothing was evaluated, its clusters."""
    scored, best = [row for row in rows if "mAP" in row], best_row(rows)
    if best is None:
        row = rows[-1]
        return (
            f"{row['clusters']} clusters of {row['cluster_size_median']:.0f} images (median, "
            f"at most {row['cluster_size_max']}), {row['outliers']} outliers of {row['images']}"
        )
    first, last = scored[0], scored[-1]
    start = f"{100 * first['mAP']:.1f} -> " if first["epoch"] == 0 else ""
    return (
        f"mAP {start}{100 * last['mAP']:.1f} (best {100 * best['mAP']:.1f}), "
        f"rank-1 {100 * last['rank1']:.1f}"
    )
