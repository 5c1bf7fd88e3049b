"""The adapters of one model by name: what requests may choose, and changes while they run."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from serving.bls.adapter import Adapter
from serving.contract.errors import AdapterNotFound, ConchError
from serving.contract.grant import Grant
from serving.lora.store import AdapterStore, Stored


class Registry:
    """`anonymous`: the names that whoever has no grant may use; None: those that were shipped."""

    def __init__(
        self,
        model: str,
        store: AdapterStore,
        *,
        anonymous: Collection[str] | None,
        log: Callable[[str], None],
    ) -> None:
        self._model = model
        self._store = store
        self._anonymous = anonymous
        self._log = log
        self._changing = asyncio.Lock()
        self._adapters: dict[str, Adapter] = {}
        self._open_all()

    def _open_all(self) -> None:
        """One that cannot be used must not keep the others from being served."""
        served, troubles = self._store.served()
        for stored in served.values():
            try:
                self._put(stored)
            except ConchError as error:
                troubles.append(error.message)
        for trouble in troubles:
            self._log(f"{self._model}: an adapter is not served: {trouble}")

    def choose(self, name: str, grant: Grant | None) -> Adapter:
        """Raises AdapterNotFound: the same for one that is not there and one that is not allowed.

        `grant` is None for a caller that has none.
        """
        adapter = self._adapters.get(name)
        if adapter is None or not self._may_use(adapter, grant):
            raise AdapterNotFound(
                f"'{self._model}' has no adapter '{name}', or not for you; GET /v1/models lists "
                "what there is",
                param="adapter",
            )
        return adapter

    def _may_use(self, adapter: Adapter, grant: Grant | None) -> bool:
        if grant is not None:
            return grant.adapters is None or adapter.name in grant.adapters
        if self._anonymous is None:
            return adapter.stored.is_shipped
        return adapter.name in self._anonymous

    def named(self, name: str) -> Adapter:
        """Whoever asks. Raises AdapterNotFound."""
        adapter = self._adapters.get(name)
        if adapter is None:
            raise AdapterNotFound(f"'{self._model}' has no adapter '{name}'", param="adapter")
        return adapter

    def all(self) -> tuple[Adapter, ...]:
        return tuple(self._adapters[name] for name in sorted(self._adapters))

    def pinned(self) -> Mapping[int, Adapter]:
        """By task."""
        return {each.task_id: each for each in self._adapters.values() if each.stored.is_pinned}

    def has_task(self, task: int) -> bool:
        return any(each.task_id == task for each in self._adapters.values())

    async def add(self, name: str, source: Path) -> Adapter:
        """From now on requests get the new version; those that run end with the old one."""
        async with self._changing:
            return self._put(await asyncio.to_thread(self._store.add, name, source))

    async def remove(self, name: str) -> None:
        async with self._changing:
            await asyncio.to_thread(self._store.remove, name)
            self._adapters.pop(name, None)

    async def pin(self, name: str) -> Adapter:
        async with self._changing:
            return self._put(await asyncio.to_thread(self._store.pin, name))

    async def unpin(self, name: str) -> Adapter:
        async with self._changing:
            return self._put(await asyncio.to_thread(self._store.unpin, name))

    def _put(self, stored: Stored) -> Adapter:
        adapter = Adapter.opened(stored)
        self._adapters[stored.record.name] = adapter
        return adapter
