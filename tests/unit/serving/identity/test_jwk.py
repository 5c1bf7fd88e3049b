"""Which keys of a set are of use, and for what."""

import pytest
from local_issuer import Signer, rsa_key

from serving.identity.jwk import ALGORITHMS, MOST_KEYS, signing_keys

EC = Signer("ec", "ES256").jwk
RSA = Signer("rsa", "RS256").jwk


def without(jwk, *names):
    return {name: value for name, value in jwk.items() if name not in names}


def test_no_algorithm_with_a_shared_secret_is_possible() -> None:
    assert all(name[:2] in ("RS", "PS", "ES", "Ed") for name in ALGORITHMS)


@pytest.mark.parametrize(
    ("jwk", "fits"),
    [
        (EC, {"ES256"}),
        (without(EC, "alg"), {"ES256"}),
        (RSA, {"RS256"}),
        (without(RSA, "alg"), {name for name in ALGORITHMS if name[:2] in ("RS", "PS")}),
        ({**RSA, "alg": "HS256"}, set()),
        ({**RSA, "alg": "RSA-OAEP"}, set()),
        (Signer("x", "ES512").jwk, {"ES512"}),
        (Signer("x", "EdDSA").jwk, {"EdDSA"}),
    ],
)
def test_a_key_is_for_what_its_kind_can_do_and_it_says(jwk, fits) -> None:
    (key,) = signing_keys([jwk])
    assert {name for name in ALGORITHMS if key.is_for(None, name)} == fits


def test_a_key_answers_to_its_id_only() -> None:
    (key,) = signing_keys([EC])
    assert key.is_for("ec", "ES256")
    assert not key.is_for("Ec", "ES256")
    (nameless,) = signing_keys([without(EC, "kid")])
    assert not nameless.is_for("ec", "ES256")


@pytest.mark.parametrize(
    "jwk",
    [
        None, "x", [], {}, {"kty": "RSA"}, {"kty": ["RSA"]}, {"kty": "oct", "k": "c2VjcmV0"},
        {**EC, "use": "enc"}, {**EC, "key_ops": ["sign"]}, {**EC, "key_ops": "verify"},
        {**EC, "crv": "P-384"}, {**EC, "crv": "secp256k1"}, {**EC, "crv": None},
        {**EC, "x": "AAAA"}, {**EC, "x": 7}, {**EC, "kty": "OKP"}, {**EC, "kty": "RSA"},
        {**RSA, "n": "AQAB"}, {**RSA, "n": ""}, {**RSA, "e": "!"},
        Signer("weak", "RS256", rsa_key(bits=1024)).jwk,
    ],
)  # fmt: skip
def test_what_is_no_public_key_to_verify_with_is_left_out(jwk) -> None:
    assert signing_keys([jwk, EC]) == signing_keys([EC])


def test_a_private_key_that_was_published_is_taken_as_its_public_half() -> None:
    (key,) = signing_keys([{**EC, "d": "AAAA"}])
    assert not hasattr(key.public_key, "sign")


def test_the_same_keys_are_equal_however_often_they_are_read() -> None:
    assert signing_keys([EC, RSA]) == signing_keys([dict(EC), dict(RSA)])
    assert signing_keys([EC]) != signing_keys([Signer("ec", "ES256").jwk])


def test_a_set_is_read_so_far_and_no_further() -> None:
    assert len(signing_keys([EC] * 1000)) == MOST_KEYS
