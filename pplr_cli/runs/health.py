"""Whether a run goes well, told without identities: what its clusters look like from outside."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pplr_cli.data.manifest import UNKNOWN
from pplr_cli.labelling.clustering import COLLAPSED, MANY_OUTLIERS, ONE_CAMERA, OUTLIER

Labels = NDArray[np.int64]
Rows = Sequence[Mapping[str, Any]]

SINGLE_CAMERA = 0.35
"""Share of clusters seen by one camera only from which they are said to follow the cameras."""
CAMERA_DRIFT = 0.1
"""Rise of `camera_nmi` since the first epoch from which clusters are said to drift."""
LARGEST = 0.4
"""Share of all images in one cluster that is called a collapse."""
OUTLIERS = 0.5
"""Share of outliers that is called too many."""
FALLING = 0.9
"""A share below this times the first epoch's is falling: the run is on its way out by itself."""
# What these rest on: docs/health.md.


class Finding(NamedTuple):
    """What is wrong with a run, and what to try; `kind` stays the same from epoch to epoch."""

    kind: str
    message: str
    hint: str


def measure(labels: Labels, cameras: Labels, previous: Labels | None) -> dict[str, float]:
    """Return an epoch's health under flat names, all from 0 to 1 (`previous_ari` from -0.5).

    Args:
        labels: cluster of each image, int64 [N]; -1 = outlier.
        cameras: int64 [N]; -1 = unknown: then nothing is said of cameras.
        previous: the labels of the epoch before.
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
    """Return the share of clusters all of whose images come from one camera."""
    pairs = np.unique(np.stack((labels, cameras)), axis=1)
    return float((np.bincount(pairs[0]) == 1).sum() / len(np.unique(labels)))


def camera_information(labels: Labels, cameras: Labels) -> float:
    """Return how much of the camera a cluster tells: 0 = as much as chance, 1 = all of it.

    Mutual information, normalised by the smaller entropy (the cameras', but for very few clusters)
    and adjusted for chance (Vinh et al., JMLR 2010): small clusters have few cameras by chance.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(cameras, labels, average_method="min"))


def labels_agreement(previous: Labels, labels: Labels) -> float:
    """Return the adjusted Rand index of two clusterings over the images clustered in both."""
    from sklearn.metrics import adjusted_rand_score

    both = (previous != OUTLIER) & (labels != OUTLIER)
    return float(adjusted_rand_score(previous[both], labels[both]))


def findings(rows: Rows) -> list[Finding]:
    """Return what is wrong at the last of `rows`.

    Only a collapse shows in one epoch: first clusters may follow the cameras, and leave many images
    out, in runs that then go well.

    Args:
        rows: the lines of `metrics.jsonl` up to an epoch.
    """
    epochs = [row for row in rows if "outlier_share" in row]
    if not epochs:
        return []
    trends = (_follows_cameras, _drifts_to_cameras, _leaves_images_out)
    checks = (_collapses, *(trends if len(epochs) > 1 else ()))
    found = [check(epochs[0], epochs[-1]) for check in checks]
    return [finding for finding in found if finding is not None]


def _stays_above(first: Mapping[str, Any], last: Mapping[str, Any], key: str, limit: float) -> bool:
    """Tell whether a share is too high and not on its way down."""
    return bool(last.get(key, 0.0) >= max(limit, FALLING * first.get(key, 0.0)))


def _camera_hint(last: Mapping[str, Any]) -> str:
    """Return what helped in runs that followed the cameras."""
    ways = ["start from better `model.weights`", ONE_CAMERA]
    if "loss_camera" not in last:  # not yet in camera mode
        ways.insert(0, "use `pplr train-cam`, which pulls the cameras together")
    return ", or ".join(ways)


def _follows_cameras(first: Mapping[str, Any], last: Mapping[str, Any]) -> Finding | None:
    if not _stays_above(first, last, "single_camera_share", SINGLE_CAMERA):
        return None
    share = f"{100 * last['single_camera_share']:.0f} % of them hold images of one camera only"
    return Finding("cameras", f"the clusters follow the cameras: {share}", _camera_hint(last))


def _drifts_to_cameras(first: Mapping[str, Any], last: Mapping[str, Any]) -> Finding | None:
    rise = last.get("camera_nmi", 0.0) - first.get("camera_nmi", 0.0)
    if rise < CAMERA_DRIFT or _follows_cameras(first, last) is not None:
        return None
    course = f"{first['camera_nmi']:.2f} to {last['camera_nmi']:.2f} since the first epoch"
    return Finding(
        "drift",
        f"the clusters drift towards the cameras: shared information {course}",
        _camera_hint(last),
    )


def _collapses(first: Mapping[str, Any], last: Mapping[str, Any]) -> Finding | None:
    if not _stays_above(first, last, "largest_cluster_share", LARGEST):
        return None
    share = f"{100 * last['largest_cluster_share']:.0f} % of all images"
    return Finding(
        "collapse",
        f"the clusters collapse: one of them holds {share}",
        f"{COLLAPSED}, or start from better `model.weights`",
    )


def _leaves_images_out(first: Mapping[str, Any], last: Mapping[str, Any]) -> Finding | None:
    if not _stays_above(first, last, "outlier_share", OUTLIERS):
        return None
    return Finding(
        "outliers",
        f"{100 * last['outlier_share']:.0f} % of the images are outliers and train nothing",
        f"{MANY_OUTLIERS}, or start from better `model.weights`",
    )
