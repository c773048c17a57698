"""Loads the weights of a file into a network: every name and shape must agree."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from pplr_cli.errors import WeightsError
from pplr_cli.text import named
from pplr_cli.weights.loading import StateDict, read_state_dict

STAGES = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
"""Torchvision's names of a ResNet's stages, and their positions in our sequential backbone."""
PREFIXES = ("", "encoder_q.", "base_encoder.", "backbone.", "encoder.", "base.", "model.")
"""Prefixes of the backbone in pretraining scripts (MoCo, LUPerson, ...) and re-ID baselines."""
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


def is_backbone(state: StateDict) -> bool:
    """Return whether a file holds a ResNet without the other parts of a PPLR network."""
    necks = any(name.startswith(NECK) for name in state.tensors)
    return not necks and _backbone_prefix(state.tensors) is not None


def load_backbone(path: Path, backbone: nn.Module) -> tuple[str, ...]:
    """Read a file and load it as `fit_backbone` does.

    Raises:
        WeightsError: the file is not usable (see `read_state_dict` and `fit_backbone`).
    """
    return fit_backbone(read_state_dict(path), backbone)


def fit_backbone(state: StateDict, backbone: nn.Module) -> tuple[str, ...]:
    """Load a ResNet in torchvision's naming, or the backbone of a PPLR network.

    Everything else in the file is left out. Returns notes for people.

    Raises:
        WeightsError: the file holds no ResNet, or one of another architecture.
    """
    prefix = _backbone_prefix(state.tensors)
    if prefix is None:
        raise WeightsError(
            f"`{state.path}`: holds no ResNet: neither `conv1.weight` nor `base.0.weight`",
            "give a ResNet with torchvision's names",
        )
    tensors, others = {}, []
    for name, value in state.tensors.items():
        stage, _, rest = name.removeprefix(prefix).partition(".")
        place = STAGES.get(stage, stage)
        if name.startswith(prefix) and place in STAGES.values():
            tensors[f"{place}.{rest}"] = value
        else:
            others.append(name)
    _load(backbone, tensors, state.path)
    notes = [f"took the backbone from the entries `{prefix}...`"] if prefix else []
    notes += [f"left out {len(others)} other entries (`{others[0]}`, ...)"] if others else []
    return (*state.notes, *notes)


def _backbone_prefix(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the prefix of the first convolution, None if there is none."""
    for prefix in PREFIXES:
        if f"{prefix}conv1.weight" in tensors or f"{prefix}0.weight" in tensors:
            return prefix
    return None


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
