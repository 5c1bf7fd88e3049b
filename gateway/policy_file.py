"""The last policy on disk, so that a gateway starts while everything else is away."""

import asyncio
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from serving.adapters import aside, policy_lines
from serving.adapters.policy_lines import Malformed
from serving.contract.policy import Change, Document, Snapshot, Version
from serving.identity.documents import change_of

NAME = "policy.ndjson"
log: structlog.stdlib.BoundLogger = structlog.get_logger("policy")


class PolicyFile:
    """One file, only ever replaced as a whole; several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    async def read(self) -> Snapshot | None:
        """What was written last. A file that is torn or of something else is as good as none."""
        try:
            data = await asyncio.to_thread(self._path.read_bytes)
            return Snapshot(*await policy_lines.read(data))
        except FileNotFoundError:
            return None
        except (OSError, Malformed) as error:
            log.warning("policy_file_ignored", path=str(self._path), reason=str(error))
            return None

    async def write(self, version: Version, documents: Sequence[Document]) -> None:
        """Raises OSError; what was there before is there still."""
        data = await policy_lines.write(version, await aside.mapped(_changes, documents))
        await asyncio.to_thread(_replace, self._path, data)


def _changes(documents: Sequence[Document]) -> Iterable[Change]:
    return map(change_of, documents)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hashes of keys are in it: like every temporary file it is for its owner only.
    descriptor, name = tempfile.mkstemp(prefix=f".{NAME}.", dir=path.parent)
    aside_path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside_path.replace(path)
    except BaseException:
        aside_path.unlink(missing_ok=True)
        raise
