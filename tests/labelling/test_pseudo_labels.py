"""The result of a label stage."""

import numpy as np
import pytest

from pplr_cli.labelling.explanation import Explanation
from pplr_cli.labelling.pseudo_labels import PseudoLabels


def test_cluster_sizes() -> None:
    found = PseudoLabels(np.array([0, 1, -1, 1]), np.zeros((4, 3), np.float32))
    assert (found.clusters, found.outliers, found.sizes.tolist()) == (2, 1, [1, 2])
    nothing = PseudoLabels(np.array([-1, -1]), np.zeros((2, 3), np.float32))
    assert (nothing.clusters, nothing.outliers, nothing.sizes.tolist()) == (0, 2, [])


@pytest.mark.parametrize("explained", [False, True])
@pytest.mark.parametrize(("recall", "tracks"), [(None, None), (0.98, None), (None, 7)])
def test_arrays_give_the_labels_back(
    explained: bool, recall: float | None, tracks: int | None
) -> None:
    few = np.ones(4, np.int32)
    explanation = Explanation(few, few, few[:, None], few[:, None] > 0) if explained else None
    labels = PseudoLabels(
        np.array([0, 1, -1, 1]), np.ones((4, 3), np.float32), explanation, recall, tracks
    )
    again = PseudoLabels.from_arrays(labels.arrays())
    assert (again.recall, again.tracks) == (recall, tracks)
    assert (again.explanation is not None) == explained
    np.testing.assert_array_equal(again.labels, labels.labels)
