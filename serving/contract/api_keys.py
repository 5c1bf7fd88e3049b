"""API keys as text: `ck_live_<id>_<secret>`, and the keyed hash that is all that is stored."""

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass

PREFIX = "ck_live"
ID_LENGTH = 10
SECRET_LENGTH = 43  # of 62 letters: more than 256 bits
ALPHABET = string.ascii_letters + string.digits
_LETTERS = frozenset(ALPHABET)
_KEY = re.compile(rf"({PREFIX}_[A-Za-z0-9]{{{ID_LENGTH}}}_)[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in the clear. It stays out of `repr`; `text` is what its owner is shown once."""

    id: str
    secret: str

    @property
    def text(self) -> str:
        return f"{PREFIX}_{self.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"ApiKey({self.id!r})"


def new_key(key_id: str | None = None) -> ApiKey:
    """A new key, or a new secret for `key_id`."""
    return ApiKey(key_id or _random(ID_LENGTH), _random(SECRET_LENGTH))


def parse(text: str) -> ApiKey | None:
    """The key that `text` is, or None when it has not that form."""
    head, _, secret = text.rpartition("_")
    prefix, _, key_id = head.rpartition("_")
    is_whole = prefix == PREFIX and len(key_id) == ID_LENGTH and len(secret) == SECRET_LENGTH
    return ApiKey(key_id, secret) if is_whole and _LETTERS.issuperset(key_id + secret) else None


def digest(key: ApiKey, pepper: bytes) -> str:
    """HMAC-SHA256 of id and secret under `pepper`, in hex: of no use to who steals the database."""
    return hmac.new(pepper, f"{key.id}_{key.secret}".encode(), hashlib.sha256).hexdigest()


def masked(text: str) -> str:
    """`text` without the secrets of the keys that are in it."""
    return _KEY.sub(r"\1***", text)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
