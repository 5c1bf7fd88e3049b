from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from serving.guardrails.placeholders import Placeholders


def test_the_same_value_has_the_same_placeholder() -> None:
    placeholders = Placeholders()
    assert placeholders.of("email", "a@b.org") == "[email_1]"
    assert placeholders.of("email", "c@d.org") == "[email_2]"
    assert placeholders.of("phone", "+49 30 901820") == "[phone_1]"
    assert placeholders.of("email", "a@b.org") == "[email_1]"


def test_placeholders_are_put_back() -> None:
    placeholders = Placeholders()
    placeholders.of("email", "a@b.org")
    assert (
        placeholders.restore("to [email_1], not [email_2] [x]") == "to a@b.org, not [email_2] [x]"
    )


def test_a_vault_knows_nothing_of_another_request() -> None:
    Placeholders().of("email", "a@b.org")
    assert Placeholders().restore("[email_1]") == "[email_1]"


def test_what_was_found_in_an_answer_is_not_put_back() -> None:
    placeholders = Placeholders()
    assert (
        placeholders.restore(placeholders.of("email", "a@b.org", is_restored=False)) == "[email_1]"
    )


def test_what_a_caller_wrote_is_no_placeholder() -> None:
    placeholders = Placeholders()
    placeholders.avoid("what does [email_1] mean?")
    assert placeholders.of("email", "a@b.org") == "[email_2]"


_PIECES = ("[email_1]", "[email_2]", "[", "[a", "]", "x", "_1] ", "é")


@given(
    st.lists(st.sampled_from(_PIECES), max_size=12).map("".join),
    st.lists(st.integers(0, 80), max_size=12),
)  # fmt: skip
def test_chunks_are_restored_as_the_whole_text(text: str, places: list[int]) -> None:
    placeholders = Placeholders()
    placeholders.of("email", "a@b.org")
    cuts = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    answer = placeholders.restoring()
    shown = [answer.push(text[a:b]) for a, b in pairwise(cuts)] + [answer.end()]
    assert "".join(shown) == placeholders.restore(text)


def test_only_the_beginning_of_a_placeholder_is_held() -> None:
    answer = Placeholders().restoring()
    assert answer.push("see [1] and [ema") == "see [1] and "
    assert answer.push("il] x") == "[email] x"
