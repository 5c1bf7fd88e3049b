"""The texts that the guardrails are measured on, and that nothing was learned from them."""

import hashlib

from guardrails.corpus import corpus
from guardrails.evaluation import FILE, evaluation

HASH = "c7be68b3ad2d"  # with other texts the figures of the documents are others, too
LEAST_TEXTS, LEAST_FAMILIES = 1_000, 12


def test_the_texts_are_these() -> None:
    assert hashlib.sha256(FILE.read_bytes()).hexdigest().startswith(HASH)


def test_there_are_as_many_as_promised() -> None:
    attacks = [one for one in evaluation() if one.is_attack]
    harmless = [one for one in evaluation() if not one.is_attack]
    assert min(len(attacks), len(harmless)) >= LEAST_TEXTS
    assert min(len({one.group for one in texts}) for texts in (attacks, harmless)) >= LEAST_FAMILIES


def test_none_of_them_is_learned_from() -> None:
    learned = {one.text.casefold() for split in ("train", "eval") for one in corpus(split)}
    assert learned.isdisjoint(one.text.casefold() for one in evaluation())


def test_an_attack_is_where_it_is_said_to_be() -> None:
    assert all(0 <= one.begin < one.end <= len(one.text) for one in evaluation() if one.is_attack)
