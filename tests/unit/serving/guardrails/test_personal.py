import pytest

from serving.contract.errors import InvalidRequest
from serving.contract.guardrails import Action, Check, CheckKind, GuardrailPolicy
from serving.guardrails.examine import Guard
from serving.guardrails.personal import KINDS, personal_data


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "jo.doe+x@mail.example.org"),
        ("phone", "+49 (30) 901820-0"),
        ("card", "4111 1111 1111 1111"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("ip", "8.8.8.8"),
        ("ip", "2606:4700:4700::1111"),
        ("us_ssn", "219-09-9999"),
        ("uk_nino", "AB 12 34 56 C"),
        ("de_tax_id", "86095742719"),
        ("fr_nir", "1 85 05 78 006 084 91"),
        ("es_dni", "12345678Z"),
        ("es_dni", "X1234567L"),
        ("it_codice_fiscale", "RSSMRA85T10A562S"),
        ("br_cpf", "529.982.247-25"),
        ("pl_pesel", "44051401359"),
    ],
)
def test_personal_data_is_found_with_its_kind(kind: str, text: str) -> None:
    found = personal_data(f"It is {text}, I think")
    assert [(f.what, f.begin, f.end) for f in found] == [(kind, 6, 6 + len(text))]
    assert kind in KINDS


@pytest.mark.parametrize(
    "text",
    ["219-00-9999", "86095742718", "12345678A", "RSSMRA85T10A562T", "529.982.247-26", "44051401358",
     "192.168.1.1", "127.0.0.1", "1.2.3", "999.1.1.1", "12:30:45", "::1", "111.111.111-11",
     "std::vector::at", "4111 1111 1111 1112"],
)  # fmt: skip
def test_what_has_no_right_check_digit_or_is_nobodys_is_none(text: str) -> None:
    assert not personal_data(f"It is {text} here")


def test_two_numbers_side_by_side_are_two() -> None:
    found = personal_data("DE89370400440532013000 GB82WEST12345698765432")
    assert [finding.what for finding in found] == ["iban", "iban"]


def test_only_the_kinds_that_are_asked_for_are_found() -> None:
    assert [f.what for f in personal_data("a@b.org 8.8.8.8", ("ip",))] == ["ip"]


def test_an_unknown_kind_is_refused_and_the_known_ones_are_named() -> None:
    check = Check(CheckKind.PERSONAL, Action.REDACT, kinds=("shoe_size",))
    with pytest.raises(InvalidRequest, match=r"'shoe_size'.*email"):
        Guard.of(GuardrailPolicy("p", (check,)))
