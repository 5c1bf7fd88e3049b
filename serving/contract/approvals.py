"""Calls of tools that wait for a person's approval."""

import re
from dataclasses import dataclass
from enum import StrEnum
from secrets import token_hex
from typing import Any

PREFIX = "call_ask_"
PENDING = "pending_approval"
MAX_ARGUMENTS = 16_384  # characters that are kept for who decides
_ID = re.compile(rf"{PREFIX}[0-9a-f]{{24}}")


class ApprovalStatus(StrEnum):
    """Where an approval stands; one that nobody decided in time is forgotten."""

    PENDING = PENDING
    APPROVED = "approved"
    DENIED = "denied"


class Decision(StrEnum):
    """What a person can say."""

    APPROVE = "approve"
    DENY = "deny"


DECIDED = {
    Decision.APPROVE: ApprovalStatus.APPROVED,
    Decision.DENY: ApprovalStatus.DENIED,
}


@dataclass(frozen=True, slots=True)
class Approval:
    """A call that was passed on to a client but may only be made once it is approved.

    `principal` asked for it. `digest` is of the tool's name and all its arguments; `arguments` is
    what is shown of them, and `is_cut` whether there is more. Times are Unix time, in seconds.
    """

    id: str
    tenant: str
    project: str
    principal: str
    tool: str
    arguments: str
    digest: str
    created_at: float
    session: str | None = None
    is_cut: bool = False
    status: ApprovalStatus = ApprovalStatus.PENDING
    decided_by: str | None = None
    decided_at: float | None = None
    reason: str | None = None


def new_ask_id() -> str:
    """The id of a call that nobody can guess."""
    return f"{PREFIX}{token_hex(12)}"


def is_ask_id(id_: str | None) -> bool:
    """Whether it is meant as the id of such a call. Only those of `new_ask_id` can be approved."""
    return id_ is not None and id_.startswith(PREFIX)


def can_be_approved(id_: str) -> bool:
    return _ID.fullmatch(id_) is not None


def approval_of(id_: str, digest: str) -> str:
    """How a grant names an approved call: by its id, its tool and its arguments."""
    return f"{id_}:{digest}"


def pending_field(id_: str | None) -> dict[str, Any]:
    """What a client is told beside a call that waits for approval; empty for any other."""
    return {"approval": {"status": PENDING, "id": id_}} if is_ask_id(id_) else {}
