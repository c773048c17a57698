"""CLIP's ResNet-50 against that of timm, with its weights under OpenAI's names."""

import pytest
import torch

from pplr_cli.engine.clip_resnet import clip_resnet
from pplr_cli.engine.replicas import has_replicas


def test_it_computes_what_timm_computes() -> None:
    timm = pytest.importorskip("timm")
    from timm.models.byobnet import checkpoint_filter_fn

    torch.manual_seed(0)
    ours = clip_resnet(strides=(1, 2, 2, 2)).eval()
    theirs = timm.create_model("resnet50_clip", num_classes=0, global_pool="").eval()
    state = {f"visual.{name}": value for name, value in ours.state_dict().items()}
    converted = checkpoint_filter_fn(state, theirs)
    missing = theirs.load_state_dict(converted, strict=False).missing_keys
    assert all(name.startswith("head.") for name in missing)
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours.map(images), theirs.forward_features(images))


def test_the_last_stage_keeps_its_resolution() -> None:
    with torch.device("meta"):
        backbone = clip_resnet()
        grid = backbone.map(torch.empty(2, 3, 96, 32))
    assert grid.shape == (2, backbone.channels, 6, 2)
    assert has_replicas(backbone)
