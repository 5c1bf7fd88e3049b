"""The advisory locks of the database: who holds which number."""

from enum import IntEnum


class Lock(IntEnum):
    """Numbers no other program is likely to use on the same database."""

    MIGRATE = 0x636F6E6301
    EDIT = 0x636F6E6302
    PUBLISH = 0x636F6E6303
