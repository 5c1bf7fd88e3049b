"""The texts that the attack classifier learns from and is measured on."""

from functools import cache

import numpy as np
import pytest

from guardrails.corpus import SPLITS, Text, corpus
from guardrails.examples import digest, examples
from guardrails.templates import Templates
from serving.contract.guardrails import UNTRUSTED
from serving.guardrails.meaning import WEIGHTS

LEAST_TEXTS, LEAST_FAMILIES = 1_000, 12
# Of all texts of a split: with other texts the classifier is to be trained and measured anew.
HASHES = {"train": "71e2f027910c79f2", "eval": "fb18694e15d10f03"}


@cache
def texts(split: str) -> list[Text]:
    return corpus(split)


def test_the_evaluation_is_as_large_as_promised() -> None:
    attacks = [one for one in texts("eval") if one.is_attack]
    assert len(attacks) >= LEAST_TEXTS
    assert len({one.group for one in attacks}) >= LEAST_FAMILIES
    assert len(texts("eval")) - len(attacks) >= LEAST_TEXTS


def test_no_template_is_learned_from_and_measured_on() -> None:
    learned, measured = (Templates.load(split) for split in SPLITS)
    for table in ("attacks", "benign"):
        lines = [set().union(*getattr(t, table).values()) for t in (learned, measured)]
        assert lines[0].isdisjoint(lines[1])
    assert {one.text for one in texts("train")}.isdisjoint(one.text for one in texts("eval"))


def test_harmful_goals_that_are_measured_on_are_not_learned_from() -> None:
    learned, measured = (set(Templates.load(split).slots["goal"]) for split in SPLITS)
    assert learned.isdisjoint(measured)


def test_some_families_are_measured_on_only() -> None:
    learned, measured = (set(Templates.load(split).attacks) for split in SPLITS)
    assert len(measured - learned) >= 5


@pytest.mark.parametrize("split", SPLITS)
def test_the_texts_are_these(split: str) -> None:
    assert digest(texts(split)) == HASHES[split]


def test_the_weights_learned_from_the_texts_that_are_there() -> None:
    with np.load(WEIGHTS) as arrays:
        assert str(arrays["corpus"]) == digest(texts("train"))


@pytest.mark.parametrize("split", SPLITS)
def test_every_slot_is_filled_and_no_text_comes_twice(split: str) -> None:
    assert not [one.text for one in texts(split) if "«" in one.text or "»" in one.text]
    assert len({one.text for one in texts(split)}) == len(texts(split))


@pytest.mark.parametrize("split", SPLITS)
def test_an_attack_in_a_document_is_where_it_is_said_to_be(split: str) -> None:
    carried = [one for one in texts(split) if one.is_attack and one.stage in UNTRUSTED]
    assert carried
    assert all(0 <= one.begin < one.end <= len(one.text) for one in carried)


def test_a_document_without_an_attack_is_harmless_to_both_outputs() -> None:
    kinds = {one.group: one.wanted for one in examples(texts("train")) if not one.template[0]}
    assert kinds["mail"] == (0.0, 0.0)
    assert kinds["chat"][0] == 0.0
