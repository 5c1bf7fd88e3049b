"""A stack's control plane and stores, as tests that watch over quotas and usage ask them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import redis
from psycopg.rows import dict_row
from waiting import until

from serving.adapters.quota_keys import leases_key, stream_key
from serving.adapters.redis import shard_tags

EFFECTIVE_S = 1.0  # after which every gateway has what was changed
WORKERS_ASKED = 12  # connections, so that none of two workers is left out
SUMS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "cost_nusd")
STATUSES = ("ok", "cancelled", "failed", "refused", "lost")
GRANULARITIES = ("minute", "hour", "day")
Row = dict[str, Any]


def _check(response: httpx.Response) -> None:
    assert response.is_success, response.read()


@contextmanager
def control_plane(stack: Any) -> Iterator[httpx.Client]:
    """A client with the owner's key; what it is refused fails the test."""
    key = (stack.var / "secrets" / "admin_key").read_text().strip()
    with httpx.Client(
        base_url=f"{stack.control_url}/v1",
        headers={"authorization": f"Bearer {key}"},
        event_hooks={"response": [_check]},
        trust_env=False,
        timeout=30,
    ) as client:
        yield client


@dataclass(frozen=True)
class Key:
    """An API key of a project."""

    id: str
    text: str
    project: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.text}"}


def new_key(stack: Any, project: str, **options: object) -> Key:
    """A service key that every gateway knows."""
    key = made_key(stack, project, **options)
    until(lambda: opens_all_workers(stack, key.text), EFFECTIVE_S)
    return key


def made_key(stack: Any, project: str, **options: object) -> Key:
    """The same, which gateways may not know yet. Makes the project where there is none."""
    tenant, _, name = project.partition("/")
    with control_plane(stack) as control:
        if project not in {found["id"] for found in control.get("/projects").json()["data"]}:
            control.post("/tenants", json={"id": tenant, "name": tenant})
            control.post("/projects", json={"id": project, "name": name})
        made = control.post("/keys", json={"name": "bot", "project": project, **options}).json()
    return Key(made["id"], made["key"], project)


def opens_all_workers(stack: Any, key: str) -> bool:
    return {status_of(stack.base_url, key) for _ in range(WORKERS_ASKED)} == {200}


def status_of(base_url: str, key: str) -> int:
    """What a gateway says to a key, on a new connection: that may be another worker's.

    It comes from some other address than the clients' of the tests: wrong keys are counted by that.
    """
    source = f"127.1.{random.randrange(256)}.{random.randrange(1, 255)}"
    # Without `verify` nothing is read for TLS, which is not spoken here and takes its time.
    transport = httpx.HTTPTransport(local_address=source, verify=False)
    with httpx.Client(transport=transport, headers={"authorization": f"Bearer {key}"}) as client:
        return client.get(f"{base_url}/models").status_code


@dataclass(frozen=True)
class Books:
    """What the stores of a stack hold, and the disk of its gateways."""

    database: dict[str, str]
    redis: dict[str, str]
    spool: Path

    @classmethod
    def of(cls, stack: Any) -> "Books":
        """As the control plane was told, which must be there now."""
        told = psutil.Process(stack.pid_of("control-plane")).environ()

        def password(name: str) -> str:
            return Path(told[name]).read_text().strip()

        return cls(
            {"conninfo": told["DATABASE_URL"], "password": password("DATABASE_PASSWORD_FILE")},
            {"url": told["REDIS_URL"], "password": password("REDIS_PASSWORD_FILE")},
            stack.var / "gateway" / "spool",
        )

    def rows(self, query: str) -> list[Row]:
        with psycopg.connect(**self.database, row_factory=dict_row) as database:
            return database.execute(query).fetchall()

    def is_settled(self) -> bool:
        """Whether nothing is on its way: no usage on disk, no lease, no event in Redis."""
        if any(file.stat().st_size for file in self.spool.glob("*")):
            return False
        with redis.Redis.from_url(**self.redis) as store:
            tags = shard_tags()
            leases = sum(store.zcard(leases_key(tag)) for tag in tags)
            return leases + sum(store.xlen(stream_key(tag)) for tag in tags) == 0

    def counts_nothing_as_running(self) -> bool:
        """Counters of quotas are there for good only as long as something runs."""
        with redis.Redis.from_url(**self.redis) as store:
            return all(store.pttl(key) != -1 for key in store.scan_iter("conch:*:q:*"))

    def sums_of_events(self) -> list[Row]:
        counts = ", ".join(f"sum((status = '{status}')::int) AS {status}" for status in STATUSES)
        return self._summed("usage_events", counts)

    def sums_rolled_up(self, granularity: str) -> list[Row]:
        counts = ", ".join(f"sum({status}) AS {status}" for status in STATUSES)
        return self._summed("usage_rollups", counts, f"WHERE granularity = '{granularity}'")

    def _summed(self, table: str, counts: str, where: str = "") -> list[Row]:
        sums = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
        by = "tenant, project, principal, model"
        return self.rows(
            f"SELECT {by}, {counts}, {sums} FROM {table} {where} GROUP BY {by} ORDER BY {by}"
        )
