"""Find tracks where no tracker gave them: near-duplicate images of one camera.

Without cameras, near-duplicates and other views of a person could not be told apart: clusters
would stay small. Images then are clustered as if the setting were off.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pplr_cli.config.fields import Clustering
from pplr_cli.data.images import UNKNOWN
from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling.clustering import dbscan
from pplr_cli.labelling.constraints import Answers, constrain
from pplr_cli.labelling.jaccard import camera_jaccard_distance
from pplr_cli.labelling.neighbors import nearest_of_own_camera
from pplr_cli.progress import SILENT, Advance
from pplr_cli.runtime import Runtime

Labels = NDArray[np.int64]

NO_EFFECT = "`clustering.find_tracks` has no effect: it needs two known cameras or more"


def several_cameras(cameras: Labels) -> bool:
    """Return whether the camera of every image is known, and there are two or more."""
    return UNKNOWN not in cameras and len(np.unique(cameras)) > 1


def by_tracks(settings: Clustering, cameras: Labels, tracks: Tracks | None) -> bool:
    """Return whether tracks are clustered instead of images: given ones, or found ones."""
    return tracks is not None or (settings.find_tracks and several_cameras(cameras))


def find_tracks(
    features: Tensor,
    cameras: Labels,
    settings: Clustering,
    answers: Answers | None = None,
    runtime: Runtime | None = None,
    advance: Advance = SILENT.advance,
) -> Tracks:
    """Return near-duplicate images as tracks without times, the same in all processes.

    Two images or more of one camera that DBSCAN joins at `track_eps`, by the Jaccard distance of
    their `k1_own` neighbours in that camera averaged over `k2_own`, are a track.

    Args:
        features: global features float32 [N, D], L2-normalised.
        cameras: int64 [N].
        settings: those named above.
        answers: about images; those of "different" are never in one track.
        runtime: processes that share the search.
        advance: counts the images.
    """
    runtime = runtime or Runtime()
    near = min(settings.k1_own, len(features))
    own = nearest_of_own_camera(features, cameras, near, runtime.processes, advance)

    def group() -> Tracks:
        nobody, eps = own[:, :0], settings.track_eps
        vectors = features.cpu().numpy()
        distances = camera_jaccard_distance(vectors, own, nobody, settings.k2_own, 0, eps)
        found = dbscan(distances, eps, min_samples=2)
        if answers is not None:
            distances.data = 1 - distances.data
            found = constrain(found, distances, answers)
        return Tracks.from_arrays(found, cameras, np.full(len(found), float(UNKNOWN)))

    return runtime.processes.on_rank_zero(group)
