"""POST /v1/moderations: what guardrails say of texts, in OpenAI's shape."""

import secrets
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Receive, Scope, Send

from gateway.api.caller import HttpCaller
from gateway.api.errors import invalid
from gateway.api.generation import send_json
from gateway.api.schemas import refuse_unknown
from gateway.gate import Gate
from gateway.moderate import Moderated, ModerationAsk, moderate
from gateway.settings import GatewaySettings
from gateway.telemetry import Record
from serving.adapters.triton_guard import GUARD, Guarded
from serving.contract.errors import InvalidRequest
from serving.contract.guardrails import OF_CALLS, GuardrailPolicy, Stage

MOST_INPUTS = 64


class ModerationRequest(BaseModel):
    """`model` is whichever OpenAI's clients send; there is one. `stage` is Conch's own."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    input: Any
    model: Annotated[str, Field(strict=True, max_length=256)] | None = None
    stage: Stage = Stage.INPUT


class Endpoint:
    """The raw ASGI interface, because the client's hang-up comes by `receive`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate: Gate = scope["state"]["gate"]
        record: Record = scope["state"]["record"]
        caller = HttpCaller(scope, receive, moderation_ask, gate)
        await send_json(send, whole(await moderate(caller, record, gate)))


def moderation_ask(body: dict[str, Any], settings: GatewaySettings) -> ModerationAsk:
    """What the body asks; raises InvalidRequest with the name of the field."""
    if settings.strict:
        refuse_unknown(ModerationRequest, body)
    try:
        request = ModerationRequest.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from None
    given = request.input if isinstance(request.input, list) else [request.input]
    if not 1 <= len(given) <= MOST_INPUTS:
        raise InvalidRequest(
            f"'input' has {len(given)} texts, it must have 1 to {MOST_INPUTS}", param="input"
        )
    texts = [_text(each, place) for place, each in enumerate(given)]
    return ModerationAsk.of(texts, request.stage)


def _text(given: Any, place: int) -> str:
    match given:
        case str(text) | {"type": "text", "text": str(text)}:
            return text
    raise InvalidRequest(f"'input[{place}]' must be a text, or a part of type text", param="input")


def whole(given: Moderated) -> bytes:
    """The answer as one object."""
    kinds = categories(given.policy)
    return orjson.dumps(
        {
            "id": f"modr-{secrets.token_hex(12)}",
            "model": GUARD,
            "results": [_result(kinds, each) for each in given.made],
        }
    )


def categories(policy: GuardrailPolicy) -> list[str]:
    """The names of the checks that read texts, in order."""
    names = (c.name or c.kind.value for c in policy.checks if c.kind not in OF_CALLS)
    return list(dict.fromkeys(names))


def _result(names: list[str], read: Guarded) -> dict[str, Any]:
    scores = dict.fromkeys(names, 0.0)
    for verdict in read.verdicts:
        scores[verdict.check] = max(scores.get(verdict.check, 0.0), verdict.score)
    found = {verdict.check for verdict in read.verdicts}
    return {
        "flagged": bool(read.verdicts),
        "categories": {name: name in found for name in scores},
        "category_scores": scores,
        "category_applied_input_types": {n: ["text"] if n in found else [] for n in scores},
        # Conch's own
        "verdicts": [asdict(verdict) for verdict in read.verdicts],
        "redacted": read.text,
    }
