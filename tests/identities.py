"""Keys, directories and verifiers for tests of who may come in."""

from typing import Any

import httpx

from serving.adapters.oidc import Oidc
from serving.contract.api_keys import digest, new_key
from serving.contract.permissions import Role
from serving.contract.policy import Document, Key, Project, Secret, Tenant, Version
from serving.identity.directory import Directory, Entry
from serving.identity.guesses import Guesses
from serving.identity.identify import Credentials, Verifier
from serving.identity.issuer_keys import Issuers

PEPPER = b"p" * 32
NOW = 1_700_000_000.0
ADDRESS = "192.0.2.7"
ACME = (
    Tenant("acme", "Acme"),
    Project("acme/web", "acme", "Web"),
    Tenant("globex", "Globex"),
    Project("globex/app", "globex", "App"),
)


def directory_of(*documents: Document) -> Directory:
    directory = Directory(Version("epoch", 1))
    put(directory, *documents)
    return directory


def put(directory: Directory, *documents: Document) -> None:
    directory.put([Entry(type(document), document.id, document) for document in documents])


def remove(directory: Directory, document: Document) -> None:
    directory.put([Entry(type(document), document.id, None)])


def stranger(guesses: Guesses | None = None) -> Verifier:
    """A verifier that knows the pepper and no issuer."""
    return Verifier(PEPPER, Issuers(Oidc(httpx.AsyncClient())), guesses)


def key_of(role: Role = Role.SERVICE, **fields: Any) -> tuple[Credentials, Key]:
    """A new key as it is presented, and its document."""
    made = new_key()
    key = Key(made.id, "a key", role, (Secret(digest(made, PEPPER)),), **fields)
    return credentials(made.text), key


def credentials(text: str, address: str | None = ADDRESS) -> Credentials:
    return Credentials(f"Bearer {text}".encode(), address)
