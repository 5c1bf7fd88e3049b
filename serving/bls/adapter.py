"""An adapter as requests use it: its number in the engine's cache, and the tensors behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract.control import AdapterItem
from serving.contract.errors import InternalError
from serving.contract.wire import single
from serving.lora import files
from serving.lora.identity import task_id
from serving.lora.store import Stored
from serving.lora.weights import LoraTensors

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Adapter:
    """One version of one. The tensors are mapped, so they stay when their files are removed."""

    stored: Stored
    tensors: LoraTensors

    @classmethod
    def opened(cls, stored: Stored) -> "Adapter":
        """Raises UnfitAdapter when a file cannot be read."""
        return cls(stored, files.load(stored.folder))

    @property
    def name(self) -> str:
        return self.stored.record.name

    @property
    def task_id(self) -> int:
        return self.stored.record.task_id

    def number(self) -> Arrays:
        """For an engine that has it."""
        return {"lora_task_id": single("UINT64", self.task_id)}

    def whole(self) -> Arrays:
        """For one that does not. Reads all of it the first time: not for an event loop.

        Raises InternalError when it is not what its number was made from.
        """
        return {**self.number(), **self._checked}

    @cached_property
    def _checked(self) -> Arrays:
        record = self.stored.record
        if task_id(record.base, self.tensors) != record.task_id:
            raise InternalError(
                f"the files of adapter '{self.name}' {record.version} were changed on disk: add it "
                "again"
            )
        return {
            "lora_weights": self.tensors.weights[np.newaxis],
            "lora_config": self.tensors.config[np.newaxis],
        }

    def item(self, *, is_resident: bool) -> AdapterItem:
        record = self.stored.record
        return AdapterItem(
            name=record.name,
            version=record.version,
            base=record.base,
            task_id=record.task_id,
            rank=record.rank,
            is_pinned=self.stored.is_pinned,
            is_resident=is_resident,
        )
