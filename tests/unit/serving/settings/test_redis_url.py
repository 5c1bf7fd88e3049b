"""What a Redis URL says."""

import pytest

from serving.settings.redis_url import Kind, RedisAddress, parse


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", RedisAddress(Kind.SINGLE, (("localhost", 6379),))),
        ("redis://h:1/2", RedisAddress(Kind.SINGLE, (("h", 1),), database=2)),
        ("redis://[::1]:7000", RedisAddress(Kind.SINGLE, (("::1", 7000),))),
        ("rediss://h", RedisAddress(Kind.SINGLE, (("h", 6379),), is_tls=True)),
        (
            "redis://me:p%40ss%2F@h/1",
            RedisAddress(Kind.SINGLE, (("h", 6379),), database=1, username="me", password="p@ss/"),
        ),
        ("redis://:secret@h", RedisAddress(Kind.SINGLE, (("h", 6379),), password="secret")),
        ("unix:///run/redis.sock", RedisAddress(Kind.SINGLE, socket="/run/redis.sock")),
        (
            "unix://me:secret@/run/a%20b.sock?db=3",
            RedisAddress(
                Kind.SINGLE, socket="/run/a b.sock", database=3, username="me", password="secret"
            ),
        ),
        (
            "redis+sentinel://a,b:1/mymaster/4",
            RedisAddress(Kind.SENTINEL, (("a", 26379), ("b", 1)), service="mymaster", database=4),
        ),
        (
            "rediss+sentinel://:pw@a/m",
            RedisAddress(Kind.SENTINEL, (("a", 26379),), service="m", is_tls=True, password="pw"),
        ),
        ("redis+cluster://a:1,b:2", RedisAddress(Kind.CLUSTER, (("a", 1), ("b", 2)))),
        ("rediss+cluster://a/0", RedisAddress(Kind.CLUSTER, (("a", 6379),), is_tls=True)),
    ],
)
def test_an_address_is_read(url, address):
    assert parse(url) == address


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h", "begins with redis://"),
        ("redis:h", "begins with redis://"),
        ("redis+tls://h", "begins with redis://"),
        ("redis://", "each host"),
        ("redis://h:0", "each host"),
        ("redis://h:70000", "each host"),
        ("redis://h:port", "each host"),
        ("redis://::1", "each host"),
        ("redis://a,b", "redis\\+sentinel:// or a redis\\+cluster://"),
        ("redis://h/one", "is a number"),
        ("redis://h?ssl_cert_reqs=none", "no options"),
        ("redis+sentinel://a,b", "names the service"),
        ("redis+cluster://a/1", "no database but 0"),
        ("redis+cluster://a,,b", "each host"),
        ("unix://run/redis.sock", "absolute path"),
        ("unix:///s?timeout=1", "only option"),
    ],
)
def test_what_is_no_address_is_told(url, why):
    with pytest.raises(ValueError, match=why):
        parse(url)


def test_a_refusal_and_a_repr_have_nothing_of_the_password():
    for url in ("redis://u:sesame@h:x", "redis://u:sesame@h/db", "unix://u:sesame@run/s"):
        with pytest.raises(ValueError, match=r"Redis URL|socket") as caught:
            parse(url)
        assert "sesame" not in str(caught.value)
    assert "sesame" not in repr(parse("redis://u:sesame@h"))
