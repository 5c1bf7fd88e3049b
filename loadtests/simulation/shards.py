"""Cases cut in parts that know nothing of one another, over several processes."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from loadtests.settings import RefusedLoad
from loadtests.simulation.cluster import Case, Cluster, Result, add_tokens

_COUNTS = ("made", "read", "cached", "recomputed", "preemptions", "resent")


def simulate(cases: Sequence[Case], *, shards: int = 1, processes: int = 1) -> list[Result]:
    """Each case, cut in `shards` parts that share no replica: each has a router of its own.

    The result depends on the shards, but not on the processes that they run in.
    """
    parts = [part for case in cases for part in _parts(case, shards)]
    if processes == 1:
        results = [_run(part) for part in parts]
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(_run, parts))
    return [_merged(results[at : at + shards]) for at in range(0, len(results), shards)]


def _run(case: Case) -> Result:
    return Cluster(case).run()


def _parts(case: Case, shards: int) -> list[Case]:
    """Raises RefusedLoad when some part would have no replica."""
    if case.replicas < shards:
        raise RefusedLoad(f"{case.replicas} replicas cannot be cut in {shards} shards; give fewer")
    whole, more = divmod(case.replicas, shards)
    return [
        replace(case, replicas=whole + (part < more), sessions=case.sessions[part::shards])
        for part in range(shards)
    ]


def _merged(results: Sequence[Result]) -> Result:
    merged = Result([], {})
    for result in results:
        merged.outcomes += result.outcomes
        add_tokens(merged.served, result.served)
        merged.ended_s = max(merged.ended_s, result.ended_s)
        for name in _COUNTS:
            setattr(merged, name, getattr(merged, name) + getattr(result, name))
    return merged
