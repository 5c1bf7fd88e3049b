"""What a policy says of calls of tools: the entry of this package. Pure.

Of checks of tools, `allow` exempts a call from those after it; of all others the strongest counts.
As there is nothing to take out of a call, `redact` blocks it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.contract.approvals import approval_of, is_ask_id
from serving.contract.calls import Message
from serving.contract.guardrails import (
    OF_CALLS,
    STRENGTH,
    Action,
    Check,
    CheckKind,
    GuardrailPolicy,
    Stage,
    Verdict,
)
from serving.guardrails.tools import arguments, schema
from serving.guardrails.tools.calls import ToolCall, last_results, made
from serving.guardrails.tools.run import Run

LOOP = 3  # times the same call, without another between them
Schema = Mapping[str, Any]

# Checks of texts that read arguments, too, where they do not say at which stages they look.
_READ_EVERYWHERE = (CheckKind.SECRETS, CheckKind.WORDS)


@dataclass(frozen=True, slots=True)
class ToolGuard:
    """The checks of calls of one policy; `texts` are the strong ones that read arguments as text.

    `policy` is what verdicts name: the version where there is one.
    """

    policy: str
    checks: tuple[Check, ...]
    texts: tuple[Check, ...]

    @classmethod
    def of(cls, policy: GuardrailPolicy, version: str = "") -> "ToolGuard":
        return cls(
            version or policy.id,
            tuple(check for check in policy.checks if check.kind in OF_CALLS),
            tuple(check for check in policy.checks if _reads_arguments(check)),
        )

    @property
    def has_checks(self) -> bool:
        """Whether it says anything of calls: without, nothing needs to be known of a run."""
        return bool(self.checks) or self.can_ask

    @property
    def can_ask(self) -> bool:
        return any(check.action is Action.ASK for check in (*self.checks, *self.texts))

    def rates(self, names: Collection[str]) -> dict[str, int]:
        """Calls per minute of those tools of `names` that are limited."""
        found = {name: _rate_check(self.checks, name) for name in names}
        return {
            name: check.calls_per_minute
            for name, check in found.items()
            if check is not None and check.calls_per_minute is not None
        }

    def needs_arguments(self, name: str, *, is_tainted: bool) -> bool:
        """Whether the tool's arguments have to be whole before any of them may be shown."""
        return bool(self.texts) or any(
            _is_strong(check) and _is_about(check, name, is_tainted=is_tainted)
            for check in self.checks
        )

    def judge(
        self, call: ToolCall, parameters: Schema | None, run: Run, *, place: int | None = None
    ) -> tuple[Verdict, ...]:
        """What the policy says of `call`; nothing: it may go on.

        `parameters` is the tool's schema. `place` is the number of the call in its answer.
        """
        checks = [c for c in self.checks if _is_about(c, call.name, is_tainted=run.is_tainted)]
        found = [*_of_tool(checks), *_of_arguments(checks, call, parameters)]
        found += _of_run(checks, _rate_check(self.checks, call.name), call, run)
        return tuple(
            Verdict(
                check.name or check.kind,
                Stage.TOOL_CALL,
                _action(check),
                policy=self.policy,
                what=what,
                place=place,
            )
            for check, what in found
        )

    def unapproved(
        self,
        messages: Sequence[Message],
        approved: Collection[str],
        parameters: Mapping[str, Schema | None],
    ) -> tuple[ToolCall, ...]:
        """Calls in a conversation that have a result, though a person has yet to approve them.

        `approved` are as `approval_of` has them, `parameters` the schemas of the tools by name.
        """
        if not self.can_ask:
            return ()
        results, granted = last_results(messages), frozenset(approved)
        return tuple(
            call
            for place, call, was_tainted in made(messages)
            if max(results.get(call.id, -1), results.get(None, -1)) > place
            and self._asks(call, parameters.get(call.name), was_tainted)
            and approval_of(call.id or "", call.digest) not in granted
        )

    def _asks(self, call: ToolCall, parameters: Schema | None, is_tainted: bool) -> bool:
        """By its id, and by what can be told again: a client may have given it another id."""
        if is_ask_id(call.id):
            return True
        checks = [c for c in self.checks if _is_about(c, call.name, is_tainted=is_tainted)]
        found = (*_of_tool(checks), *_of_arguments(checks, call, parameters))
        return any(check.action is Action.ASK for check, _ in found)


Finding = tuple[Check, str]  # and the word for what it found


def _of_tool(checks: Sequence[Check]) -> Iterator[Finding]:
    for check in checks:
        if check.kind is not CheckKind.TOOL:
            continue
        if check.action is Action.ALLOW:
            return
        is_ask = check.action is Action.ASK
        yield check, "tainted" if check.only_tainted else "approval" if is_ask else "tool"


def _of_arguments(
    checks: Sequence[Check], call: ToolCall, parameters: Schema | None
) -> Iterator[Finding]:
    mine = [check for check in checks if check.kind is CheckKind.TOOL_ARGUMENTS]
    if not mine:
        return
    found = arguments.read(call.arguments)
    if found is None:
        yield from ((check, "json") for check in mine)
        return
    if parameters is not None and not schema.fits(found, parameters):
        yield from ((check, "schema") for check in mine)
    for check in mine:
        yield from ((check, what) for what in arguments.broken(found, check.arguments))


def _of_run(
    checks: Sequence[Check], rated: Check | None, call: ToolCall, run: Run
) -> Iterator[Finding]:
    is_over_rate = run.rates_left.get(call.name, 1) <= 0
    for check in checks:
        if check.kind is not CheckKind.TOOL_CALLS:
            continue
        if check is rated and is_over_rate:
            yield check, "rate"
        if check.max_calls is not None and run.calls_made >= check.max_calls:
            yield check, "runaway"
        if _stops_loops(check) and run.repeats(call) >= LOOP - 1:
            yield check, "loop"


def _stops_loops(check: Check) -> bool:
    """One that only limits a rate does not."""
    return check.max_calls is not None or check.calls_per_minute is None


def _rate_check(checks: Sequence[Check], name: str) -> Check | None:
    """Of those that limit the tool's rate the one that counts: the strongest, then the narrowest.

    There is one count for a tool, so it can be held against one limit only.
    """
    limits = [c for c in checks if c.calls_per_minute is not None and _names(c, name)]
    return min(limits, key=lambda c: (-STRENGTH[c.action], c.calls_per_minute or 0), default=None)


def _names(check: Check, name: str) -> bool:
    return not check.tools or name in check.tools


def _is_about(check: Check, name: str, *, is_tainted: bool) -> bool:
    return _names(check, name) and (is_tainted or not check.only_tainted)


def _is_strong(check: Check) -> bool:
    """It may keep a call from being made."""
    return STRENGTH[check.action] >= STRENGTH[Action.REDACT]


def _reads_arguments(check: Check) -> bool:
    if check.kind in OF_CALLS or not _is_strong(check):
        return False
    is_everywhere = not check.stages and check.kind in _READ_EVERYWHERE
    return is_everywhere or Stage.TOOL_CALL in check.stages


def _action(check: Check) -> Action:
    return Action.BLOCK if check.action is Action.REDACT else check.action
