"""Checks of guardrail policies on the wire."""

from typing import Annotated, Self

import re2  # type: ignore[import-untyped]
from pydantic import AfterValidator, Field, model_validator
from pydantic import StringConstraints as Like

from control_plane.wire import Body, Names
from serving.contract.guardrails import Action, ArgumentRule, Check, CheckKind, Stage
from serving.guardrails.check_fields import flaw, rule_flaw

MOST = 256  # phrases, patterns, names in one check
MOST_RULES = 64
# Of one compiled pattern: there may be many, and each is in memory wherever texts are read.
PATTERN_BYTES = 1 << 18

_TEXT = r"[^\x00-\x1f\x7f-\x9f]"


def _pattern(source: str) -> str:
    """As RE2 takes it where texts are read, and not too large."""
    options = re2.Options()
    options.log_errors, options.never_capture, options.case_sensitive = False, True, False
    options.max_mem = PATTERN_BYTES
    try:
        re2.compile(source, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown"
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise ValueError(f"no pattern of RE2, which has no look-around: {said}") from None
    return source


def _host(name: str) -> str:
    if not name.isascii() or not name.isprintable() or " " in name:
        raise ValueError("a host is written in ASCII: example.com, *.example.com or xn--…")
    return name


Text = Annotated[str, Like(strip_whitespace=True, pattern=f"^{_TEXT}{{1,256}}$")]
Source = Annotated[str, Like(pattern=f"^{_TEXT}{{1,256}}$"), AfterValidator(_pattern)]
Name = Annotated[str, Like(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
DataKind = Annotated[str, Like(pattern=r"^[a-z0-9_]{1,32}$")]
Tool = Annotated[str, Like(pattern=r"^[\x21-\x7e]{1,128}$")]
Host = Annotated[str, Like(min_length=1, max_length=256), AfterValidator(_host)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Score = Annotated[Number, Field(ge=0, le=1)]
Hosts = Annotated[tuple[Host, ...], Field(min_length=1, max_length=MOST)]


class ArgumentRuleBody(Body):
    """What one argument of a call has to be."""

    argument: Text
    inside: Text | None = None
    hosts: Hosts | None = None
    is_read_only_sql: bool = False
    minimum: Number | None = None
    maximum: Number | None = None

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        _told(rule_flaw(self.rule()))
        return self

    def rule(self) -> ArgumentRule:
        return ArgumentRule(**{name: getattr(self, name) for name in type(self).model_fields})


class CheckBody(Body):
    """One check. A field that is not of its kind is refused unless it is at its default."""

    kind: CheckKind
    action: Action
    stages: Annotated[Names[Stage], Field(max_length=len(Stage))] = ()
    threshold: Score | None = None
    name: Name | None = None
    phrases: Names[Text] = ()
    patterns: Names[Source] = ()
    kinds: Names[DataKind] = ()
    max_characters: Annotated[int, Field(ge=1, le=10**9)] | None = None
    tools: Names[Tool] = ()
    only_tainted: bool = False
    arguments: Annotated[tuple[ArgumentRuleBody, ...], Field(max_length=MOST_RULES)] = ()
    max_calls: Annotated[int, Field(ge=1, le=10**6)] | None = None
    calls_per_minute: Annotated[int, Field(ge=1, le=10**6)] | None = None

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        _told(flaw(self.check()))
        return self

    def check(self) -> Check:
        said = {name: getattr(self, name) for name in type(self).model_fields}
        rules = tuple(rule.rule() for rule in self.arguments)
        return Check(**said | {"arguments": rules})


def _told(complaint: str | None) -> None:
    if complaint is not None:
        raise ValueError(complaint)
