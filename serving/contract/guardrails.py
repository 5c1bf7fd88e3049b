"""Guardrails as data: a policy is an ordered list of checks, a verdict what one of them came to."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """Where a text stands in a request. Retrieved texts and tool results are not to be trusted."""

    INPUT = "input"
    RETRIEVED = "retrieved"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    OUTPUT = "output"


UNTRUSTED = (Stage.RETRIEVED, Stage.TOOL_RESULT)


class Action(StrEnum):
    """What is done about a finding, the mildest first.

    `ask`: the call of a tool waits for the approval of a person; of anything else it is `block`.
    """

    ALLOW = "allow"
    FLAG = "flag"
    REDACT = "redact"
    ASK = "ask"
    BLOCK = "block"


STRENGTH = {action: strength for strength, action in enumerate(Action)}


class CheckKind(StrEnum):
    """What a check looks for."""

    INJECTION = "injection"  # attacks, by rules
    CLASSIFIER = "classifier"  # attacks, by their meaning
    PERSONAL = "personal"  # personal data
    SECRETS = "secrets"  # keys, tokens, passwords
    WORDS = "words"  # phrases and patterns
    TOPICS = "topics"  # what is near to examples, by its meaning
    SIZE = "size"  # long texts
    TOOL = "tool"  # calls of tools
    TOOL_ARGUMENTS = "tool_arguments"  # calls whose arguments break a rule
    TOOL_CALLS = "tool_calls"  # too many calls


MEANING = (CheckKind.CLASSIFIER, CheckKind.TOPICS)
OF_DATA = (CheckKind.PERSONAL, CheckKind.SECRETS, CheckKind.WORDS, CheckKind.SIZE)
OF_CALLS = (CheckKind.TOOL, CheckKind.TOOL_ARGUMENTS, CheckKind.TOOL_CALLS)


class Hold(StrEnum):
    """How much of an answer a check by meaning holds back until it has read it."""

    NONE = "none"
    SENTENCE = "sentence"


class OnFailure(StrEnum):
    """What counts where a check fails, or has not ended within the policy's time."""

    OPEN = "open"  # it found nothing
    CLOSED = "closed"  # it found what it looks for


@dataclass(frozen=True, slots=True)
class ArgumentRule:
    """What one argument of a call must be; `argument` is its name, with dots into objects.

    A call without the argument passes. `inside`: a path within this folder. `hosts`: a URL or a
    host name of these, `*.example.com` for all below. `is_read_only_sql`: one statement that only
    reads. `minimum` and `maximum`: a number from and to.
    """

    argument: str
    inside: str | None = None
    hosts: tuple[str, ...] | None = None
    is_read_only_sql: bool = False
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `stages`: where; none: wherever its kind makes sense.

    `threshold`, from 0 to 1, is the score from which on it counts; None: the kind's own. `name` is
    what its verdicts are called; None: as its kind. `phrases` are of words and the examples of
    topics, `patterns` (RE2) of words, `kinds` those of personal data or secrets that are looked
    for; none: all. `max_characters` is of size. Of calls: `tools` are the names of those that are
    meant; none: all; `only_tainted`: only once an untrusted text is in the conversation;
    `arguments` of tool_arguments, `max_calls` (of one run) and `calls_per_minute` (of one tool and
    tenant) of tool_calls.
    """

    kind: CheckKind
    action: Action
    stages: tuple[Stage, ...] = ()
    threshold: float | None = None
    name: str | None = None
    phrases: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    max_characters: int | None = None
    tools: tuple[str, ...] = ()
    only_tainted: bool = False
    arguments: tuple[ArgumentRule, ...] = ()
    max_calls: int | None = None
    calls_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class GuardrailPolicy:
    """`id` is a slug, of a tenant's own `<tenant>/<slug>`; `tenant` None: of the organisation.

    `budget_ms` is how long checks by meaning may take before `on_failure` counts.

    `is_spotlit`: untrusted texts are marked off in the prompt. `is_reversible`: what is redacted in
    the prompt is put back into the caller's answer. `is_explained`: who is refused hears by which
    check.
    """

    id: str
    checks: tuple[Check, ...] = ()
    hold: Hold = Hold.SENTENCE
    on_failure: OnFailure = OnFailure.OPEN
    budget_ms: int = 2000
    is_spotlit: bool = True
    is_reversible: bool = False
    is_explained: bool = True
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check came to; `policy` is `<id>@<version>`.

    `what` is the family of an attack or the kind of data. `place` is the number of the message or
    the call; the span `begin` to `end` is of its text, in characters. Never the text itself.
    """

    check: str
    stage: Stage
    action: Action
    score: float = 1.0
    policy: str = ""
    what: str | None = None
    place: int | None = None
    begin: int | None = None
    end: int | None = None


def verdicts_of(value: Any) -> tuple[Verdict, ...]:
    """Those in a JSON `value`: a list of their fields."""
    return tuple(
        Verdict(**each | {"stage": Stage(each["stage"]), "action": Action(each["action"])})
        for each in value or ()
    )


def strongest(verdicts: Iterable[Verdict]) -> Action:
    """What is done about them all."""
    return max((v.action for v in verdicts), key=STRENGTH.__getitem__, default=Action.ALLOW)


def blocking(verdict: Verdict) -> Verdict:
    """Of something that nothing can be taken out of: what would be redacted is blocked."""
    is_redacted = verdict.action is Action.REDACT
    return replace(verdict, action=Action.BLOCK) if is_redacted else verdict
