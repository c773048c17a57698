"""Feature files, read back with what people read them with."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from pplr_cli.data.images import ImageSet, Names
from pplr_cli.errors import PplrError, UsageError
from pplr_cli.retrieval.feature_files import FeatureTable, check_target, write_table

VECTORS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
PATHS = ("a.jpg", "b/c.jpg", "b/d, e.jpg", "ü.jpg", "\udcff.jpg")
CAMERAS, TRACKS = ["hall", "yard", "", "hall", "hall"], ["0", "t 1", "", "0", ""]


def written(target: Path, dtype: type = np.float32) -> Path:
    ints = [np.array(values, np.int64) for values in ([0, 1, -1, 0, 0], [0, 1, -1, 0, -1])]
    names = Names(cameras={0: "hall", 1: "yard"}, tracks={1: "t 1"})
    nobody = np.full(5, -1)
    images = ImageSet(
        Path("crops"), PATHS, nobody, ints[0], names=names, tracks=ints[1], times=np.zeros(5)
    )
    blocks = iter([VECTORS[:2], VECTORS[2:2], VECTORS[2:]])
    write_table(
        target, FeatureTable(images, blocks, (5, 3), np.dtype(dtype), "abc"), overwrite=False
    )
    return target


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_npz(tmp_path, dtype):
    with np.load(written(tmp_path / "f.npz", dtype), allow_pickle=False) as found:
        assert found["vector"].dtype == dtype
        np.testing.assert_array_equal(found["vector"], VECTORS.astype(dtype))
        assert found["path"].tolist() == list(PATHS)
        assert found["camera"].tolist() == CAMERAS
        assert found["track"].tolist() == TRACKS
        assert str(found["weights"]) == "abc"


def test_npz_is_the_same_each_time(tmp_path):
    first, second = (written(tmp_path / name).read_bytes() for name in ("1.npz", "2.npz"))
    assert first == second


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_npy_and_its_rows(tmp_path, dtype):
    target = written(tmp_path / "f.npy", dtype)
    np.testing.assert_array_equal(np.load(target, mmap_mode="r"), VECTORS.astype(dtype))
    text = target.with_suffix(".csv").read_bytes().decode(errors="surrogateescape")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["path"] for row in rows] == list(PATHS)
    assert [row["camera"] for row in rows] == CAMERAS
    assert [row["track"] for row in rows] == TRACKS


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_parquet(tmp_path, dtype):
    parquet = pytest.importorskip("pyarrow.parquet")
    check_target(tmp_path / "f.parquet", overwrite=False)
    found = parquet.read_table(written(tmp_path / "f.parquet", dtype))
    assert found.column_names == ["path", "camera", "track", "vector"]
    assert found.schema.metadata[b"weights"] == b"abc"
    assert found["path"].to_pylist() == [*PATHS[:4], "\\udcff.jpg"]
    assert found["camera"].to_pylist() == [name or None for name in CAMERAS]
    vectors = np.array(found["vector"].to_pylist(), dtype)
    np.testing.assert_array_equal(vectors, VECTORS.astype(dtype))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PplrError, match=r"`\.parquet` needs the package `pyarrow`") as caught:
        check_target(tmp_path / "f.parquet", overwrite=False)
    assert caught.value.hint.startswith("`pip install 'pplr[parquet]'`; `import pyarrow` fails")


def test_existing_files_and_other_suffixes_are_refused(tmp_path):
    with pytest.raises(UsageError, match="unknown kind of file") as caught:
        check_target(tmp_path / "f.csv", overwrite=True)
    assert caught.value.hint == "the name ends in one of .npz, .npy, .parquet"
    (tmp_path / "f.csv").touch()
    with pytest.raises(UsageError, match=r"f.csv`: the file exists already"):
        check_target(tmp_path / "f.npy", overwrite=False)
    check_target(tmp_path / "f.npy", overwrite=True)
    check_target(tmp_path / "f.npz", overwrite=False)
