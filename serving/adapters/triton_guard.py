"""The model `guard` of a Triton: texts to verdicts, and to what is left of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from tritonclient.utils import deserialize_bytes_tensor

from serving.adapters.triton import Triton, infer_request
from serving.contract.errors import EngineFailed
from serving.contract.guardrails import Stage, Verdict, verdicts_of
from serving.contract.wire import single

GUARD = "guard"
VERDICTS, REDACTED = "verdicts", "redacted"


@dataclass(frozen=True, slots=True)
class Guarded:
    """One text: what was found in it, and the text as the policy lets it through."""

    verdicts: tuple[Verdict, ...]
    text: str


async def guarded(
    triton: Triton, texts: Sequence[str], stage: Stage, policy: str | None, request_id: str
) -> list[Guarded]:
    """Each of `texts` by itself. `policy` is JSON; None: the default one. Raises ConchError."""
    arrays = {
        "text": np.array([[text.encode() for text in texts]], np.object_),
        "stage": single("STRING", stage.value),
    }
    if policy is not None:
        arrays["policy"] = single("STRING", policy)
    response = await triton.infer(infer_request(GUARD, arrays, request_id))
    pairs = zip(response.outputs, response.raw_output_contents, strict=True)
    made = {output.name: deserialize_bytes_tensor(raw) for output, raw in pairs}
    if len(made.get(VERDICTS, ())) != len(texts) or len(made.get(REDACTED, ())) != len(texts):
        raise EngineFailed("the model 'guard' sent another number of verdicts than of texts")
    return [
        Guarded(verdicts_of(orjson.loads(verdicts)), text.decode())
        for verdicts, text in zip(made[VERDICTS], made[REDACTED], strict=True)
    ]
