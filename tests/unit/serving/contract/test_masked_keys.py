"""Keys that stand where they do not belong: what is left of them when they are told."""

import pytest

from serving.contract.api_keys import masked, new_key


@pytest.mark.parametrize("around", ["{}", "/v1/keys/{}", "{} {}", "a{}b", "%22{}%22"])
def test_of_a_key_in_a_text_only_the_id_is_left(around: str) -> None:
    key = new_key()
    told = masked(around.replace("{}", key.text))
    assert key.secret not in told
    assert key.secret[:8] not in told
    assert key.id in told


def test_other_texts_stay_as_they_are() -> None:
    for text in ("", "/v1/keys/abc", "ck_live_short", "ck_live_<id>_<secret>"):
        assert masked(text) == text
