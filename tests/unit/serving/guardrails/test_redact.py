import time
from itertools import pairwise

import pytest

from serving.contract import api_keys
from serving.guardrails.redact import findings, redact, redact_json


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to jo.doe+x@mail.example.org.", "write to [email]."),
        ("müller@example.de", "[email]"),
        ("call +49 (30) 901820-0 today", "call [phone] today"),
        ("call 0049 30 9018200 today", "call [phone] today"),
        ("(415) 555-2671 or 415.555.2671", "[phone] or [phone]"),
        ("ring 0171 1234567", "ring [phone]"),
        ("card 4111 1111 1111 1111, exp 12/30", "card [card], exp 12/30"),
        ("4111-1111-1111-1111", "[card]"),
        ("378282246310005", "[card]"),
        ("order 12 4111 1111 1111 1111 123", "order 12 [card] 123"),
        ("pay DE89 3704 0044 0532 0130 00 AND go", "pay [iban] AND go"),
        ("GB82WEST12345698765432", "[iban]"),
        ("sk-proj-abcdefghijklmnop1234", "[api_key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[api_key]"),
        ("Authorization: Bearer abcdefghij0123456789==", "Authorization: Bearer [token]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "[jwt]"),
        ("a@b.org b@c.org", "[email] [email]"),
    ],
)
def test_personal_data_and_secrets_are_masked(text: str, masked: str) -> None:
    assert redact(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "In 2024-05-06 12:30:45 we sold 1,000,000 pieces at 3.14159265358979",
        "4111 1111 1111 1112 is no card number",
        "DE89370400440532013001 is no IBAN",
        "192.168.100.200 and version 1.2.3",
        "x = a @ b; sk-short; 0.12345678",
        "build 20240506123045",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_a_private_key_is_masked_to_its_end() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\nxyz==\n-----END RSA PRIVATE KEY-----"
    assert redact(f"a {key} b") == "a [private_key] b"
    assert redact("-----BEGIN PRIVATE KEY-----\nMIIabc and no end") == "[private_key]"


def test_our_own_keys_are_masked() -> None:
    assert redact(f"my key is {api_keys.new_key().text}!") == "my key is [api_key]!"


def test_findings_are_in_order_and_do_not_overlap() -> None:
    text = "+49 30 9018200, a@b.org, 4111111111111111"
    found = findings(text)
    assert [finding.what for finding in found] == ["phone", "email", "card"]
    assert all(a.end <= b.begin for a, b in pairwise(found))


def test_all_strings_of_a_json_value_are_redacted() -> None:
    messages = [{"role": "user", "content": [{"text": "a@b.org"}], "n": 1, "name": None}]
    assert redact_json(messages) == [
        {"role": "user", "content": [{"text": "[email]"}], "n": 1, "name": None}
    ]


@pytest.mark.parametrize(
    "piece",
    [
        "1 ",
        "1",
        "a@b.cc ",
        "a",
        "a.",
        "a@",
        "+1",
        "AB12 ",
        "(0",
        "0-",
        "eyJaaaaaaaaa.",
        "a-",
        "-----BEGIN ",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    began_s = time.process_time()
    redact(piece * (20_000 // len(piece)))
    assert time.process_time() - began_s < 1
