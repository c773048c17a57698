"""The figures of an epoch, and of a run, as a few lines of text."""

from collections.abc import Iterator

from pplr_cli.runs.rows import Row, Rows, best_row, scored, stage_seconds, when


def epoch_lines(rows: Rows, epochs: int) -> Iterator[str]:
    """Yield the figures of the last epoch."""
    row, best = rows[-1], best_row(rows)
    head, scores = [], []
    if "clusters" in row:
        share = f"{row['outliers']:,} of {row['images']:,} outliers"
        head = [f"{row['clusters']:,} clusters", share, f"agreement {row['agreement_mean']:.2f}"]
    if "mAP" in row:
        scores = [f"mAP {100 * row['mAP']:.1f}", f"rank-1 {100 * row['rank1']:.1f}"]
        if best is not None and row["epoch"]:
            scores.append(f"best mAP {100 * best['mAP']:.1f} {when(best)}")
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
    """Yield an epoch's health and times, for verbose output."""
    shares = ("single_camera_share", "camera_nmi", "previous_ari", "largest_cluster_share")
    health = [f"{name} {row[name]:.2f}" for name in shares if name in row]
    times = [f"{k.removeprefix('seconds_')} {v:.1f}" for k, v in row.items() if "seconds_" in k]
    yield from filter(None, (", ".join(health), times and f"seconds: {', '.join(times)}"))


def outcome_line(rows: Rows) -> str:
    """Return the result of a run: its scores or, if none were measured, its clusters."""
    evaluated, best = scored(rows), best_row(rows)
    if best is None:
        row = rows[-1]
        return (
            f"{row['clusters']} clusters of {row['cluster_size_median']:.0f} images (median, "
            f"at most {row['cluster_size_max']}), {row['outliers']} outliers of {row['images']}"
        )
    first, last = evaluated[0], evaluated[-1]
    start = f"{100 * first['mAP']:.1f} -> " if first["epoch"] == 0 else ""
    return (
        f"mAP {start}{100 * last['mAP']:.1f} (best {100 * best['mAP']:.1f} {when(best)}), "
        f"rank-1 {100 * last['rank1']:.1f}"
    )
