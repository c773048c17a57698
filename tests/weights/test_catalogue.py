"""What can be downloaded."""

import hashlib
import json
import math
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model_weights

from pplr_cli.config.backbones import NAMES
from pplr_cli.config.starts import STARTS, starts_of
from pplr_cli.errors import WeightsError
from pplr_cli.weights.catalogue import OFFICIAL, StartFile, everything, start_file
from pplr_cli.weights.digest import write_record


def test_names_are_as_documented() -> None:
    official = ["market", "market-cam", "msmt17", "msmt17-cam", "veri", "veri-cam"]
    names = list(everything())
    assert names[:7] == [*official, "resnet18"]
    assert {"mobilenet_v2", "resnet50_ibn_a", "resnet50-imagenet-v2", "resnet50-lup"} < set(names)
    assert len(names) == 6 + sum(len(start.files) for start in STARTS.values())


def test_backbones_lie_where_torchvision_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("/shared/torch", ""):
        monkeypatch.setenv("TORCH_HOME", home) if home else monkeypatch.delenv("TORCH_HOME")
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        assert start_file("imagenet", "resnet50").target == folder / "resnet50-0676ba61.pth"


@pytest.mark.parametrize("weights", ["imagenet", "imagenet-v2"])
def test_every_file_is_as_torchvision_publishes_it(weights: str) -> None:
    version = STARTS[weights].origin.partition("(")[2].rstrip(")")
    for backbone in STARTS[weights].files:
        entry, theirs = start_file(weights, backbone), get_model_weights(backbone)[version]
        assert entry.url == theirs.url
        assert entry.target.name.endswith(f"-{entry.sha256}.pth")
        assert len(entry.sha256) == 8
        assert entry.size / 2**20 == pytest.approx(theirs.meta["_file_size"], abs=1e-3)


def test_every_start_is_described_and_known_to_the_settings() -> None:
    for name, start in STARTS.items():
        assert start.origin
        assert start.licence
        assert "mAP" in start.effect
        for backbone in start.files:
            assert name in starts_of(backbone)
            assert backbone in NAMES
    assert start_file("ibn", "resnet50_ibn_a").sha256 == "d9d0bb7b"
    assert start_file("lup", "resnet50").sha256 == ""  # none is published


def test_size_of_the_official_weights_is_that_of_their_tensors(golden_dir: Path) -> None:
    shapes = json.loads((golden_dir / "resnet50part_state_dict.json").read_text())
    tensors = sum(4 * math.prod(shape) for _, shape in shapes)
    assert OFFICIAL[0].size == pytest.approx(tensors, rel=1e-4)


def test_every_way_out_can_be_followed() -> None:
    for entry in everything().values():
        assert entry.url in entry.way_out
        assert f"`pplr download-weights {entry.name} --from-file FILE`" in entry.way_out


def test_every_target_is_another_file() -> None:
    entries = everything().values()
    assert len({entry.target for entry in entries}) == len(entries)
    assert all(entry.description for entry in entries)


def test_digests_are_known_from_the_name_or_the_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))
    official, backbone = OFFICIAL[0], start_file("imagenet", "resnet18")
    for entry in (official, backbone):
        entry.target.parent.mkdir(parents=True)
        entry.target.write_bytes(b"weights")
    assert not official.holds()
    write_record(official.target)
    assert official.holds()
    with pytest.raises(WeightsError, match=r"wrong content: .*, expected f37072fd\.\.\.") as caught:
        backbone.holds()
    assert caught.value.hint == "fetch it again: `pplr download-weights resnet18 --force`"
    sha = hashlib.sha256(b"weights").hexdigest()[:8]
    own = StartFile("mine", "resnet18", "https://a.b", f"mine-{sha}.pth", 7, STARTS["imagenet"])
    own.target.write_bytes(b"weights")
    assert own.holds()
