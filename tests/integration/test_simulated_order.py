"""The simulator and the real engine: the same requests are let in and stopped in the same order."""

import asyncio
from dataclasses import replace

from queue_world import World, policy_of, until, use
from test_preemption import MODEL

from loadtests.simulation.decisions import order_of_decisions
from loadtests.simulation.engine_model import load
from serving.bls.language import Language
from serving.bls.scheduling.scheduler import Act
from serving.contract.calls import Call, Sampling

# Who asks, how long the question is, and how many tokens the answer has. The answers differ by so
# much that noise does not change who ends first.
FLOOD = (
    ("agent", 1, 400),
    ("agent", 100, 300),
    ("agent", 1, 40),
    ("batch", 1, 30),
    ("standard", 1, 120),
)
PEOPLE = (("interactive", 1, 10), ("interactive", 1, 300))
MIDDLE_S, MIDDLE_TOKENS = 0.1, 20


def call_of(kind, words, tokens):
    sampling = Sampling(temperature=0.0, max_tokens=tokens, min_tokens=tokens)
    messages = ({"role": "user", "content": " ".join(["hello"] * words)},)
    return Call(messages=messages, sampling=sampling, priority=kind, is_streamed=True)


async def test_both_decide_alike(stack, monkeypatch):
    use(monkeypatch, stack)
    world = World(Language.load(MODEL), policy_of(2))
    jobs, tasks = [], []

    async def submit(asked):
        task, _ = world.start(call_of(*asked))
        known = {job.id for job in jobs}
        await until(lambda: any(t.entry.job.id not in known for t in world.turns))
        jobs.extend(t.entry.job for t in world.turns if t.entry.job.id not in known)
        tasks.append(task)

    for asked in FLOOD:
        await submit(asked)
    first = world.turns.named("r-1")
    await until(lambda: first[0].entry.made >= MIDDLE_TOKENS)
    for asked in PEOPLE:
        await submit(asked)
    told = await asyncio.gather(*tasks)
    await world.close()
    assert [one.error for one in told] == [None] * len(tasks)

    real = [(decision.act, decision.entry.job.id) for decision in world.decisions]
    asked = [
        (replace(job, arrived_s=number * 1e-6 + (number >= len(FLOOD)) * MIDDLE_S), tokens)
        for number, (job, (*_, tokens)) in enumerate(zip(jobs, FLOOD + PEOPLE, strict=True))
    ]
    simulated = order_of_decisions(asked, policy_of(2), load())
    assert real == simulated
    assert [act for act, _ in real].count(Act.STOP) == 2
