"""What is taken as an address of Redis and of PostgreSQL, and what is not."""

import pytest

from serving.settings.base import BadSettings, load
from serving.settings.redis_url import Kind
from serving.settings.stores import DatabaseSettings, RedisSettings


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch):
    for name in ("REDIS_URL", "DATABASE_URL", "CONCH_SECRETS_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pem(tmp_path):
    path = tmp_path / "a.pem"
    path.touch()
    return str(path)


def refusal(monkeypatch, settings, **variables) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as caught:
        load(settings)
    return str(caught.value)


def test_whether_a_url_was_given_can_be_told(monkeypatch):
    assert "url" not in load(RedisSettings).model_fields_set
    monkeypatch.setenv("REDIS_URL", "redis+cluster://a,b")
    assert "url" in load(RedisSettings).model_fields_set
    assert load(RedisSettings).address.kind is Kind.CLUSTER


def test_a_bad_redis_url_is_told_but_not_shown(monkeypatch):
    told = refusal(monkeypatch, RedisSettings, REDIS_URL="redis://me:sesame@h:x")
    assert told.startswith("REDIS_URL=(hidden): each host")
    assert "sesame" not in told


def test_half_a_client_certificate_is_refused(monkeypatch, pem):
    told = refusal(monkeypatch, RedisSettings, REDIS_URL="rediss://h", REDIS_CERT_FILE=pem)
    assert told == "REDIS_CERT_FILE and REDIS_KEY_FILE belong together: set both"


def test_authorities_without_tls_are_refused_rather_than_ignored(monkeypatch, pem):
    told = refusal(monkeypatch, RedisSettings, REDIS_URL="redis://h", REDIS_CA_FILE=pem)
    assert "rediss://" in told


@pytest.mark.parametrize("variable", ["REDIS_CA_FILE", "REDIS_CERT_FILE", "REDIS_KEY_FILE"])
def test_a_file_that_is_not_there_is_named(monkeypatch, variable):
    assert f"{variable}='/nowhere'" in refusal(monkeypatch, RedisSettings, **{variable: "/nowhere"})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h/db",
        "postgres://u:p%40@h:5433/db?sslmode=verify-full&sslrootcert=/ca.pem",
        "postgresql://u@a:1,b:2,[::1]:3/db?target_session_attrs=read-write",
        "postgresql://conch@/conch?host=%2Fvar%2Frun&port=5432",
        "postgresql://%2Fvar%2Frun/db",
        "postgresql://",
    ],
)
def test_urls_of_libpq_are_taken(monkeypatch, url):
    monkeypatch.setenv("DATABASE_URL", url)
    assert load(DatabaseSettings).url == url


@pytest.mark.parametrize(
    "url", ["mysql://h/db", "postgresql+psycopg://h/db", "h:5432", "postgresql://h:port/db", "x\n"]
)
def test_other_urls_are_refused(monkeypatch, url):
    told = refusal(monkeypatch, DatabaseSettings, DATABASE_URL=url)
    assert told.startswith("DATABASE_URL=(hidden): a PostgreSQL URL is postgresql://")
