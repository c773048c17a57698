"""The nearest tracks by 8-bit products against products of all pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.data.images import UNKNOWN
from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling import cpu_search, track_search
from pplr_cli.labelling.track_search import Spans, nearest_tracks


def draw(count: int, cameras: int, timed: float, seed: int) -> tuple[torch.Tensor, Tracks]:
    """Return vectors of tracks, some without camera, and the tracks."""
    rng = np.random.default_rng(seed)
    vectors = torch.from_numpy(rng.standard_normal((count, 6)).astype(np.float32))
    first = np.where(rng.random(count) < timed, rng.integers(0, 20, count), np.nan)
    where = rng.integers(-1, cameras, count)
    return torch.nn.functional.normalize(vectors), Tracks(np.arange(count), where, first, first + 3)


def never_one(tracks: Tracks, a: int, b: int) -> bool:
    if a == b:
        return True
    if tracks.cameras[a] != tracks.cameras[b] or tracks.cameras[a] == UNKNOWN:
        return False
    if tracks.timed[a] and tracks.timed[b]:
        return bool(tracks.first[a] <= tracks.last[b] and tracks.first[b] <= tracks.last[a])
    return len({*tracks.cameras} - {UNKNOWN}) > 1


@given(
    count=st.integers(1, 80),
    cameras=st.integers(1, 4),
    timed=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 999),
    scaled=st.booleans(),
    kind=st.sampled_from(["screened", "dense"]),
    data=st.data(),
)
@settings(max_examples=50)
def test_the_nearest_that_can_be_one_identity(
    count: int,
    cameras: int,
    timed: float,
    seed: int,
    scaled: bool,
    kind: str,
    data: st.DataObject,
) -> None:
    k = data.draw(st.integers(1, count))
    vectors, tracks = draw(count, cameras, timed, seed)
    scale = torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (count, 1))).float()
    similarity = vectors @ vectors.T
    wanted = 2 * similarity - scale - scale.T if scaled else similarity
    apart = [[never_one(tracks, a, b) for b in range(count)] for a in range(count)]
    wanted = wanted.masked_fill(torch.tensor(apart), -torch.inf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_search, "TILE", 64)
        patch.setattr(track_search, "MANY", 0 if kind == "screened" else count + 1)
        patch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
        values, found = nearest_tracks(vectors, Spans.of(tracks), k, scale if scaled else None)
    expected = wanted.topk(k).values
    assert (values.isfinite() == expected.isfinite()).all()
    kept = expected.isfinite()
    got = wanted.gather(1, found.clamp(min=0))
    torch.testing.assert_close(got[kept], expected[kept], atol=1e-5, rtol=0)
    if kind == "screened":
        alike = similarity.gather(1, found.clamp(min=0))
        torch.testing.assert_close(values[kept], alike[kept], atol=1e-5, rtol=0)
        assert (found[~kept] == -1).all()


def test_every_search_counts_all_tracks(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, tracks = draw(150, 2, 0.5, 0)
    monkeypatch.setattr(cpu_search, "TILE", 64)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
    for many in (0, 151):
        monkeypatch.setattr(track_search, "MANY", many)
        counted: list[float] = []
        nearest_tracks(vectors, Spans.of(tracks), 3, advance=counted.append)
        assert sum(counted) == pytest.approx(150)
