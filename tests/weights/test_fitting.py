import json

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from pplr_cli.engine.network import Network
from pplr_cli.engine.zoo import BACKBONES
from pplr_cli.errors import WeightsError
from pplr_cli.weights.fitting import fit_network, load_backbone
from pplr_cli.weights.loading import read_state_dict


def random_like(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return a state dict of the module's shapes with values that no module starts with."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(value.shape, generator=generator).to(value.dtype)
        for name, value in module.state_dict().items()
    }


def empty(backbone, classes=1):
    """Return a network without values."""
    with torch.device("meta"):
        return Network(backbone, classes=classes)


def zeros_like(module):
    """Return a state dict of zeros that take no space."""
    zero = torch.zeros(())
    return {name: zero.expand(value.shape) for name, value in module.state_dict().items()}


def saved(tmp_path, content):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    return path


def fit(tmp_path, content, network):
    return fit_network(read_state_dict(saved(tmp_path, content)), network)


def test_an_official_file_fits(tmp_path, golden_dir):
    """The official names with `module.`; other class counts are dropped, and it says so."""
    entries = json.loads((golden_dir / "resnet50part_state_dict.json").read_text())
    zero = torch.zeros(())  # expanded: no 100 MB of zeros in the file
    content = {f"module.{name}": zero.expand(shape) for name, shape in entries}
    network = Network("resnet50", parts=3, classes=64)
    heads = network.head("0").weight.clone()
    notes = fit(tmp_path, content, network)
    assert notes == ("left out classifiers of 3000 classes: evaluation does not need them",)
    assert all(not value.any() for name, value in network.base.state_dict().items())
    assert torch.equal(network.head("0").weight, heads)


@pytest.fixture
def network():
    return Network("tiny", parts=2, classes=5)


def test_every_tensor_arrives(tmp_path, network):
    content = random_like(network)
    assert fit(tmp_path, content, network) == ()
    assert all(torch.equal(content[name], value) for name, value in network.state_dict().items())


def test_half_precision_arrives_as_float32(tmp_path, network):
    content = {name: value.half() for name, value in random_like(network).items()}
    fit(tmp_path, content, network)
    loaded = network.state_dict()["base.0.weight"]
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded, content["base.0.weight"].float())


def test_a_file_without_classifiers_fits(tmp_path, network):
    content = {n: v for n, v in random_like(network).items() if not n.startswith("classifier")}
    assert fit(tmp_path, content, network) == ()
    assert torch.equal(network.state_dict()["bnneck1.weight"], content["bnneck1.weight"])


@pytest.mark.parametrize("classes", [1, 4, 9])
def test_another_number_of_classes_is_left_out_and_told(tmp_path, network, classes):
    """Shrunk, grown, of one class: whatever strict loading would refuse."""
    content = random_like(Network("tiny", parts=2, classes=classes))
    before = network.head("0").weight.clone()
    notes = fit(tmp_path, content, network)
    assert notes == (f"left out classifiers of {classes} classes: evaluation does not need them",)
    assert torch.equal(network.state_dict()["bnneck1.weight"], content["bnneck1.weight"])
    assert torch.equal(network.head("0").weight, before)


def test_whatever_belongs_to_classifiers_is_left_out(tmp_path, network):
    content = random_like(network) | {"classifier.steps": torch.tensor(3)}
    notes = fit(tmp_path, content, network)
    assert notes == ("left out what belongs to classifiers: evaluation does not need them",)


def test_another_number_of_parts_is_refused(tmp_path, network):
    for parts, match in ((1, r"names missing \(`bnneck1\."), (3, r"names unknown \(`bnneck2\.")):
        with pytest.raises(WeightsError, match=match):
            fit(tmp_path, random_like(Network("tiny", parts=parts, classes=5)), network)


@pytest.mark.parametrize("theirs", ["resnet18", "resnet50"])
def test_another_backbone_is_refused(tmp_path, theirs):
    """ResNet-101 has every name of ResNet-50: the unknown ones give it away."""
    ours = empty("resnet101" if theirs == "resnet50" else "resnet34")
    with pytest.raises(WeightsError, match=r"another architecture: \d+ names missing"):
        fit(tmp_path, zeros_like(empty(theirs)), ours)
    with pytest.raises(WeightsError, match=r"another architecture: \d+ names unknown"):
        fit(tmp_path, zeros_like(ours), empty(theirs))


def test_nothing_is_loaded_where_something_does_not_fit(tmp_path, network):
    content = random_like(network) | {"base.unknown.weight": torch.ones(1)}
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsError, match=r"1 names unknown"):
        fit(tmp_path, content, network)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_another_shape_is_named(tmp_path, network):
    content = random_like(network)
    content["base.0.weight"] = torch.ones(8, 3, 7, 7)
    with pytest.raises(WeightsError, match=r"`base\.0\.weight` has the shape \[8, 3, 7, 7\]"):
        fit(tmp_path, content, network)


# Backbones


@pytest.fixture(scope="module")
def resnet():
    return random_like(models.resnet18())


def check_loaded(backbone, resnet):
    loaded = backbone.state_dict()
    assert torch.equal(loaded["0.weight"], resnet["conv1.weight"])
    assert torch.equal(loaded["1.running_var"], resnet["bn1.running_var"])
    assert torch.equal(loaded["4.0.conv2.weight"], resnet["layer1.0.conv2.weight"])
    assert torch.equal(loaded["7.1.bn2.bias"], resnet["layer4.1.bn2.bias"])
    fc = {name for name in resnet if name.startswith("fc.")}
    assert len(loaded) == len(resnet) - len(fc)


def test_torchvision_naming(tmp_path, resnet):
    backbone = BACKBONES["resnet18"]()
    notes = load_backbone(saved(tmp_path, resnet), backbone)
    check_loaded(backbone, resnet)
    assert notes == ("left out 2 other entries (`fc.weight`, ...)",)


@pytest.mark.parametrize("prefix", ["encoder_q.", "module.encoder_q.", "base.", "module.backbone."])
def test_prefixes_of_pretraining_scripts(tmp_path, resnet, prefix):
    """A MoCo file also holds a second encoder and a queue."""
    content = {f"{prefix}{name}": value for name, value in resnet.items()}
    inner = prefix.removeprefix("module.")
    if inner == "encoder_q.":
        keys = prefix.replace("encoder_q", "encoder_k")
        content |= {f"{keys}{name}": torch.zeros_like(value) for name, value in resnet.items()}
        content[prefix.replace("encoder_q.", "queue")] = torch.ones(3)
    backbone = BACKBONES["resnet18"]()
    notes = load_backbone(saved(tmp_path, {"state_dict": content, "epoch": 1}), backbone)
    check_loaded(backbone, resnet)
    assert f"took the backbone from the entries that begin with `{inner}`" in notes


@pytest.mark.parametrize("prefix", ["", "base."])
def test_our_own_naming(tmp_path, prefix):
    """A backbone by itself, and a whole PPLR network."""
    content = random_like(BACKBONES["tiny"]())
    rest = {"bnneck.weight": torch.ones(3), "classifier.weight": torch.ones(3)} if prefix else {}
    named = {f"{prefix}{name}": value for name, value in content.items()}
    backbone = BACKBONES["tiny"]()
    load_backbone(saved(tmp_path, named | rest), backbone)
    assert all(torch.equal(content[name], value) for name, value in backbone.state_dict().items())


def test_files_without_counters_load(tmp_path, resnet):
    content = {name: value for name, value in resnet.items() if not name.endswith("_tracked")}
    backbone = BACKBONES["resnet18"]()
    load_backbone(saved(tmp_path, content), backbone)
    check_loaded(backbone, resnet)


def test_another_architecture_is_refused(tmp_path, resnet):
    path = saved(tmp_path, resnet)
    with torch.device("meta"):
        backbones = {name: BACKBONES[name]() for name in ("resnet18", "resnet34", "resnet50")}
        larger = models.resnet34()
    with pytest.raises(WeightsError, match="names missing"):
        load_backbone(path, backbones["resnet50"])
    with pytest.raises(WeightsError, match="names missing"):
        load_backbone(path, backbones["resnet34"])
    with pytest.raises(WeightsError, match="names unknown"):
        load_backbone(saved(tmp_path, zeros_like(larger)), backbones["resnet18"])


def test_a_file_without_a_resnet_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="holds no ResNet"):
        load_backbone(saved(tmp_path, {"blocks.0.attn": torch.ones(1)}), BACKBONES["tiny"]())


def test_a_file_of_mmt_loads_and_says_what_differs(tmp_path, resnet):
    """MMT numbers the stages without a ReLU: layer1 is `base.3`."""
    numbers = {"conv1": "0", "bn1": "1", "layer1": "3", "layer2": "4", "layer3": "5", "layer4": "6"}
    content = {"module.feat_bn.weight": torch.ones(512), "module.classifier.weight": torch.ones(2)}
    for name, value in resnet.items():
        stage, _, rest = name.partition(".")
        if stage in numbers:
            content[f"module.base.{numbers[stage]}.{rest}"] = value
    backbone = BACKBONES["resnet18"]()
    state = {"state_dict": content, "epoch": 40, "best_mAP": np.float64(0.7)}
    notes = load_backbone(saved(tmp_path, state), backbone)
    check_loaded(backbone, resnet)
    assert "its network has no ReLU after the first BatchNorm; ours has one" in notes
    assert notes[-1] == "left out 2 other entries (`feat_bn.weight`, ...)"


def test_a_file_of_spcl_loads(tmp_path, resnet):
    backbone = BACKBONES["resnet18"]()
    names = {f"module.base.{n}": v for n, v in random_like(backbone).items()}
    content = {"state_dict": names | {"module.feat_bn.weight": torch.ones(512)}}
    notes = load_backbone(saved(tmp_path, content | {"best_mAP": np.float64(0.7)}), backbone)
    assert torch.equal(backbone.state_dict()["7.1.bn2.bias"], names["module.base.7.1.bn2.bias"])
    assert notes[-1] == "left out 1 other entries (`feat_bn.weight`, ...)"


def test_a_file_of_torchreid_loads(tmp_path, resnet):
    rest = {"classifier.weight": torch.ones(3, 512), "fc.0.weight": torch.ones(2)}
    content = {
        f"module.{n}": v for n, v in (resnet | rest).items() if n[:4] not in ("fc.w", "fc.b")
    }
    backbone = BACKBONES["resnet18"]()
    load_backbone(saved(tmp_path, {"state_dict": content, "rank1": np.float64(0.9)}), backbone)
    check_loaded(backbone, resnet)


@pytest.mark.parametrize(("nest", "prefix"), [("ImgEncoder_state_dict", ""), ("model", "visual.")])
def test_files_of_plip_and_clip_load(tmp_path, nest, prefix):
    with torch.device("meta"):
        empty_backbone = BACKBONES["resnet50_clip"]()
    zeros = zeros_like(empty_backbone)
    content = {f"{prefix}{name}": value for name, value in zeros.items()}
    content |= {f"{prefix}avg_proj.weight": torch.ones(2), f"{prefix}attnpool.a": torch.ones(2)}
    backbone = BACKBONES["resnet50_clip"]()
    notes = load_backbone(saved(tmp_path, {nest: content, "epoch": 1}), backbone)
    assert not backbone.state_dict()["layer4.2.conv3.weight"].any()
    assert notes[-1].startswith("left out 2 other entries")
