"""Health of a run: figures of its clusters that need no identities, and a verdict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.data.images import UNKNOWN
from pplr_cli.labelling.clustering import COLLAPSED, MANY_OUTLIERS, ONE_CAMERA, OUTLIER

Labels = NDArray[np.int64]
Rows = Sequence[Mapping[str, Any]]

SINGLE_CAMERA, CAMERA_INFORMATION = 0.35, 0.4
"""`single_camera_share` and `camera_nmi` from which clusters follow the cameras."""
CAMERA_DRIFT, CAMERA_RISE = 0.05, 0.015
"""Rises of `camera_nmi` since the first epoch: a drift towards the cameras, and one that raises
doubt."""
LARGEST = 0.4
"""`largest_cluster_share` from which the clusters collapse."""
OUTLIERS = 0.5
"""`outlier_share` from which there are too many outliers."""
LOST = 0.005
"""Fall of the mAP below its start that counts."""
GOOD = {
    "single_camera_share": (0.0, 0.15),
    "camera_nmi": (-1.0, 0.2),
    "outlier_share": (0.0, 0.3),
    "previous_ari": (0.8, 1.0),
}
"""Range of each figure in runs that went well; between this and trouble nobody can tell."""
# The evidence: docs/health.md.
SMALLER_STEPS, BETTER_START = "lower `optim.lr`", "start from better `model.weights`"


class Finding(NamedTuple):
    """A problem of a run, and what to try; `kind` stays the same from epoch to epoch."""

    kind: str
    message: str
    hint: str


class Verdict(NamedTuple):
    """`good`, `unclear` or `trouble`, and the reason."""

    kind: Literal["good", "unclear", "trouble"]
    text: str


def measure(labels: Labels, cameras: Labels, previous: Labels | None) -> dict[str, float]:
    """Return an epoch's health under flat names, all from 0 to 1 (`previous_ari` from -0.5).

    `single_camera_share` is the share of clusters with images of one camera only; `camera_nmi` the
    information that cluster and camera share (0 = chance, 1 = all of it); `previous_ari` the
    agreement with the previous clusters over the images clustered in both.

    Args:
        labels: cluster of each image, int64 [N]; -1 = outlier.
        cameras: int64 [N]; -1 = unknown, which leaves the figures about cameras out.
        previous: the labels of the previous epoch.
    """
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    kept = labels != OUTLIER
    sizes = np.bincount(labels[kept], minlength=1)
    found = {
        "outlier_share": float(1 - kept.mean()),
        "largest_cluster_share": float(sizes.max() / len(labels)),
    }
    if len(np.unique(cameras)) > 1 and UNKNOWN not in cameras:
        clusters, seen = labels[kept], cameras[kept]
        pairs = np.unique(np.stack((clusters, seen)), axis=1)[0]
        found["single_camera_share"] = float(np.mean(np.unique(pairs, return_counts=True)[1] == 1))
        # adjusted for chance (Vinh et al., JMLR 2010): small clusters have few cameras by chance;
        # normalised by the smaller entropy, usually the cameras'
        shared = adjusted_mutual_info_score(seen, clusters, average_method="min")
        found["camera_nmi"] = float(shared)
    if previous is not None:
        both = kept & (previous != OUTLIER)
        found["previous_ari"] = float(adjusted_rand_score(previous[both], labels[both]))
    return found


def findings(rows: Rows, epochs: int | None = None) -> list[Finding]:
    """Return what is wrong at the last of `rows`.

    Args:
        rows: the lines of `metrics.jsonl` up to an epoch.
        epochs: epochs of the whole run, if known: the last one is judged by itself.
    """
    judged = [row for row in rows if "outlier_share" in row]
    return [*_retrieval(rows, epochs), *_clusters(judged), *_cameras(judged)]


def verdict(rows: Rows, epochs: int | None = None) -> Verdict:
    """Return the verdict on a run: `trouble`, `unclear` (cannot tell) or `good`, with its reason.

    The arguments are those of `findings`.
    """
    found = findings(rows, epochs)
    if found:
        return Verdict("trouble", "; ".join(finding.message for finding in found))
    judged = [row for row in rows if "outlier_share" in row]
    if len(judged) < 2:
        return Verdict("unclear", "Cannot tell yet: health needs at least two epochs.")
    last = judged[-1]
    if "camera_nmi" not in last:
        return Verdict(
            "unclear",
            "Cannot tell whether the run goes well: without cameras, clusters that follow the "
            f"cameras are not noticed. {_figures(last)}",
        )
    limits = GOOD | {"camera_nmi": (-1.0, min(0.2, judged[0].get("camera_nmi", 0.0) + CAMERA_RISE))}
    doubts = [
        f"`{name}` {last[name]:.2f}"
        for name, (least, most) in limits.items()
        if not least <= last.get(name, least) <= most
    ]
    if doubts:
        named = ", ".join(doubts)
        return Verdict(
            "unclear",
            f"Cannot tell whether the run goes well: runs with {named} went either way. "
            f"{_figures(last)}",
        )
    return Verdict("good", f"Judged without identities: no sign of trouble. {_figures(last)}")


def _figures(last: Mapping[str, Any]) -> str:
    """Return the figures that a verdict rests on."""
    parts = [f"{100 * last['outlier_share']:.0f} % of the images are outliers"]
    if "single_camera_share" in last:
        share = f"{100 * last['single_camera_share']:.0f} % of the clusters are of one camera"
        parts += [share, f"shared information with the camera {last['camera_nmi']:.2f}"]
    if "previous_ari" in last:
        parts.append(f"agreement with the previous clusters {last['previous_ari']:.2f}")
    return f"Last epoch: {', '.join(parts)}."


def _retrieval(rows: Rows, epochs: int | None) -> Iterator[Finding]:
    """Compare the mAP with the start; one epoch below it is normal, except at the end."""
    evaluated = [row for row in rows if "mAP" in row]
    if len(evaluated) < 2:
        return
    start, last = evaluated[0], evaluated[-1]
    at_end = last["epoch"] == epochs
    judged = evaluated[1:][-1 if at_end else -2 :]
    if all(row["mAP"] < start["mAP"] - LOST for row in judged) and (at_end or len(judged) > 1):
        change = f"from {100 * start['mAP']:.1f} to {100 * last['mAP']:.1f}"
        yield Finding(
            "retrieval",
            f"the mAP fell {change}: training made the model worse",
            f"{SMALLER_STEPS}, use fewer epochs, or keep the starting weights",
        )


def _clusters(judged: Rows) -> Iterator[Finding]:
    """Look at the sizes of the last clusters."""
    if judged and (share := judged[-1]["largest_cluster_share"]) >= LARGEST:
        yield Finding(
            "collapse",
            f"the clusters collapse: one of them contains {100 * share:.0f} % of all images",
            f"{COLLAPSED}, or {BETTER_START}",
        )
    # first clusters can be bad in runs that then go well
    if len(judged) > 1 and (share := judged[-1]["outlier_share"]) >= OUTLIERS:
        yield Finding(
            "outliers",
            f"{100 * share:.0f} % of the images are outliers, which are not trained on",
            f"{MANY_OUTLIERS}, or {BETTER_START}",
        )


def _cameras(judged: Rows) -> Iterator[Finding]:
    """Look at what the last clusters share with the cameras, and whether it grows."""
    if len(judged) < 2:
        return
    first, last = (row.get("camera_nmi", 0.0) for row in (judged[0], judged[-1]))
    share = judged[-1].get("single_camera_share", 0.0)
    ways = [SMALLER_STEPS, ONE_CAMERA, BETTER_START]
    if "loss_camera" not in judged[-1]:  # not yet in camera mode
        ways.insert(1, "use `pplr train-cam`")
    if share >= SINGLE_CAMERA or last >= CAMERA_INFORMATION:
        what = f"{100 * share:.0f} % of them contain images of one camera only, shared information "
        what = f"the clusters follow the cameras: {what}with the camera {last:.2f}"
        yield Finding("cameras", what, ", or ".join(ways))
    elif last - first >= CAMERA_DRIFT:
        change = f"{first:.2f} to {last:.2f} since the first epoch"
        what = f"the clusters drift towards the cameras: shared information {change}"
        yield Finding("drift", what, ", or ".join(ways))
