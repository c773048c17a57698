"""Reads safetensors files: tensors, and the origin that `pplr export` records in their header."""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

from pplr_cli.errors import WeightsError, missing_package

SUFFIX = ".safetensors"


def read_safetensors(path: Path, entry: str) -> OrderedDict[str, Any]:
    """Return the tensors of a file, with the JSON of a header entry in `_metadata`.

    Raises:
        WeightsError: the file is damaged.
        PplrError: the package is missing.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        reason = f"`import safetensors` fails: {error}"
        raise missing_package(str(path), "safetensors", "export", reason) from error
    try:
        with safe_open(path, "pt") as file:
            tensors = OrderedDict((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118
            recorded = (file.metadata() or {}).get(entry)
        about = json.loads(recorded) if recorded else None
    except (SafetensorError, ValueError) as error:
        what = f"`{path}`: not a safetensors file, or damaged ({error})"
        raise WeightsError(what, "download or copy the file again") from error
    tensors._metadata = {entry: about}  # type: ignore[attr-defined]
    return tensors
