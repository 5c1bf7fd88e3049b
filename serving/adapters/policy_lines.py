"""A version of the policy and its changes as lines of JSON, both ways: in Redis and on disk.

The first line says what it is and at which version, the last is a checksum of all before it. The
lines between are changes: `{"kind":…,"id":…,"document":{…}}`, without a document for a removal.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence

import orjson

from serving.adapters import aside
from serving.contract.policy import Change, Version

FORMAT = 1
SHORT = 16_384  # bytes whose checksum is not worth a thread
_DOCUMENT = b',"document":'


class Malformed(ValueError):
    """Bytes that are torn, damaged, or of something else."""


async def write(version: Version, changes: Sequence[Change]) -> bytes:
    head = orjson.dumps({"conch_policy": FORMAT, "epoch": version.epoch, "number": version.number})
    lines = await aside.mapped(_lines, changes)
    return await asyncio.to_thread(_sealed, [head, *lines])


async def read(data: bytes) -> tuple[Version, tuple[Change, ...]]:
    """What `write` wrote; raises Malformed."""
    is_short = len(data) <= SHORT
    lines = _unsealed(data) if is_short else await asyncio.to_thread(_unsealed, data)
    try:
        return _version(lines[0]), tuple(await aside.mapped(_changes, lines[1:]))
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("its lines are not of this format") from error


def _sealed(lines: list[bytes]) -> bytes:
    text = b"\n".join(lines) + b"\n"
    return text + _seal(text) + b"\n"


def _unsealed(data: bytes) -> list[bytes]:
    text, _, seal = data.removesuffix(b"\n").rpartition(b"\n")
    if not text or seal != _seal(text + b"\n"):
        raise Malformed("the checksum is not that of the lines")
    return text.split(b"\n")


def _seal(text: bytes) -> bytes:
    return orjson.dumps({"sha256": hashlib.sha256(text).hexdigest()})


def _version(line: bytes) -> Version:
    match orjson.loads(line):
        case {"conch_policy": int(form), "epoch": str(epoch), "number": int(number)} if (
            form == FORMAT
        ):
            return Version(epoch, number)
    raise ValueError("another format")


def _lines(changes: Sequence[Change]) -> Iterator[bytes]:
    for change in changes:
        head = orjson.dumps({"kind": change.kind, "id": change.id})
        document = b"" if change.document is None else _DOCUMENT + change.document
        yield head[:-1] + document + b"}"


def _changes(lines: Sequence[bytes]) -> Iterator[Change]:
    for line in lines:
        # Inside a JSON string its quotes would be escaped: the first such bytes are the field.
        head, mark, document = line.removesuffix(b"}").partition(_DOCUMENT)
        fields = orjson.loads(head + b"}")
        yield Change(fields["kind"], fields["id"], document if mark else None)
