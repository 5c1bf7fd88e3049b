"""What clients say of the cache."""

import pytest

from gateway.api.cache_headers import wish_of
from serving.contract.cache import NO_WISH, CacheWish
from serving.contract.errors import InvalidRequest


def wish(control: str | None = None, word: str | None = None) -> CacheWish:
    return wish_of({"cache-control": control, "x-conch-cache": word}.get)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (None, NO_WISH),
        ("no-store", CacheWish(is_kept=False)),
        ("No-Cache", CacheWish(max_age_s=0)),
        ("max-age=60", CacheWish(max_age_s=60)),
        ('max-age="60"', CacheWish(max_age_s=60)),
        (" max-age = 60 , no-transform", CacheWish(max_age_s=60)),
        ("max-age=60, no-cache", CacheWish(max_age_s=0)),
        ("max-age=soon", CacheWish(max_age_s=0)),
        ("max-age=" + "9" * 400, CacheWish(max_age_s=0)),
        ("only-if-cached, stale", NO_WISH),
        (",,=", NO_WISH),
    ],
)
def test_cache_control_is_understood(control, expected):
    assert wish(control) == expected


def test_a_sampled_answer_can_be_allowed():
    assert wish(word="allow") == CacheWish(is_allowed=True)
    with pytest.raises(InvalidRequest) as refused:
        wish(word="please")
    assert refused.value.param == "X-Conch-Cache"
