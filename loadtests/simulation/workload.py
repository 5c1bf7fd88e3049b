"""Made-up work: classes of requests with heavy tails, agent programs, tenants that want unequally.

The same description and seed give the same sessions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from loadtests.simulation.arrivals import Arrivals, times
from loadtests.simulation.engine_model import EngineModel
from loadtests.simulation.request import Request, Session
from serving.bls.scheduling.classes import AGENT, RANKS

MIX = {"interactive": 0.3, "standard": 0.25, "agent": 0.3, "batch": 0.15}
DEMAND = (8.0, 4.0, 2.0, 1.0)
UNRESUMABLE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Tail:
    """A length: lognormal around `median`, or Pareto from it on when there is an `alpha`."""

    median: float
    sigma: float = 0.0
    alpha: float | None = None
    most: int = 3000

    def draw(self, rng: np.random.Generator) -> int:
        if self.alpha is None:
            value = self.median * np.exp(self.sigma * rng.standard_normal())
        else:
            value = self.median * (1 + rng.pareto(self.alpha))
        return int(min(max(value, 1), self.most))


@dataclass(frozen=True, slots=True)
class Profile:
    """What the sessions of a class are like. `adds`: prompt tokens of every later call."""

    prompt: Tail
    answer: Tail
    calls: float = 1.0
    adds: Tail = field(default=Tail(0))
    pause_s: tuple[float, float] = (0.0, 0.0)  # median and sigma


PROFILES = {
    "interactive": Profile(Tail(150, 0.8), Tail(80, 0.6, most=512)),
    "standard": Profile(Tail(300, 0.9), Tail(120, 0.7, most=1024)),
    "agent": Profile(Tail(500, 0.5), Tail(60, 0.6, most=512), 6, Tail(120, 0.8), (2.0, 1.0)),
    "batch": Profile(Tail(200, alpha=1.6), Tail(250, 0.9, most=1024)),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """`requests` calls, of each class its share; `demand`: how much each tenant wants."""

    requests: int
    arrivals: Arrivals = Arrivals.POISSON
    mix: Mapping[str, float] = field(default_factory=MIX.copy)
    demand: tuple[float, ...] = DEMAND
    seed: int = 0

    def sessions(self) -> tuple[Session, ...]:
        """They start once a second on the average; see `at_load`."""
        rng = np.random.default_rng(self.seed)
        calls = self._all_calls(rng)
        starts = times(self.arrivals, len(calls), rng)
        return tuple(Session(float(at), each) for at, each in zip(starts, calls, strict=True))

    def _all_calls(self, rng: np.random.Generator) -> list[tuple[Request, ...]]:
        """Programs have several calls, and so are the fewer."""
        names = list(self.mix)
        weights = np.array([self.mix[name] / PROFILES[name].calls for name in names])
        thresholds = np.cumsum(weights / weights.sum())[:-1]
        sessions: list[tuple[Request, ...]] = []
        left = self.requests
        while left > 0:
            name = names[int(np.searchsorted(thresholds, rng.random(), side="right"))]
            calls = self._calls(name, len(sessions), rng)[:left]
            sessions.append(calls)
            left -= len(calls)
        return sessions

    def _calls(self, name: str, number: int, rng: np.random.Generator) -> tuple[Request, ...]:
        profile = PROFILES[name]
        tenant = tenant_of(self.demand, rng)
        is_resumable = rng.random() >= UNRESUMABLE_SHARE
        calls: list[Request] = []
        context = profile.prompt.draw(rng)
        for call in range(int(rng.geometric(1 / profile.calls))):
            if call:
                context = min(context + profile.adds.draw(rng), profile.prompt.most)
            request = Request(
                id=f"{name}-{number}-{call}",
                tenant=tenant,
                rank=RANKS[name],
                prompt_tokens=context,
                answer_tokens=profile.answer.draw(rng),
                max_tokens=profile.answer.most,
                pause_s=_pause_s(profile, rng) if call else 0.0,
                program=f"{name}-{number}" if RANKS[name] == AGENT else None,
                is_resumable=is_resumable,
            )
            calls.append(request)
            context += request.answer_tokens
        return tuple(calls)


def _pause_s(profile: Profile, rng: np.random.Generator) -> float:
    median_s, sigma = profile.pause_s
    return float(median_s * np.exp(sigma * rng.standard_normal()))


def tenant_of(demand: tuple[float, ...], rng: np.random.Generator) -> str:
    """One tenant or another, each by its share."""
    thresholds = np.cumsum(demand) / sum(demand)
    return f"tenant-{int(np.searchsorted(thresholds[:-1], rng.random(), side='right')) + 1}"


def at_load(
    sessions: tuple[Session, ...], load: float, *, model: EngineModel, places: int, replicas: int
) -> tuple[Session, ...]:
    """The same, stretched so that they want `load` times what the engines can do at full places."""
    wanted_s = sum(_session_s(session, model, places) for session in sessions)
    factor = wanted_s / (load * replicas * (sessions[-1].starts_s or 1.0))
    return tuple(replace(each, starts_s=each.starts_s * factor) for each in sessions)


def _session_s(session: Session, model: EngineModel, places: int) -> float:
    """The engine's time for it, when every later call finds the earlier ones in the cache."""
    known, seconds = 0, 0.0
    for call in session.calls:
        seconds += model.prompt_s(call.prompt_tokens, min(known, call.prompt_tokens))
        seconds += model.answer_s(call.prompt_tokens, call.answer_tokens, places)
        known = call.prompt_tokens + call.answer_tokens
    return seconds
