"""The sessions of people who logged in. A session is known by the hash of what its cookie says."""

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import Column, Table, Text, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store.tables import UnixTime, metadata
from serving.identity.people import Person

login_sessions = Table(
    "login_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # As text: JSON may have letters that PostgreSQL's own JSON has not.
    Column("claims", Text, nullable=False),
    Column("created_at", UnixTime, nullable=False, server_default=func.now()),
    Column("expires_at", UnixTime, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class LoginSession:
    """Whom a session is of, and until when."""

    person: Person
    expires_at: float


async def begin(session: AsyncSession, token: str, person: Person, *, now: float, s: float) -> None:
    """A session of `s` seconds for who shows `token`. Those that are over are removed, too."""
    await session.execute(delete(login_sessions).where(login_sessions.c.expires_at <= now))
    row = {
        "id": _id(token),
        "issuer": person.issuer,
        "subject": person.subject,
        "claims": json.dumps(person.claims),
        "expires_at": now + s,
    }
    await session.execute(insert(login_sessions).values(row))


async def find(session: AsyncSession, token: str, *, now: float) -> LoginSession | None:
    """The session of `token`, unless it is over or was ended."""
    rows = login_sessions.c
    found = await session.execute(
        select(rows.issuer, rows.subject, rows.claims, rows.expires_at).where(
            rows.id == _id(token), rows.expires_at > now
        )
    )
    row = found.one_or_none()
    if row is None:
        return None
    return LoginSession(Person(row.issuer, row.subject, json.loads(row.claims)), row.expires_at)


async def end(session: AsyncSession, token: str) -> None:
    await session.execute(delete(login_sessions).where(login_sessions.c.id == _id(token)))


def _id(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
