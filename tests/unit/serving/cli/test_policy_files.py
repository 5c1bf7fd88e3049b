"""Policies as files: read strictly, written so that they can be read again."""

import orjson
import pytest

from serving.cli.policy_files import policy_of, read, written
from serving.contract.guardrails import Action, ArgumentRule, Check, CheckKind, GuardrailPolicy
from serving.guardrails.default_policy import DEFAULT
from serving.stack.errors import StackError

TOML = """
id = "acme/strict"
hold = "none"

[[checks]]
kind = "words"
action = "block"
phrases = ["Project Bluebird"]

[[checks]]
kind = "tool_arguments"
action = "ask"
tools = ["pay"]
arguments = [{argument = "amount", maximum = 99.5}]
"""
PAY = Check(
    CheckKind.TOOL_ARGUMENTS,
    Action.ASK,
    tools=("pay",),
    arguments=(ArgumentRule("amount", maximum=99.5),),
)


@pytest.fixture
def file(tmp_path):
    def write(text, name="p.json"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_toml_and_json_say_the_same(file):
    policy = policy_of(read(file(TOML, "p.toml")))
    assert (policy.id, policy.checks[1]) == ("acme/strict", PAY)
    assert policy_of(read(file(written(policy)))) == policy


def test_what_is_shown_can_be_put_back(file):
    again = policy_of(read(file(written(DEFAULT))))
    assert again == DEFAULT
    assert orjson.loads(written(GuardrailPolicy("p", tenant="acme"))) == {"id": "p"}


def test_what_the_control_plane_sets_is_left_alone(file):
    said = {"id": "p", "object": "guardrails", "created_at": 1, "tenant": None}
    assert read(file(orjson.dumps(said).decode())) == {"id": "p"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "neither JSON nor TOML"),
        ("[]", "no 'id'"),
        ('{"checks": []}', "no 'id'"),
        ('{"id": "p", "chekcs": []}', "'chekcs' is not known"),
        ('{"id": "p", "checks": [{"kind": "magic", "action": "flag"}]}', "checks.0.kind"),
        (
            '{"id": "p", "checks": [{"kind": "secrets", "action": "flag", "levle": 1}]}',
            r"'checks\[0\]\.levle' is not known",
        ),
        (
            '{"id": "p", "checks": [{"kind": "secrets", "action": "flag", "threshold": 0.1}]}',
            r"checks\[0\]: 'threshold' does not belong",
        ),
        (
            '{"id": "p", "checks": [{"kind": "tool_arguments", "action": "flag",'
            ' "arguments": [{"argument": "a", "insight": "/"}]}]}',
            r"'checks\[0\]\.arguments\[0\]\.insight' is not known",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(file, text, word):
    with pytest.raises(StackError, match=word):
        policy_of(read(file(text)))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StackError, match="cannot be read"):
        read(tmp_path / "none.json")
