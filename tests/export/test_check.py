"""A file whose features differ from torch's is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pplr_cli.engine.network import Network
from pplr_cli.errors import WeightsError
from pplr_cli.export import check, formats
from pplr_cli.export.choice import Choice, Format, Input
from pplr_cli.retrieval.model import Model


def test_the_features_of_another_network_are_refused(
    model: Model, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    choice = Choice(tmp_path / "m.torchscript", None, Format.TORCHSCRIPT, Input.UINT8)
    torch.manual_seed(1)
    other = Model(Network("tiny", classes=4), model.config, model.runtime, {})
    choice.path.write_bytes(formats.build(other, choice))
    with pytest.raises(WeightsError, match="nothing was written"):
        check.check_file(choice.path, choice, model, pixels)


def test_figures_are_the_worst_of_all_crops() -> None:
    wanted = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    found = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    distance, cosine = check.compare([found[:2], found[2:]], [wanted[:1], wanted[1:]])
    assert distance == pytest.approx(np.hypot(0.4, 0.8))
    assert cosine == pytest.approx(0.6)


@pytest.mark.parametrize("half", [False, True])
def test_the_tolerances_are_cosines_of_at_least_0_9999_and_0_999(half: bool) -> None:
    limit = check.HALF_TOLERANCE if half else check.TOLERANCE
    assert 1 - limit**2 / 2 >= (0.999 if half else 0.9999)
    check.require((limit, 1.0), "the file", half=half)
    for distance in (1.01 * limit, float("nan")):
        with pytest.raises(WeightsError, match=r"at most .* is allowed"):
            check.require((distance, 1.0), "the file", half=half)
