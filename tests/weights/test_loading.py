import argparse
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pplr_cli.errors import WeightsError, is_out_of_memory
from pplr_cli.weights.digest import write_record
from pplr_cli.weights.loading import ABOUT, FORMAT, METADATA, read_state_dict


class Evil:
    """Runs a command when an unsafe loader reads it."""

    def __init__(self, sentinel):
        self.sentinel = sentinel

    def __reduce__(self):
        return os.system, (f"touch '{self.sentinel}'",)


def weights():
    return OrderedDict(
        {"conv.weight": torch.arange(6.0).reshape(2, 3), "bn.count": torch.tensor(4)}
    )


def saved(tmp_path, content, **options):
    path = tmp_path / "weights.pth"
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_a_plain_state_dict_comes_back_whole(tmp_path, new):
    state = read_state_dict(saved(tmp_path, weights(), _use_new_zipfile_serialization=new))
    assert list(state.tensors) == list(weights())
    assert all(torch.equal(state.tensors[name], value) for name, value in weights().items())
    assert (state.about, state.notes) == (None, ())


@pytest.mark.parametrize("nest", ["state_dict", "model"])
def test_nested_and_wrapped_weights_are_accepted_and_reported(tmp_path, nest):
    wrapped = {f"module.{name}": value for name, value in weights().items()}
    state = read_state_dict(saved(tmp_path, {nest: wrapped, "epoch": 3}))
    assert list(state.tensors) == list(weights())
    assert state.notes == (
        f"took the weights from the entry `{nest}`",
        "removed the prefix `module.` from every name",
    )


def test_a_prefix_that_some_names_lack_is_part_of_the_names(tmp_path):
    names = ["module.a", "b"]
    state = read_state_dict(saved(tmp_path, {name: torch.ones(1) for name in names}))
    assert list(state.tensors) == names


def test_values_that_are_no_tensors_are_left_out_and_reported(tmp_path):
    state = read_state_dict(saved(tmp_path, {**weights(), "epoch": 7}))
    assert list(state.tensors) == list(weights())
    assert state.notes == ("left out what is no named tensor: `epoch`",)


def test_our_own_metadata_survives(tmp_path):
    content = weights()
    about = {"format": FORMAT, "mode": "train", "settings": {"data": {"height": 96}}}
    content._metadata = OrderedDict({"": {"version": 1}, METADATA: about})
    assert read_state_dict(saved(tmp_path, content)).about == about


def test_a_newer_format_asks_for_a_newer_pplr(tmp_path):
    content = weights()
    content._metadata = {METADATA: {"format": FORMAT + 1}}
    with pytest.raises(WeightsError, match=f"format {FORMAT + 1}") as caught:
        read_state_dict(saved(tmp_path, content))
    assert caught.value.hint == "upgrade pplr"


def cycle(key):
    content = {}
    content[key] = content
    return content


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({0: torch.ones(1)}, "holds no state dict, only `0`"),
        (cycle("state_dict"), "holds no state dict, only `state_dict`"),
        ({"model": {"model": {"model": {"model": weights()}}}}, "holds no state dict"),
        ({"format": "x"}, "the record of its origin is damaged: `format`"),
        ({"settings": [1]}, "the record of its origin is damaged: `settings`"),
        ({"mode": torch.ones(1)}, "the record of its origin is damaged: `mode`"),
        ({"epoch": "one"}, "the record of its origin is damaged: `epoch`"),
    ],
)
def test_what_is_not_laid_out_as_it_should_be(tmp_path, content, what):
    if set(content) & set(ABOUT):
        about, content = content, weights()
        content._metadata = {METADATA: about}
    with pytest.raises(WeightsError, match=what):
        read_state_dict(saved(tmp_path, content))


def test_names_that_are_no_text_are_left_out_and_reported(tmp_path):
    content = weights() | {0: torch.ones(1)}
    content._metadata = 5
    state = read_state_dict(saved(tmp_path, content))
    assert list(state.tensors) == list(weights())
    assert (state.about, state.notes) == (None, ("left out what is no named tensor: `0`",))


def test_a_training_state_below_model(tmp_path):
    state = read_state_dict(saved(tmp_path, {"model": {"state_dict": weights(), "epoch": 3}}))
    assert list(state.tensors) == list(weights())


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.pth`: no such weights file"):
        read_state_dict(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="a folder, not a weights file"):
        read_state_dict(tmp_path)
    for name in ("last.pth", "best.pth"):
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match="a folder, not a weights file") as caught:
        read_state_dict(tmp_path)
    assert caught.value.hint == f"did you mean `{tmp_path / 'best.pth'}`?"


def test_the_state_of_a_run_names_the_weights_beside_it(tmp_path):
    state = {"epoch": 3, "network": {"a": torch.ones(1)}, "optimizer": {"lr": 0.1}}
    torch.save(state, tmp_path / "state.pt")
    for name in ("last.pth", "best.pth"):
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match="the saved state of a run, not its weights") as caught:
        read_state_dict(tmp_path / "state.pt")
    assert caught.value.hint == f"did you mean `{tmp_path / 'best.pth'}`?"


def test_a_pointer_of_git_lfs(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 190000000\n")
    with pytest.raises(WeightsError, match="a Git LFS pointer") as caught:
        read_state_dict(path)
    assert "git lfs pull" in caught.value.hint


def test_a_tensor_that_is_far_larger_than_its_storage(tmp_path):
    huge = torch.tensor(2.0).expand(10**7, 10**7)
    state = read_state_dict(saved(tmp_path, {**weights(), "huge": huge}))
    assert state.tensors["huge"].shape == (10**7, 10**7)
    bad = torch.tensor(float("nan")).expand(10**7, 10**7)
    with pytest.raises(WeightsError, match="`huge` holds NaN"):
        read_state_dict(saved(tmp_path, {**weights(), "huge": bad}))


def test_a_tensor_that_reaches_beyond_its_storage(tmp_path):
    path = saved(tmp_path, {"a": torch.ones(3, 1000)}, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert data.count(b"M\xe8\x03") == 2  # 1000 as the shape and the stride
    path.write_bytes(data.replace(b"M\xe8\x03", b"M\xff\xff", 1))
    with pytest.raises(WeightsError, match="not a weights file of PyTorch, or cut short"):
        read_state_dict(path)


@pytest.mark.parametrize("where", ["torch.load", "zipfile.ZipFile.testzip"])
@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory")]
)
def test_memory_that_runs_out_is_no_damage(tmp_path, monkeypatch, where, error):
    def fail(*_, **__):
        raise error

    path = saved(tmp_path, weights())
    monkeypatch.setattr(where, fail)
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        read_state_dict(path)
    assert is_out_of_memory(caught.value)


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.pth"
    path.touch()
    with pytest.raises(WeightsError, match="empty"):
        read_state_dict(path)


@pytest.mark.parametrize("page", ["<!DOCTYPE html><html>quota</html>", "\ufeff\n <HTML><body>"])
def test_a_web_page(tmp_path, page):
    path = tmp_path / "page.pth"
    path.write_text(page, encoding="utf-8")
    with pytest.raises(WeightsError, match="this is a web page"):
        read_state_dict(path)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.99])
def test_a_file_cut_short(tmp_path, share, new):
    content = {"a": torch.ones(5000), "b": torch.ones(7)}
    path = saved(tmp_path, content, _use_new_zipfile_serialization=new)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError, match=r"weights\.pth`: .*cut short"):
        read_state_dict(path)


def test_a_flipped_bit_in_a_tensor(tmp_path):
    path = saved(tmp_path, {"a": torch.full((1000,), 1.25)})
    data = bytearray(path.read_bytes())
    data[data.index(np.float32(1.25).tobytes() * 9) + 20] ^= 1
    path.write_bytes(data)
    assert torch.load(path, weights_only=True)["a"].unique().numel() == 2  # torch does not see it
    with pytest.raises(WeightsError, match="fails its checksum"):
        read_state_dict(path)


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :]


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(tmp_path):
    """Headers, names, pickle, tensors, directory; alignment bytes and dates carry nothing."""
    content = weights()
    content._metadata = {METADATA: {"format": FORMAT, "mode": "train", "epoch": 3}}
    path = saved(tmp_path, content)
    data, whole = path.read_bytes(), read_state_dict(path)
    refused = set()
    for place in range(0, len(data), 3):
        path.write_bytes(flipped(data, place))
        try:
            state = read_state_dict(path)
        except WeightsError:
            refused.add(place)
        else:
            assert (state.about, list(state.tensors)) == (whole.about, list(whole.tensors))
            assert all(torch.equal(state.tensors[n], whole.tensors[n]) for n in whole.tensors)
    assert len(refused) > len(data) / 10


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_with_a_recorded_digest_every_flipped_bit_is_refused(tmp_path, new):
    path = saved(tmp_path, weights(), _use_new_zipfile_serialization=new)
    write_record(path)
    data = path.read_bytes()
    assert list(read_state_dict(path).tensors) == list(weights())
    for place in range(0, len(data), 31):
        path.write_bytes(flipped(data, place))
        with pytest.raises(WeightsError) as caught:
            read_state_dict(path)
        assert "wrong content: SHA-256 is" in caught.value.message
        assert "remove `weights.pth.sha256`" in caught.value.hint


@given(data=st.binary(max_size=300), start=st.sampled_from([b"", b"PK\x03\x04", b"\x80\x02"]))
@settings(max_examples=150)
def test_any_bytes_are_refused_in_plain_words(tmp_path_factory, data, start):
    path = tmp_path_factory.getbasetemp() / "any.pth"
    path.write_bytes(start + data)
    with pytest.raises(WeightsError):
        read_state_dict(path)


@pytest.mark.parametrize("content", [b"hello world", b"\x80\x02", b"PK", bytes(999)])
def test_other_files(tmp_path, content):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a weights file of PyTorch, or cut short"):
        read_state_dict(path)


def refused(path):
    """Return the message and the hint with which a file is refused."""
    with pytest.raises(WeightsError) as caught:
        read_state_dict(path)
    text = f"{caught.value.message} {caught.value.hint}"
    assert "weights_only" not in text
    assert caught.value.__suppress_context__  # torch's own text suggests unsafe loading
    return text


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle 2", "pickle 4"])
def test_a_malicious_pickle_is_listed_and_not_run(tmp_path, kind):
    sentinel, path = tmp_path / "run", tmp_path / "evil.pth"
    content = {"state_dict": weights(), "evil": Evil(sentinel)}
    if kind.startswith("pickle"):
        path.write_bytes(pickle.dumps({"evil": Evil(sentinel)}, protocol=int(kind[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    assert f"`{os.system.__module__}.system`" in refused(path)
    assert not sentinel.exists()


def test_foreign_objects_are_listed_with_a_way_out(tmp_path):
    content = {"state_dict": weights(), "args": argparse.Namespace(lr=1), "mAP": np.float64(0.8)}
    text = refused(saved(tmp_path, content))
    assert "`argparse.Namespace`" in text
    assert "numpy" not in text
    assert "without network" in text


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_numbers_of_numpy_are_read_without_numpy(tmp_path, monkeypatch, new):
    """As SpCL, MMT (`best_mAP`) and torchreid (`rank1`) save them; also by NumPy 1."""
    numbers = {"best_mAP": np.float64(0.8), "rank1": np.float32(0.9), "epoch": np.int64(3)}
    content = {"state_dict": weights(), **numbers, "cmc": np.ones(3), "any": np.array(["a"])}
    path = saved(tmp_path, content, _use_new_zipfile_serialization=new)
    old = path.read_bytes().replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")
    for name in ("scalar", "_reconstruct"):
        monkeypatch.delattr(np._core.multiarray, name)
    assert list(read_state_dict(path).tensors) == list(weights())
    if not new:  # a zip has checksums
        assert old != path.read_bytes()
        path.write_bytes(old)
        assert list(read_state_dict(path).tensors) == list(weights())


def test_a_pickle_inside_a_numpy_array_is_not_run(tmp_path):
    sentinel = tmp_path / "run"
    content = {"state_dict": weights(), "cmc": np.array([Evil(sentinel)], dtype=object)}
    text = refused(saved(tmp_path, content))
    assert f"`{os.system.__module__}.system`" in text
    assert not sentinel.exists()


def test_a_whole_module_is_no_state_dict(tmp_path):
    assert "`torch.nn.modules.linear.Linear`" in refused(saved(tmp_path, torch.nn.Linear(2, 2)))


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.ones(1)], torch.ones(2), {}])
def test_a_file_without_a_state_dict(tmp_path, content):
    with pytest.raises(WeightsError, match="holds no state dict"):
        read_state_dict(saved(tmp_path, content))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_tensor_that_is_not_finite_is_named(tmp_path, value):
    content = {**weights(), "bad.weight": torch.tensor([1.0, value])}
    with pytest.raises(WeightsError, match=r"`bad\.weight` holds NaN or infinite"):
        read_state_dict(saved(tmp_path, content))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.eye(3).to_sparse(),
        torch.ones(3, dtype=torch.complex64),
        torch.ones(3).to(torch.float8_e4m3fn),
        torch.empty(3, device="meta"),
    ],
    ids=["sparse", "complex", "float8", "meta"],
)
def test_a_tensor_of_another_kind_is_named(tmp_path, tensor):
    with pytest.raises(WeightsError, match="`odd` is of a kind that weights do not have here"):
        read_state_dict(saved(tmp_path, {**weights(), "odd": tensor}))


def test_a_misspelt_file_names_the_similar_one(tmp_path):
    (tmp_path / "best.pth").write_bytes(b"weights")
    with pytest.raises(WeightsError) as caught:
        read_state_dict(tmp_path / "bset.pth")
    assert caught.value.hint == f"did you mean `{tmp_path / 'best.pth'}`?"


@pytest.mark.parametrize("name", ["m.onnx", "m.torchscript"])
def test_an_exported_model_is_no_weights_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x08\x08\x12\x07pytorch")
    with pytest.raises(WeightsError, match="not a weights file") as caught:
        read_state_dict(tmp_path / name)
    assert "that it was exported from" in (caught.value.hint or "")
