"""The requests of an engine model that have not ended, and who may end them."""

import threading
import time
from dataclasses import dataclass, field

from serving.adapters.python_backend import Request
from serving.engines.requests import EngineRequest


@dataclass(slots=True, eq=False)
class Open:
    """A request whose sequences are not all ended. The step loop knows it once `is_sent`."""

    key: int
    request: Request
    rows: tuple[EngineRequest, ...]
    left: int
    arrival_ns: int = field(default_factory=time.monotonic_ns)
    is_sent: bool = False


class OpenRequests:
    """By a key of our own, and by the client's id. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[int, Open] = {}
        self._by_id: dict[str, Open] = {}
        self._next_key = 0

    def add(self, request: Request, rows: tuple[EngineRequest, ...]) -> Open:
        with self._lock:
            self._next_key += 1
            opened = Open(self._next_key, request, rows, sum(row.n for row in rows))
            self._by_key[opened.key] = opened
            if request.id:
                self._by_id[request.id] = opened
            return opened

    def mark_sent(self, opened: Open) -> bool:
        """True when the step loop may have it now; False when it has ended meanwhile."""
        with self._lock:
            opened.is_sent = opened.key in self._by_key
            return opened.is_sent

    def close(self, opened: Open) -> bool:
        """Forget a request; True for the one caller that may then end it."""
        with self._lock:
            if self._by_key.pop(opened.key, None) is None:
                return False
            if self._by_id.get(opened.request.id) is opened:
                del self._by_id[opened.request.id]
            return True

    def by_key(self, key: int) -> Open | None:
        return self._by_key.get(key)

    def by_id(self, request_id: str) -> Open | None:
        return self._by_id.get(request_id)

    def all(self) -> list[Open]:
        with self._lock:
            return list(self._by_key.values())
