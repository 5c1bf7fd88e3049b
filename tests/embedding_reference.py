"""What a public implementation makes of some texts; tests/embedding/make_reference.py wrote it."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_ITEMS = json.loads((Path(__file__).parent / "embedding" / "reference.json").read_text())["items"]


@dataclass(frozen=True)
class Reference:
    """A text, how many tokens of it are read, and its vector."""

    text: str
    tokens: int
    vector: Any


REFERENCES = [
    Reference(i["text"], i["tokens"], np.frombuffer(base64.b64decode(i["vector"]), "<f4"))
    for i in _ITEMS
]
TEXTS = [reference.text for reference in REFERENCES]
LONGEST = REFERENCES[-1]


def cosines(vectors: Any) -> list[float]:
    """Of vectors for TEXTS to those they should be; all have length one."""
    pairs = zip(REFERENCES, vectors, strict=True)
    return [float(reference.vector @ np.asarray(vector)) for reference, vector in pairs]
