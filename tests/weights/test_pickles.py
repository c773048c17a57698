"""What the pickles of a file name."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from pplr_cli.weights.pickles import foreign_objects


class Evil:
    """Runs a command when an unsafe loader reads it."""

    def __reduce__(self):
        return os.system, ("touch none",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_name_is_listed_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "evil.pth"
    decoys = ["torch", "system", os.system.__module__, "x"]
    path.write_bytes(pickle.dumps({"decoys": decoys, "evil": Evil()}, protocol))
    assert f"{os.system.__module__}.system" in foreign_objects(path)


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x8c\x01x\x94h\x00h\x01\x93.",
        b"(iposix\nsystem\n.",
    ],
    ids=["names fetched from the memo", "the oldest way"],
)
def test_hand_made_pickles_are_listed_as_well(tmp_path: Path, pickled: bytes) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickled)
    assert foreign_objects(path) == ["posix.system"]


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_what_weights_need_is_not_foreign(tmp_path: Path, new: bool) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=new)
    assert foreign_objects(path) == []


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x02", b"hello", b"\x8d" + bytes(7) + b"\x01"]
)
def test_other_files_name_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    assert foreign_objects(tmp_path / "x.pth") == []
