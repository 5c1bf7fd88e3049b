"""Why a request is not served: in words, each with its one reason."""

from serving.bls.scheduling.drain import LEAST_RETRY_S
from serving.bls.scheduling.job import Entry, Job, State
from serving.bls.scheduling.policy import ClassRules
from serving.contract.errors import Expired, QueueFull, Refused
from serving.contract.grant import CLASSES


def queue_full(rank: int, waiting: int, retry_after_s: float) -> QueueFull:
    error = QueueFull(
        f"{waiting} requests of class '{CLASSES[rank]}' wait already; try again later"
    )
    error.retry_after_s = retry_after_s
    return error


def too_late(job: Job, wait_s: float, now_s: float) -> Expired:
    """It cannot make its deadline, by all that is known."""
    left_s = (job.deadline_s or now_s) - now_s
    error = Expired(
        f"about {wait_s:.1f} s of waiting are before it, and its deadline (deadline_ms) leaves "
        f"{left_s:.1f} s; try again later or give it more time"
    )
    error.retry_after_s = max(LEAST_RETRY_S, wait_s - left_s)
    return error


def saturated(rank: int, wait_s: float, rules: ClassRules) -> Refused:
    error = Refused(
        f"about {wait_s:.0f} s of waiting are before it, and class '{CLASSES[rank]}' waits for "
        f"{rules.queue_timeout_s:g} s at most; try again later"
    )
    error.retry_after_s = max(LEAST_RETRY_S, wait_s - rules.queue_timeout_s)
    return error


def expired(entry: Entry, now_s: float, retry_after_s: float) -> Expired:
    """Its time has come while it did not run."""
    deadline_s = entry.job.deadline_s
    stayed_s = now_s - entry.since_s
    if deadline_s is not None and now_s >= deadline_s:
        what = f"its deadline (deadline_ms) passed, {stayed_s:.1f} s of that in state"
        error = Expired(f"{what} '{entry.state}'")
    elif entry.state is State.PAUSED:
        error = Expired(f"it was paused for {stayed_s:.0f} s, which is as long as can be")
    else:
        error = Expired(f"its turn did not come within {stayed_s:.0f} s; try again later")
    error.retry_after_s = retry_after_s
    return error
