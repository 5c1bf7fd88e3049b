"""What the model `guard` says of texts."""

import numpy as np
import orjson
import pytest
from guarding import FORBIDDEN, Heard, ToldEmbedding, policy, topic, words

from serving.bls.guard_texts import MAX_TEXTS, decode, encode, read
from serving.contract.errors import EngineFailed, InvalidRequest, Unavailable
from serving.contract.guardrails import Action, Check, CheckKind, OnFailure, Stage
from serving.contract.wire import single
from serving.guardrails.wire import sealed

EMAIL = Check(CheckKind.PERSONAL, Action.REDACT, kinds=("email",))
LONG = "The boat left the harbour before dawn. " * 400


def arrays_of(*texts: str, mine=None, stage=None):
    arrays = {"text": np.array([[text.encode() for text in texts]], np.object_)}
    if mine is not None:
        arrays["policy"] = single("STRING", sealed(mine).text)
    if stage is not None:
        arrays["stage"] = single("STRING", stage)
    return arrays


async def said(*texts: str, heard=None, embedding=None, **more):
    asked = decode(arrays_of(*texts, **more))
    guards = (heard or Heard()).guards(embedding or ToldEmbedding())
    return await read(guards, asked)


async def test_each_text_has_its_own_verdicts():
    mine = policy(EMAIL, words(Action.FLAG, "sea"))
    heard = Heard()
    made = await said("the sea", "nothing", "ask ada@example.com", mine=mine, heard=heard)
    assert [[v.check for v in each.verdicts] for each in made] == [["words"], [], ["personal"]]
    assert [each.text for each in made] == ["the sea", "nothing", "ask [email_1]"]
    assert len(heard.verdicts) == 2


async def test_a_long_text_leaves_the_others_as_much_room():
    """Else whoever sends many texts at once could have most of them go unread."""
    texts = [FORBIDDEN, *(LONG for _ in range(3)), FORBIDDEN]
    made = await said(*texts, mine=policy(topic(Action.FLAG, Stage.INPUT)))
    assert [bool(each.verdicts) for each in made] == [True, False, False, False, True]


async def test_of_a_text_whose_meaning_is_to_go_nothing_is_left():
    (made,) = await said(FORBIDDEN, mine=policy(topic(Action.REDACT, Stage.INPUT)))
    assert made.text == "[topics]"


@pytest.mark.parametrize("rule", list(OnFailure))
async def test_a_check_that_fails_follows_the_policy(rule):
    mine = policy(EMAIL, topic(Action.BLOCK, Stage.INPUT), on_failure=rule)
    heard, broken = Heard(), ToldEmbedding(error=EngineFailed("broken"))
    asked = said("ada@example.com", FORBIDDEN, mine=mine, heard=heard, embedding=broken)
    if rule is OnFailure.OPEN:
        assert [each.text for each in await asked] == ["[email_1]", FORBIDDEN]
    else:
        with pytest.raises(Unavailable):
            await asked
    assert [type(error) for error in heard.failures] == [EngineFailed]


async def test_a_model_that_hangs_costs_no_more_than_the_budget():
    embedding = ToldEmbedding()
    embedding.is_open.clear()
    mine = policy(topic(Action.BLOCK, Stage.INPUT), budget_ms=20)
    made = await said(FORBIDDEN, FORBIDDEN, mine=mine, embedding=embedding)
    assert [each.verdicts for each in made] == [(), ()]
    assert embedding.running == 0


async def test_verdicts_come_in_the_shape_of_the_texts():
    asked = decode({"text": np.array([[b"a", b"b"], [b"c", b"d"]], np.object_)})
    made = encode(asked, await read(Heard().guards(ToldEmbedding()), asked))
    assert made["verdicts"].shape == made["redacted"].shape == (2, 2)
    assert made["redacted"].tolist() == [[b"a", b"b"], [b"c", b"d"]]
    assert orjson.loads(made["verdicts"][0, 0]) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"text": np.array([[]], np.object_)}, "'text' has 0 texts"),
        ({"text": np.array([[b"a"] * (MAX_TEXTS + 1)], np.object_)}, "1 to 256"),
        ({"text": np.array([[b"\xff"]], np.object_)}, "'text' is not UTF-8"),
        ({"stage": single("STRING", "output; drop")}, "'stage' is 'output; drop'"),
        ({"policy": single("STRING", "{")}, "no guardrail policy"),
        ({"policy": single("STRING", '{"id":"x","checks":[{"kind":"no"}]}')}, "checks.0"),
    ],
)
def test_what_is_wrong_is_said_by_its_name(change, named):
    with pytest.raises(InvalidRequest, match=named):
        decode(arrays_of("a") | change)


async def test_a_pattern_that_cannot_be_compiled_is_refused():
    mine = policy(Check(CheckKind.WORDS, Action.BLOCK, patterns=("(",)))
    with pytest.raises(InvalidRequest):
        await said("a", mine=mine)
