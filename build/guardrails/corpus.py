"""All texts of a split, each with what it is. They follow from the seed alone."""

from dataclasses import dataclass
from random import Random

from guardrails.carriers import carried
from guardrails.noise import typed
from guardrails.templates import Templates
from serving.contract.guardrails import Stage

SEED = 6
SPLITS = ("train", "eval")
VARIANTS = {"train": 8, "eval": 9}
BARE_VARIANTS = {"train": 3, "eval": 2}  # of a template without slots or choices
CARRIED = ("indirect", "exfiltration", "tool_abuse", "review_manipulation")
CARRIED_TOO = {"override", "extraction", "fake_turns", "template_tokens"}  # some of these as well
DOCUMENTS = ("mail", "article", "web_page", "tool_result", "recipe", "manual", "security_text")
CARRIERS = ("mail", "article", "web_page", "tool_result", "manual")


@dataclass(frozen=True, slots=True)
class Text:
    """`group` is the family of an attack or the kind of a benign text.

    `template` numbers its template within the group; `begin` to `end` is the attack in the text.
    """

    text: str
    is_attack: bool
    group: str
    template: int
    stage: Stage
    begin: int = 0
    end: int = 0


def corpus(split: str, seed: int = SEED) -> list[Text]:
    """No text comes twice."""
    templates = Templates.load(split)
    rng = Random(f"{split} {seed}")
    found: dict[str, Text] = {}
    for group, lines in templates.attacks.items():
        for number, line in enumerate(lines):
            for _ in range(_variants(split, line)):
                one = _attack(templates, group, number, rng)
                found.setdefault(one.text, one)
    for group, lines in templates.benign.items():
        for number, line in enumerate(lines):
            for _ in range(_variants(split, line)):
                one = _benign(templates, group, number, rng)
                found.setdefault(one.text, one)
    return list(found.values())


def _variants(split: str, template: str) -> int:
    is_bare = "«" not in template and "|" not in template
    return (BARE_VARIANTS if is_bare else VARIANTS)[split]


def _attack(templates: Templates, group: str, number: int, rng: Random) -> Text:
    said = templates.filled(templates.attacks[group][number], rng)
    if group in CARRIED or (group in CARRIED_TOO and rng.random() < 0.2):
        stage, document = _document(templates, rng)
        whole, begin, end = carried(said, document, rng)
        return Text(whole, True, group, number, stage, begin, end)
    said = typed(said, rng)
    before = _before(templates, rng)
    whole = before + said
    return Text(whole, True, group, number, Stage.INPUT, len(before), len(whole))


def _before(templates: Templates, rng: Random) -> str:
    """Mostly nothing; else something harmless that is said first."""
    if rng.random() > 0.12:
        return ""
    kind = rng.choice(("chat", "writing", "article"))
    return templates.filled(rng.choice(templates.benign[kind]), rng) + rng.choice((" ", "\n\n"))


def _document(templates: Templates, rng: Random) -> tuple[Stage, str]:
    kind = rng.choice(CARRIERS)
    text = templates.filled(rng.choice(templates.benign[kind]), rng)
    return _stage(kind), text


def _benign(templates: Templates, group: str, number: int, rng: Random) -> Text:
    said = templates.filled(templates.benign[group][number], rng)
    stage = _stage(group)
    return Text(typed(said, rng) if stage == Stage.INPUT else said, False, group, number, stage)


def _stage(kind: str) -> Stage:
    if kind == "tool_result":
        return Stage.TOOL_RESULT
    return Stage.RETRIEVED if kind in DOCUMENTS else Stage.INPUT
