"""Loads the weights of a file into a network: every name and shape must agree."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from pplr_cli.errors import WeightsError
from pplr_cli.text import named
from pplr_cli.weights.loading import StateDict, read_state_dict

TIMM = "net."
"""What our names of a network of timm have before its own."""
CLASSIFIERS = ("fc.", "classifier.", "head.", "head_dist.", "last_linear.")
"""Prefixes of the classifiers in files of backbones."""
STAGES = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
"""Torchvision's names of a ResNet's stages, and their positions in our sequential backbone."""
PREFIXES = (
    *("", "encoder_q.", "base_encoder.", "backbone.", "encoder.", "base.", "model."),
    "visual.",
)
"""Prefixes of the backbone in pretraining scripts (MoCo, CLIP, ...) and re-ID baselines."""
NECK = "bnneck"
"""Prefix of the necks, which a pretrained backbone does not have."""
HEAD = "classifier"
"""Prefix of the classifiers, which evaluation does not need."""
COUNTER = "num_batches_tracked"
"""Suffix of entries that files older than PyTorch 0.4.1 lack; nothing is computed from them."""


def fit_network(state: StateDict, network: nn.Module) -> tuple[str, ...]:
    """Load a complete network for evaluation; return notes for people on what was left out.

    Classifiers may be missing or of another size: features do not depend on them.

    Raises:
        WeightsError: another name is missing or unknown, or a shape differs.
    """
    own = network.state_dict()
    tensors = {
        name: value
        for name, value in state.tensors.items()
        if not name.startswith(HEAD) or (name in own and value.shape == own[name].shape)
    }
    dropped = [value for name, value in state.tensors.items() if name not in tensors]
    _load(network, tensors, state.path, optional=HEAD)
    if not dropped:
        return ()
    classes = max((len(value) for value in dropped if value.dim() == 2), default=0)
    what = f"classifiers of {classes} classes" if classes else "what belongs to classifiers"
    return (f"left out {what}: evaluation does not need them",)


def is_backbone(state: StateDict, backbone: nn.Module) -> bool:
    """Return whether a file holds a backbone without the other parts of a PPLR network."""
    necks = any(name.startswith(NECK) for name in state.tensors)
    return not necks and _prefix(state.tensors, backbone) is not None


def load_start(path: Path, network: nn.Module, backbone: nn.Module) -> tuple[str, ...]:
    """Load what a run starts from: a PPLR network without its classifiers, else a backbone.

    Args:
        path: the file.
        network: the complete network.
        backbone: the backbone in it.

    Returns:
        notes for people.

    Raises:
        WeightsError: as `load_backbone`.
    """
    state, own = read_state_dict(path), network.state_dict()
    kept = {name: state.tensors.get(name) for name in own if not name.startswith(HEAD)}
    known = {name: value for name, value in kept.items() if value is not None}
    fits = all(value.shape == own[name].shape for name, value in known.items())
    if not fits or any(not name.endswith(COUNTER) for name in kept if name not in known):
        return fit_backbone(state, backbone)
    network.load_state_dict(known, strict=False)
    return ("took backbone and necks; the first clusters determine the classifiers",)


def load_backbone(path: Path, backbone: nn.Module) -> tuple[str, ...]:
    """Read a file and load it as `fit_backbone` does.

    Raises:
        WeightsError: the file is not usable (see `read_state_dict` and `fit_backbone`).
    """
    return fit_backbone(read_state_dict(path), backbone)


def fit_backbone(state: StateDict, backbone: nn.Module) -> tuple[str, ...]:
    """Load a backbone by its published names, or that of a PPLR network.

    Everything else in the file is left out. Returns notes for people.

    Raises:
        WeightsError: the file holds no such backbone.
    """
    prefix = _prefix(state.tensors, backbone)
    if prefix is None:
        first = next(iter(backbone.state_dict())).removeprefix(TIMM)
        resnet = "ResNet: neither `conv1.weight` nor `base.0.weight`"
        what = resnet if first == "0.weight" else f"such backbone: no `{first}`"
        raise WeightsError(
            f"`{state.path}`: holds no {what}",
            "give a file with the names of torchvision or timm, and its `model.backbone`",
        )
    notes = [f"took the backbone from the entries that begin with `{prefix}`"] if prefix else []
    own = backbone.state_dict()
    stages = {name.removeprefix(TIMM).partition(".")[0] for name in own}
    lacks_relu = _lacks_relu(state.tensors, prefix, stages)
    if lacks_relu:
        notes.append("its network has no ReLU after the first BatchNorm; ours has one")
    tensors, others = {}, []
    for name, value in state.tensors.items():
        inner = name.removeprefix(prefix)
        ours = _own_name(_after_relu(inner) if lacks_relu else inner, own)
        known = _stage(inner) in stages and not inner.startswith(CLASSIFIERS)
        if name.startswith(prefix) and (ours in own or known):
            tensors[ours] = value
        else:
            others.append(name)
    _load(backbone, tensors, state.path)
    notes += [f"left out {len(others)} other entries (`{others[0]}`, ...)"] if others else []
    return (*state.notes, *notes)


def _lacks_relu(tensors: Mapping[str, Tensor], prefix: str, stages: Iterable[str]) -> bool:
    """Return whether a ResNet's stages are numbered without a ReLU, as those of MMT are."""
    numbers = {n.removeprefix(prefix).partition(".")[0] for n in tensors if n.startswith(prefix)}
    return {"4", "7"} <= set(stages) and "3" in numbers and "7" not in numbers


def _after_relu(name: str) -> str:
    stage, _, rest = name.partition(".")
    return f"{int(stage) + 1}.{rest}" if stage in ("3", "4", "5", "6") else name


def _prefix(tensors: Mapping[str, Tensor], backbone: nn.Module) -> str | None:
    """Return the prefix of the first entry of a backbone in a file, None if there is none."""
    own = backbone.state_dict()
    first = next(iter(own))
    for prefix in PREFIXES:
        inner = (name.removeprefix(prefix) for name in tensors if name.startswith(prefix))
        if any(_own_name(name, own) == first for name in inner):
            return prefix
    return None


def _stage(name: str) -> str:
    """Return the first part of a name; the stages of a ResNet by their number."""
    stage = name.partition(".")[0]
    return STAGES.get(stage, stage)


def _own_name(name: str, own: Mapping[str, Tensor]) -> str:
    """Return our name for an entry of a published file, known or not."""
    numbered = f"{_stage(name)}.{name.partition('.')[2]}"
    names = (f"{TIMM}{name}", name, numbered)
    return next((each for each in names if each in own), numbered)


def _load(
    module: nn.Module, tensors: dict[str, Tensor], path: Path, optional: str | None = None
) -> None:
    """Load `tensors`; only names that start with `optional` and counters may be missing."""
    own = module.state_dict()
    missing = [
        name
        for name in own
        if not (name in tensors or name.endswith(COUNTER))
        and not (optional and name.startswith(optional))
    ]
    unknown = [name for name in tensors if name not in own]
    faults = [
        f"{len(names)} names {what} ({named(names, 3)})"
        for what, names in (("missing", missing), ("unknown", unknown))
        if names
    ]
    for name, value in tensors.items():
        if name in own and value.shape != own[name].shape:
            theirs, ours = list(value.shape), list(own[name].shape)
            faults.append(f"`{name}` has the shape {theirs}, the network {ours}")
            break
    if faults:
        raise WeightsError(
            f"`{path}`: another architecture: {'; '.join(faults)}",
            "choose the preset, or `model.backbone` and `model.parts`, of the file",
        )
    module.load_state_dict(tensors, strict=False)
