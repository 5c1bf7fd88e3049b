"""What the registry says of one version of an adapter: its `adapter.json`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

FILE = "adapter.json"


@dataclass(frozen=True, slots=True)
class Record:
    """`created_at` is Unix time. `source_sha256` is of the files it was converted from."""

    name: str
    version: int
    base: str
    task_id: int
    rank: int
    modules: tuple[str, ...]
    created_at: float
    source_sha256: str


def write_record(folder: Path, record: Record) -> None:
    (folder / FILE).write_bytes(orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2))


def read_record(folder: Path, base: str) -> Record:
    """The record of `<name>/<version>`; ValueError when it is not there or is of something else."""
    path = folder / FILE
    try:
        said = orjson.loads(path.read_bytes())
        record = Record(**(said | {"modules": tuple(said["modules"])}))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"'{path}' cannot be used: {error!r}") from error
    expected = (folder.parent.name, int(folder.name), base)
    if (record.name, record.version, record.base) != expected or not _is_id(record.task_id):
        raise ValueError(
            f"'{path}' is of adapter '{record.name}' {record.version} for '{record.base}', with "
            f"task_id {record.task_id}; it lies where {' '.join(map(str, expected))} is expected"
        )
    return record


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and 0 < value < 2**63
