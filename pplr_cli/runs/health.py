"""Health of a run: figures of its clusters that need no identities, and a verdict."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.data.manifest import UNKNOWN
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
SMALLER_STEPS = "lower `optim.lr`"


class Finding(NamedTuple):
    """A problem of a run, and what to try; `kind` stays the same from epoch to epoch."""

    kind: str
    message: str
    hint: str


class Verdict(NamedTuple):
    """`good`, `unclear` or `trouble`, and the reason."""

    kind: str
    text: str


def measure(labels: Labels, cameras: Labels, previous: Labels | None) -> dict[str, float]:
    """Return an epoch's health under flat names, all from 0 to 1 (`previous_ari` from -0.5).

    Args:
        labels: cluster of each image, int64 [N]; -1 = outlier.
        cameras: int64 [N]; -1 = unknown, which leaves the figures about cameras out.
        previous: the labels of the previous epoch.
    """
    kept = labels != OUTLIER
    sizes = np.bincount(labels[kept], minlength=1)
    found = {
        "outlier_share": float(1 - kept.mean()),
        "largest_cluster_share": float(sizes.max() / len(labels)),
    }
    if len(np.unique(cameras)) > 1 and UNKNOWN not in cameras:
        found |= {
            "single_camera_share": single_camera_share(labels[kept], cameras[kept]),
            "camera_nmi": camera_information(labels[kept], cameras[kept]),
        }
    if previous is not None:
        found["previous_ari"] = labels_agreement(previous, labels)
    return found


def single_camera_share(labels: Labels, cameras: Labels) -> float:
    """Return the share of clusters with images of one camera only."""
    pairs = np.unique(np.stack((labels, cameras)), axis=1)
    return float((np.bincount(pairs[0]) == 1).sum() / len(np.unique(labels)))


def camera_information(labels: Labels, cameras: Labels) -> float:
    """Return the information that cluster and camera share: 0 = chance, 1 = all of it.

    Mutual information, normalised by the smaller entropy (usually the cameras') and adjusted for
    chance (Vinh et al., JMLR 2010): small clusters have few cameras by chance.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(cameras, labels, average_method="min"))


def labels_agreement(previous: Labels, labels: Labels) -> float:
    """Return the adjusted Rand index of two clusterings over the images clustered in both."""
    from sklearn.metrics import adjusted_rand_score

    both = (previous != OUTLIER) & (labels != OUTLIER)
    return float(adjusted_rand_score(previous[both], labels[both]))


def findings(rows: Rows, epochs: int | None = None) -> list[Finding]:
    """Return what is wrong at the last of `rows`.

    Args:
        rows: the lines of `metrics.jsonl` up to an epoch.
        epochs: epochs of the whole run, if known: the last one is judged by itself.
    """
    found = [_lost_retrieval(rows, epochs)]
    judged = [row for row in rows if "outlier_share" in row]
    if judged:
        first, last = judged[0], judged[-1]
        found.append(_collapses(last))
        if len(judged) > 1:  # first clusters can be bad in runs that then go well
            follows = _follows_cameras(last)
            found += [_leaves_images_out(last), follows or _drifts_to_cameras(first, last)]
    return [finding for finding in found if finding is not None]


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
            "Cannot tell: without cameras, clusters that follow the cameras are not noticed. "
            f"{_figures(last)}",
        )
    limits = GOOD | {"camera_nmi": (-1.0, min(0.2, judged[0]["camera_nmi"] + CAMERA_RISE))}
    doubts = [
        f"`{name}` {last[name]:.2f}"
        for name, (least, most) in limits.items()
        if not least <= last.get(name, least) <= most
    ]
    if doubts:
        named = ", ".join(doubts)
        return Verdict(
            "unclear", f"Cannot tell: runs with {named} went either way. {_figures(last)}"
        )
    return Verdict("good", f"No sign of trouble without identities. {_figures(last)}")


def _figures(last: Mapping[str, Any]) -> str:
    """Return the figures that a verdict rests on."""
    parts = [f"{100 * last['outlier_share']:.0f} % of the images are outliers"]
    if "single_camera_share" in last:
        share = f"{100 * last['single_camera_share']:.0f} % of the clusters are of one camera"
        parts += [share, f"shared information with the camera {last['camera_nmi']:.2f}"]
    if "previous_ari" in last:
        parts.append(f"agreement with the previous clusters {last['previous_ari']:.2f}")
    return f"Last epoch: {', '.join(parts)}."


def _lost_retrieval(rows: Rows, epochs: int | None) -> Finding | None:
    """Compare the mAP with the start; one epoch below it is normal, except at the end."""
    evaluated = [row for row in rows if "mAP" in row]
    if len(evaluated) < 2:
        return None
    start, last = evaluated[0], evaluated[-1]
    judged = evaluated[1:][-1 if last["epoch"] == epochs else -2 :]
    below = all(row["mAP"] < start["mAP"] - LOST for row in judged)
    if not below or (len(judged) < 2 and last["epoch"] != epochs):
        return None
    change = f"from {100 * start['mAP']:.1f} to {100 * last['mAP']:.1f}"
    return Finding(
        "retrieval",
        f"the mAP fell {change}: training made the model worse",
        f"{SMALLER_STEPS}, use fewer epochs, or keep the starting weights",
    )


def _camera_hint(last: Mapping[str, Any]) -> str:
    """Return what helped in runs that followed the cameras."""
    ways = [SMALLER_STEPS, ONE_CAMERA, "start from better `model.weights`"]
    if "loss_camera" not in last:  # not yet in camera mode
        ways.insert(1, "use `pplr train-cam`")
    return ", or ".join(ways)


def _follows_cameras(last: Mapping[str, Any]) -> Finding | None:
    share, information = last.get("single_camera_share", 0.0), last.get("camera_nmi", 0.0)
    if share < SINGLE_CAMERA and information < CAMERA_INFORMATION:
        return None
    what = (
        f"{100 * share:.0f} % of them contain images of one camera only, shared information with "
        f"the camera {information:.2f}"
    )
    return Finding("cameras", f"the clusters follow the cameras: {what}", _camera_hint(last))


def _drifts_to_cameras(first: Mapping[str, Any], last: Mapping[str, Any]) -> Finding | None:
    if last.get("camera_nmi", 0.0) - first.get("camera_nmi", 0.0) < CAMERA_DRIFT:
        return None
    change = f"{first['camera_nmi']:.2f} to {last['camera_nmi']:.2f} since the first epoch"
    what = f"the clusters drift towards the cameras: shared information {change}"
    return Finding("drift", what, _camera_hint(last))


def _collapses(last: Mapping[str, Any]) -> Finding | None:
    if last["largest_cluster_share"] < LARGEST:
        return None
    share = f"{100 * last['largest_cluster_share']:.0f} % of all images"
    return Finding(
        "collapse",
        f"the clusters collapse: one of them contains {share}",
        f"{COLLAPSED}, or start from better `model.weights`",
    )


def _leaves_images_out(last: Mapping[str, Any]) -> Finding | None:
    if last["outlier_share"] < OUTLIERS:
        return None
    return Finding(
        "outliers",
        f"{100 * last['outlier_share']:.0f} % of the images are outliers, which are not trained on",
        f"{MANY_OUTLIERS}, or start from better `model.weights`",
    )
