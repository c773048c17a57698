"""What can be downloaded."""

import hashlib
import json
import math
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model_weights

from pplr_cli.config.backbones import IMAGENET
from pplr_cli.errors import WeightsError
from pplr_cli.weights.catalogue import OFFICIAL, ImageNet, everything, imagenet
from pplr_cli.weights.digest import write_record


def test_names_are_as_documented() -> None:
    official = ["market", "market-cam", "msmt17", "msmt17-cam", "veri", "veri-cam"]
    assert list(everything()) == [*official, *IMAGENET]


def test_backbones_lie_where_torchvision_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("/shared/torch", ""):
        monkeypatch.setenv("TORCH_HOME", home) if home else monkeypatch.delenv("TORCH_HOME")
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        assert imagenet("resnet50").target == folder / "resnet50-0676ba61.pth"


@pytest.mark.parametrize("backbone", IMAGENET)
def test_every_backbone_is_as_torchvision_publishes_it(backbone: str) -> None:
    entry, theirs = imagenet(backbone), get_model_weights(backbone)["IMAGENET1K_V1"]
    assert entry.url == theirs.url
    assert entry.target.name == f"{backbone}-{entry.sha256}.pth"
    assert len(entry.sha256) == 8
    assert entry.size / 2**20 == pytest.approx(theirs.meta["_file_size"], abs=1e-3)


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
    official, backbone = OFFICIAL[0], imagenet("resnet18")
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
    own = ImageNet("mine", f"https://a.b/mine-{sha}.pth", 7)
    own.target.write_bytes(b"weights")
    assert own.holds()
