"""A check of a policy that is by rule, compiled: where it runs, and what it finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.contract.errors import InvalidRequest
from serving.contract.guardrails import UNTRUSTED, Check, CheckKind, Stage
from serving.guardrails import personal, secrets
from serving.guardrails.findings import Detector, Finding
from serving.guardrails.injection import OUTPUT_FORMS
from serving.guardrails.size import excess
from serving.guardrails.words import Words

# Text, the characters before and after it, and where it begins.
Find = Callable[[str, str, str, int], list[Finding]]

_TEXTS = (Stage.INPUT, *UNTRUSTED, Stage.OUTPUT)
_STAGES = {
    CheckKind.INJECTION: (Stage.INPUT, *UNTRUSTED),
    CheckKind.PERSONAL: _TEXTS,
    CheckKind.SECRETS: tuple(Stage),
    CheckKind.WORDS: tuple(Stage),
    CheckKind.SIZE: _TEXTS,
}


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """`forms` are patterns of all that it finds in a text; `phrase_forms` of it folded."""

    check: Check
    stages: tuple[Stage, ...]
    find: Find
    forms: tuple[str, ...] = ()
    phrase_forms: tuple[str, ...] = ()

    @property
    def kind(self) -> CheckKind:
        return self.check.kind


def rule_check(check: Check) -> RuleCheck | None:
    """None if the check is not by rule. Raises InvalidRequest that says what is wrong with it."""
    if check.kind not in _STAGES:
        return None
    if check.threshold is not None and not 0 <= check.threshold <= 1:
        raise _wrong(check, f"threshold is {check.threshold:g}; it is from 0 to 1", "threshold")
    find, forms, phrase_forms = _COMPILED[check.kind](check)
    return RuleCheck(check, check.stages or _STAGES[check.kind], find, forms, phrase_forms)


_Compiled = tuple[Find, tuple[str, ...], tuple[str, ...]]


def _injection(_: Check) -> _Compiled:
    """It is judged as a whole, so it is not searched for here."""
    return lambda *_: [], OUTPUT_FORMS, ()


def _personal(check: Check) -> _Compiled:
    _known(check, personal.KINDS)
    forms = _forms(personal.DETECTORS, check.kinds)
    return lambda text, *_: personal.personal_data(text, check.kinds), forms, ()


def _secrets(check: Check) -> _Compiled:
    _known(check, secrets.KINDS)
    forms = _forms(secrets.DETECTORS, check.kinds)
    return lambda text, *_: secrets.secrets(text, check.kinds), forms, ()


def _words(check: Check) -> _Compiled:
    if not check.phrases and not check.patterns:
        raise _wrong(check, "no phrases and no patterns; give some", "phrases")
    words = Words(check.phrases, check.patterns)
    return (
        lambda text, before, after, _: words.find(text, before, after),
        tuple(f"(?i:{form})" for form in words.pattern_forms),
        words.phrase_forms,
    )


def _size(check: Check) -> _Compiled:
    most = check.max_characters
    if most is None or most < 0:
        raise _wrong(check, f"max_characters is {most}; give a number from 0", "max_characters")
    return lambda text, _before, _after, begin: excess(text, most - begin), (), ()


def _forms(detectors: Sequence[Detector], kinds: Sequence[str]) -> tuple[str, ...]:
    return tuple(d.form for d in detectors if d.form and (not kinds or d.what in kinds))


def _known(check: Check, kinds: Sequence[str]) -> None:
    unknown = next((kind for kind in check.kinds if kind not in kinds), None)
    if unknown is not None:
        raise _wrong(check, f"kind {unknown!r} is not known; there are {', '.join(kinds)}", "kinds")


def _wrong(check: Check, what: str, param: str) -> InvalidRequest:
    return InvalidRequest(f"check {check.name or check.kind!s}: {what}", param=param)


_COMPILED: dict[CheckKind, Callable[[Check], _Compiled]] = {
    CheckKind.INJECTION: _injection,
    CheckKind.PERSONAL: _personal,
    CheckKind.SECRETS: _secrets,
    CheckKind.WORDS: _words,
    CheckKind.SIZE: _size,
}
