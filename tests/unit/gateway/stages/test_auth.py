"""One key opens the gateway."""

import pytest

from gateway.stages.auth import OWNER, Keyring, identify
from serving.contract.errors import Unauthenticated

KEYS = Keyring.of("sk-right")


@pytest.mark.parametrize("header", [b"Bearer sk-right", b"bearer sk-right", b"BEARER  sk-right "])
def test_the_key_identifies_its_owner(header: bytes) -> None:
    assert identify(header, KEYS) is OWNER


@pytest.mark.parametrize(
    "header",
    [None, b"", b"sk-right", b"Basic sk-right", b"Bearer", b"Bearer sk-wrong", b"Bearer sk-righ",
     b"Bearer \xff\x00"],
)  # fmt: skip
def test_anything_else_is_refused(header: bytes | None) -> None:
    with pytest.raises(Unauthenticated):
        identify(header, KEYS)


def test_keyring_does_not_hold_the_key() -> None:
    assert "sk-right" not in repr(KEYS)
