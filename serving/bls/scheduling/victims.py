"""Whom to stop so that somebody of a higher class can run. Pure."""

from collections.abc import Iterable, Sequence

from serving.bls.scheduling.job import Entry, State
from serving.bls.scheduling.policy import Policy


def victim(
    running: Iterable[Entry],
    rank: int,
    policy: Policy,
    counts: Sequence[int],
    last: Entry | None,
    now_s: float,
) -> Entry | None:
    """The one of the lowest class below `rank` that loses the fewest tokens; None: there is none.

    `counts` are the places that each class holds without those that are stopping; a class keeps
    its floor. `last` is who was stopped last: it is spared for longer than others.
    """
    eligible = (
        entry
        for entry in running
        if entry.state is State.RUNNING
        and entry.job.rank > rank
        and entry.is_stoppable
        and ripe_s(entry, policy, last) <= now_s
        and counts[entry.job.rank] > policy.classes[entry.job.rank].floor
    )
    return max(eligible, key=_worth_stopping, default=None)


def ripe_s(entry: Entry, policy: Policy, last: Entry | None) -> float:
    """From when on it may be stopped for others."""
    spared_s = policy.min_run_s
    if entry is last:
        spared_s = max(spared_s, policy.again_after_s)
    if entry.is_aged:
        spared_s = max(spared_s, policy.aging_s)
    return entry.since_s + spared_s


def _worth_stopping(entry: Entry) -> tuple[int, int]:
    """Lowest class first; then who has the fewest tokens that would have to be read again."""
    return entry.job.rank, -(entry.job.prompt_tokens + entry.made)
