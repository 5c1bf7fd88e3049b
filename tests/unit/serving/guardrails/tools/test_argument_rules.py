"""Arguments are read strictly, and rules find theirs wherever a tool could."""

import json
from typing import Any

import pytest

from serving.contract.guardrails import ArgumentRule
from serving.guardrails.tools.arguments import broken, read

PATH = ArgumentRule("path", inside="/srv")
AMOUNT = ArgumentRule("order.total", maximum=100)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        "null",
        '"{}"',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"path": "/srv/a", "path": "/etc/passwd"}',
        '{"a": {"b": 1, "b": 2}}',
        "{} {}",
        "{'a': 1}",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a": ' + "9" * 10_000 + "}",
        '{"a": "' + "x" * 1_000_000 + '"}',
    ],
)
def test_what_is_no_object_for_certain_is_not_read(text: str):
    assert read(text) is None


def words(arguments: Any, *rules: ArgumentRule) -> list[str]:
    return list(broken(arguments, rules))


def test_each_rule_has_its_word():
    rules = (
        PATH,
        ArgumentRule("url", hosts=("good.com",)),
        ArgumentRule("sql", is_read_only_sql=True),
        AMOUNT,
    )
    good = {"path": "/srv/a", "url": "https://good.com", "sql": "SELECT 1", "order": {"total": 5}}
    bad = {
        "path": "/etc",
        "url": "https://evil.com",
        "sql": "DROP TABLE x",
        "order": {"total": 101},
    }
    assert words(good, *rules) == []
    assert words(bad, *rules) == ["path", "host", "sql", "amount"]


@pytest.mark.parametrize("arguments", [{}, {"path": None}, {"other": "/etc"}, {"path": []}])
def test_an_argument_that_is_not_there_breaks_no_rule(arguments: Any):
    assert words(arguments, PATH) == []


@pytest.mark.parametrize("value", [1, True, {}, {"a": "/srv"}, ["/srv/a", "/etc"], [["/etc"]]])
def test_a_value_that_is_no_such_thing_breaks_its_rule(value: Any):
    assert words({"path": value}, PATH) == ["path"]


def test_all_entries_of_a_list_are_looked_at():
    orders = {"order": [{"total": 5}, {"total": 500}]}
    assert words(orders, AMOUNT) == ["amount"]
    assert words({"path": ["/srv/a", "/srv/b"]}, PATH) == []


@pytest.mark.parametrize("arguments", [{"order": "total: 5"}, {"order": 5}, {"order": ["5"]}])
def test_what_is_no_object_where_one_should_be_breaks_the_rule(arguments: Any):
    assert words(arguments, AMOUNT) == ["amount"]
    assert words(arguments, ArgumentRule("order.path", inside="/srv")) == ["path"]


@pytest.mark.parametrize("name", ["Path", "PATH", "path"])
def test_names_are_found_however_they_are_written(name: str):
    assert words({name: "/etc"}, PATH) == ["path"]
    assert words({"path": "/srv/a", name.upper(): "/etc"}, PATH) == ["path"]


def test_a_name_with_a_dot_in_it_is_found_too():
    assert words({"order.total": 500}, AMOUNT) == ["amount"]


def test_very_deep_arguments_get_an_answer():
    found = read(json.dumps({"path": ["/etc"]}))
    assert found is not None
    for _ in range(300):
        found = {"path": [found["path"]]}
    assert words(found, PATH) == ["path"]
