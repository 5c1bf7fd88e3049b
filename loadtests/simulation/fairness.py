"""How near what tenants were served comes to what would have been fair."""

from collections import Counter
from collections.abc import Mapping

from loadtests.simulation.cluster import Result
from serving.bls.scheduling.fairness import jain
from serving.contract.grant import CLASSES


def fairness(result: Result, window_s: float) -> float:
    """The mean over the classes, by what each was served: tenants are equal inside a class."""
    indices = [
        (_jain_of(rank, result, window_s), _served(rank, result)) for rank in range(len(CLASSES))
    ]
    total = sum(served for _, served in indices)
    return sum(index * served for index, served in indices) / total if total else 1.0


def _served(rank: int, result: Result) -> int:
    return sum(tokens for share, tokens in result.served.items() if share[0] == rank)


def _jain_of(rank: int, result: Result, window_s: float) -> float:
    asked: Counter[str] = Counter()
    for outcome in result.outcomes:
        if outcome.request.rank == rank and outcome.arrived_s <= window_s:
            asked[outcome.request.tenant] += outcome.request.answer_tokens
    fair = fair_shares(asked, _served(rank, result))
    return jain(result.served.get((rank, name), 0) / share for name, share in fair.items() if share)


def fair_shares(asked: Mapping[str, float], total: float) -> dict[str, float]:
    """The max-min fair shares of `total`: nobody gets more than asked for, the others alike."""
    shares: dict[str, float] = {}
    left = total
    for number, (name, wanted) in enumerate(sorted(asked.items(), key=lambda each: each[1])):
        shares[name] = min(wanted, left / (len(asked) - number))
        left -= shares[name]
    return shares
