"""The path of texts to verdicts: identify → read → reserve → guard → settle."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.ask import Ask
from gateway.embed import calls_of
from gateway.gate import Gate
from gateway.pipeline import Caller, deadline, governed, understanding
from gateway.stages.auth import identify
from gateway.stages.guardrails import InForce, policy_of
from gateway.telemetry import Record
from serving.adapters.triton_guard import GUARD, Guarded, guarded
from serving.contract.errors import ModelNotFound, Unavailable
from serving.contract.guardrails import GuardrailPolicy, Stage


@dataclass(frozen=True, slots=True)
class ModerationAsk(Ask):
    """Texts that are to be read as of `stage`."""

    stage: Stage = Stage.INPUT

    @classmethod
    def of(cls, texts: Sequence[str], stage: Stage) -> "ModerationAsk":
        return cls(GUARD, calls_of(texts), stage=stage)


@dataclass(frozen=True, slots=True)
class Moderated:
    """What each text came to under `policy`."""

    policy: GuardrailPolicy
    made: list[Guarded]


async def moderate(caller: Caller, record: Record, gate: Gate) -> Moderated:
    """Have texts read by the caller's own policy. It takes quota as any request does."""
    principal = await identify(caller.credentials, gate.gatekeeper)
    record.identified(principal)
    with understanding(gate, principal, record):
        ask = await caller.read()
    record.asked(ask)
    policy = policy_of(gate.directory, principal)
    async with caller.staying(), governed(gate, principal, ask, record), deadline(gate):
        record.routed(GUARD)
        made = await _guarded(gate, ask, policy, record)
        for each in made:
            record.found(each.verdicts)
        return Moderated(policy.policy, made)


async def _guarded(gate: Gate, ask: Ask, policy: InForce, record: Record) -> list[Guarded]:
    texts = [call.text or "" for call in ask.calls]
    stage = ask.stage if isinstance(ask, ModerationAsk) else Stage.INPUT
    try:
        return await guarded(gate.triton, texts, stage, policy.sealed, record.request_id)
    except ModelNotFound:
        raise Unavailable("the model 'guard' is not there; try again soon") from None
