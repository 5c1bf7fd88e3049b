"""Settings as a table."""

from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.settings.table import secrets_of, value, variables
from serving.settings.unknown import unknown


def row_of(settings, name):
    return next(row for row in variables(settings) if row.name == name)


def test_a_secret_has_a_variable_for_its_file():
    names = [row.name for row in variables(DatabaseSettings)]
    assert names.index("DATABASE_PASSWORD_FILE") == names.index("DATABASE_PASSWORD") + 1
    assert secrets_of(DatabaseSettings) == {"DATABASE_PASSWORD", "DATABASE_URL"}


def test_a_secret_is_shown_only_to_be_there():
    row = row_of(RedisSettings, "REDIS_PASSWORD")
    assert value(RedisSettings(password="sesame"), row) == "(hidden)"
    assert value(RedisSettings(), row) == ""


def test_a_url_is_shown_without_its_passwords():
    row = row_of(DatabaseSettings, "DATABASE_URL")
    url = "postgresql://me:sesame@h/db?password=sesame&sslmode=require&sslpassword=sesame"
    shown = value(DatabaseSettings(url=url), row)
    assert shown == (
        "postgresql://me:(hidden)@h/db?password=(hidden)&sslmode=require&sslpassword=(hidden)"
    )
    unhidden = "redis+cluster://a:1,b:2"
    assert value(RedisSettings(url=unhidden), row_of(RedisSettings, "REDIS_URL")) == unhidden


def test_a_slip_of_the_pen_is_told_with_what_was_meant():
    told = list(unknown(["REDIS_PASWORD", "PATH", "CONCH_X"], {"REDIS_PASSWORD", "REDIS_URL"}))
    assert told == [
        "CONCH_X is no variable of Conch",
        "REDIS_PASWORD is no variable of Conch; did you mean REDIS_PASSWORD?",
    ]


def test_what_kubernetes_says_about_services_is_no_slip():
    names = ["REDIS_SERVICE_HOST", "GATEWAY_SERVICE_PORT_HTTP", "REDIS_PORT_6379_TCP_ADDR"]
    assert list(unknown(names, ())) == []
