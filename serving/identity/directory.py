"""The policy in memory: every document of a snapshot, found by id, kept up to date by deltas."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self, TypeVar

import structlog

from serving.contract.guardrails import GuardrailPolicy
from serving.contract.policy import (
    KINDS,
    Change,
    Delta,
    Document,
    Issuer,
    Key,
    LogPrivacy,
    Model,
    Project,
    Settings,
    Snapshot,
    Tenant,
    User,
    Version,
)
from serving.guardrails.default_policy import BUILT_IN, DEFAULT
from serving.identity.documents import BadDocument, decode

D = TypeVar("D", bound=Document)
DEFAULTS = Settings()
log: structlog.stdlib.BoundLogger = structlog.get_logger("policy")


class OutOfOrder(Exception):
    """A delta that does not follow the version at hand: only a snapshot helps."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A change that has been read. Without a document: there is none of that id any more."""

    kind: type[Document]
    id: str
    document: Document | None


def read(changes: Iterable[Change]) -> list[Entry]:
    """What `changes` say; the costly part of an update, and safe in another thread.

    Kinds of a newer version are skipped. A document that cannot be read counts as removed and is
    logged: a key that this version does not understand opens nothing.
    """
    return [_read(change) for change in changes if change.kind in KINDS]


def _read(change: Change) -> Entry:
    kind = KINDS[change.kind]
    if change.document is None:
        return Entry(kind, change.id, None)
    try:
        return Entry(kind, change.id, decode(change.kind, change.document))
    except BadDocument as error:
        log.warning("policy_document_ignored", kind=change.kind, id=change.id, reason=str(error))
        return Entry(kind, change.id, None)


class Directory:
    """All documents at `version`. Reads never wait; changes are made by one task or thread."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self._tables: dict[type[Any], dict[str, Any]] = {kind: {} for kind in KINDS.values()}
        self._by_subject: dict[tuple[str, str], User] = {}
        self._missed: set[str] = set()  # guardrails that are named and not there

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        directory = cls(snapshot.version)
        directory.put(read(snapshot.documents))
        return directory

    def tenant(self, tenant_id: str) -> Tenant | None:
        return self._find(Tenant, tenant_id)

    def project(self, project_id: str) -> Project | None:
        return self._find(Project, project_id)

    def key(self, key_id: str) -> Key | None:
        return self._find(Key, key_id)

    def user(self, issuer: str, subject: str) -> User | None:
        return self._by_subject.get((issuer, subject))

    def user_by_id(self, user_id: str) -> User | None:
        return self._find(User, user_id)

    def issuer(self, iss: str) -> Issuer | None:
        return self._find(Issuer, iss)

    def model(self, name: str) -> Model:
        """A free and unlimited one where nothing is said of it."""
        return self._find(Model, name) or Model(name)

    @property
    def settings(self) -> Settings:
        return self._find(Settings, DEFAULTS.id) or DEFAULTS

    def privacy_of(self, project_id: str) -> LogPrivacy:
        """What a project keeps of its texts: as it says itself, or else as the settings do."""
        project = self.project(project_id)
        own = None if project is None else project.log_privacy
        return self.settings.log_privacy if own is None else own

    def retention_days_of(self, project_id: str) -> int:
        """How long a project keeps what it keeps."""
        project = self.project(project_id)
        own = None if project is None else project.retention_days
        return self.settings.retention_days if own is None else own

    def guardrails(self, policy_id: str) -> GuardrailPolicy | None:
        """Of those that people wrote, and the built-in ones."""
        return BUILT_IN.get(policy_id) or self._find(GuardrailPolicy, policy_id)

    def guardrails_of(self, project_id: str) -> GuardrailPolicy:
        """What a project's texts are checked by: as it says itself, its tenant, or the settings.

        The default policy where that one is not there; it is logged once.
        """
        name = self._guardrails_named(self.project(project_id))
        found = self.guardrails(name)
        if found is None and name not in self._missed:
            self._missed.add(name)
            log.warning("guardrails_missing", id=name, project=project_id, instead=DEFAULT.id)
        return found or DEFAULT

    def _guardrails_named(self, project: Project | None) -> str:
        if project is None:
            return self.settings.guardrails
        tenant = self.tenant(project.tenant)
        of_tenant = None if tenant is None else tenant.guardrails
        return project.guardrails or of_tenant or self.settings.guardrails

    def each(self, kind: type[D]) -> tuple[D, ...]:
        """All documents of one kind, as they are now."""
        return tuple(self._tables[kind].values())

    def documents(self) -> tuple[Document, ...]:
        """All documents, as they are now."""
        return tuple(chain.from_iterable(table.values() for table in self._tables.values()))

    def apply(self, delta: Delta) -> None:
        """Go to `delta.version`, in one step for the event loop; raises OutOfOrder, unchanged."""
        self.advance(delta.version, read(delta.changes))

    def advance(self, version: Version, entries: Iterable[Entry]) -> None:
        """`apply`, for changes that were read elsewhere."""
        if version != Version(self.version.epoch, self.version.number + 1):
            raise OutOfOrder(f"{version} does not follow {self.version}")
        self.put(entries)
        self.version = version

    def put(self, entries: Iterable[Entry]) -> None:
        """Change documents within the version: for who fills a directory piece by piece."""
        for entry in entries:
            self._put(entry)

    def _find(self, kind: type[D], document_id: str) -> D | None:
        found: D | None = self._tables[kind].get(document_id)
        return found

    def _put(self, entry: Entry) -> None:
        table = self._tables[entry.kind]
        before = table.pop(entry.id, None)
        if isinstance(before, User) and self.user(before.issuer, before.subject) is before:
            del self._by_subject[before.issuer, before.subject]
        if entry.document is None:
            return
        table[entry.id] = entry.document
        if isinstance(entry.document, User):
            self._by_subject[entry.document.issuer, entry.document.subject] = entry.document
