"""Whatever happens in whatever order: no place too many, nobody lost, nobody stopped unfairly."""

import os
from collections import Counter

from desk import Desk
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from serving.bls.scheduling.classes import AGENT, INTERACTIVE, RANKS
from serving.bls.scheduling.job import State
from serving.bls.scheduling.policy import Order
from serving.bls.scheduling.scheduler import Act
from serving.contract.errors import Conflict, Refused

IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"
NAMES = tuple(RANKS)
FOR_EVER = 1e9
PLACE_OF = {
    State.WAITING: "line",
    State.RUNNING: "room",
    State.STOPPING: "room",
    State.PAUSED: "aside",
}


@st.composite
def policies(draw):
    places = draw(st.integers(1, 5))
    spare = places - 1  # what is left of the floors: every class must be able to run
    rules = {}
    for name in NAMES:
        floor = draw(st.integers(0, spare))
        spare -= floor
        share = draw(st.integers(max(1, floor), places))
        rules[name] = {
            "floor": floor,
            "share": share,
            "max_waiting": draw(st.sampled_from([0, 2, 1000])),
            "queue_timeout_s": draw(st.sampled_from([5.0, FOR_EVER])),
        }
    return {
        "places": places,
        "tokens": draw(st.sampled_from([40, 100, 10_000, 10_000])),
        "unresumable": draw(st.integers(1, places)),
        "order": draw(st.sampled_from(["fifo", "priority", "preempt", "preempt", "preempt"])),
        "rules": rules,
        "aging_s": draw(st.sampled_from([1.0, 10.0])),
        "aged_every": draw(st.integers(1, 4)),
        "min_run_s": draw(st.sampled_from([0.0, 0.3, 2.0])),
        "again_after_s": draw(st.sampled_from([1.0, FOR_EVER])),
        "held_tokens": draw(st.sampled_from([0, 50])),
        "program_idle_s": draw(st.sampled_from([1.0, 20.0])),
        "max_paused_s": draw(st.sampled_from([5.0, FOR_EVER])),
    }


picks = st.integers(0, 1000)
names = st.sampled_from(NAMES)


class Queue(RuleBasedStateMachine):
    """A scheduler, and beside it what is known of everybody who ever came."""

    def __init__(self):
        super().__init__()
        self.known = []
        self.done = Counter()
        self.last_victim = None

    @initialize(
        changes=policies(),
        crowd=st.lists(st.tuples(names, st.booleans(), st.integers(0, 3)), max_size=9),
    )
    def begin(self, changes, crowd):
        """Those of the crowd have been there for a while when the rest begins."""
        self.desk = Desk(**changes)
        self.scheduler = self.desk.scheduler
        self.policy = self.scheduler.policy
        self.preemptions = Counter()
        for name, is_resumable, made in crowd:
            self.add(name, is_resumable=is_resumable)
            for entry in self.desk.running[-1:]:
                self.desk.progress(entry, min(made, 10 - entry.made))
        self.see(self.desk.after(3.0))

    def add(self, name, **more):
        try:
            self.known.append(self.desk.submit(name, **more))
        except Refused:
            self.done["refused"] += 1
        else:
            self.see(self.desk.decisions)

    def see(self, decisions):
        """Hold what the scheduler decided to what it may decide."""
        for decision in decisions:
            entry = decision.entry
            assert (decision.error is not None) == (decision.act is Act.REFUSE)
            self.done[decision.act] += 1
            if decision.act is Act.REFUSE:
                assert entry.state is State.ENDED
                self.done["refused"] += 1
            elif decision.act is Act.ADMIT:
                assert entry.state in (State.RUNNING, State.STOPPING)
                self.done["again"] += entry.stops > (entry.state is State.STOPPING)
            else:
                assert entry.state is State.STOPPING
                assert entry.job.is_resumable or not entry.made
                self.see_victim(entry)

    def see_victim(self, entry):
        if entry.preemptions == self.preemptions[entry]:
            assert entry.is_to_pause or entry.is_class_paused
            return
        self.preemptions[entry] += 1
        assert self.policy.order is Order.PREEMPT
        assert entry is not self.last_victim or self.policy.again_after_s < FOR_EVER
        assert entry.job.rank > INTERACTIVE
        assert entry.preemptions == self.preemptions[entry]
        self.last_victim = entry

    def spared_s(self, entry):
        policy = self.policy
        again_s = policy.again_after_s if entry is self.last_victim else 0.0
        return max(policy.min_run_s, again_s, policy.aging_s if entry.is_aged else 0.0)

    def some(self, pick, *states):
        """One of those in a state, in a list; none when there is none."""
        found = [entry for entry in self.known if entry.state in (states or State)]
        return [found[pick % len(found)]] if found else []

    @rule(
        name=names,
        tenant=st.sampled_from("abc"),
        prompt=st.integers(1, 30),
        answer=st.integers(1, 30),
        is_resumable=st.booleans(),
        weight=st.sampled_from([0.5, 1.0, 3.0]),
        patience_s=st.sampled_from([None, None, None, 0.0, 4.0]),
        program=st.sampled_from([None, None, "run", "other"]),
        number=st.integers(1, 4),
    )
    def submit(self, name, patience_s, number, **more):
        deadline_s = None if patience_s is None else self.desk.now_s + patience_s
        for _ in range(number):
            self.add(name, deadline_s=deadline_s, **more)

    @rule()
    def visit(self):
        """An interactive request comes after the others have run for a while."""
        self.see(self.desk.after(3.0))
        self.add("interactive")

    @rule(pick=picks, tokens=st.integers(1, 10))
    def progress(self, pick, tokens):
        for entry in self.some(pick, State.RUNNING):
            self.desk.progress(entry, min(tokens, entry.job.max_tokens - entry.made))

    @rule(pick=picks)
    def stopped(self, pick):
        for entry in self.some(pick, State.STOPPING):
            self.see(self.desk.stopped(entry))

    @rule(pick=picks)
    def end(self, pick):
        for entry in self.some(pick, State.RUNNING):
            self.see(self.desk.end(entry))

    @rule(pick=picks)
    def cancel(self, pick):
        """Wherever it stands, and though it may have ended already."""
        for entry in self.some(pick):
            self.see(self.desk.end(entry))

    @rule(pick=picks)
    def pause(self, pick):
        for entry in self.some(pick):
            must_refuse = entry.state is State.RUNNING and not entry.is_stoppable
            try:
                self.see(self.desk.pause(entry))
            except Conflict:
                assert must_refuse
            else:
                assert not must_refuse
                assert entry.state in (State.PAUSED, State.STOPPING, State.ENDED)

    @rule(pick=picks)
    def resume(self, pick):
        for entry in self.some(pick, State.PAUSED, State.STOPPING):
            self.see(self.desk.resume(entry))

    @rule(name=names)
    def pause_class(self, name):
        self.see(self.desk.pause_class(name))

    @rule(name=names)
    def resume_class(self, name):
        self.see(self.desk.resume_class(name))

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.3, 1.0, 4.0, 30.0]))
    def wait(self, seconds):
        """Before the time that the scheduler names, it has nothing new to say."""
        wake_s = self.scheduler.wake_s(self.desk.now_s)
        decisions = self.desk.after(seconds)
        self.see(decisions)
        if wake_s is None or self.desk.now_s < wake_s:
            assert not decisions or any(e.is_aged for e in self.scheduler.entries())

    @rule()
    def wake(self):
        wake_s = self.scheduler.wake_s(self.desk.now_s)
        assert wake_s is None or wake_s > self.desk.now_s
        if wake_s is not None and wake_s < FOR_EVER / 2:
            self.desk.now_s = wake_s
            self.see(self.desk.decide())

    @invariant()
    def the_engine_is_not_overfull(self):
        room = self.scheduler.room
        tokens = sum(entry.job.tokens for entry in room.entries)
        assert len(room.entries) <= self.policy.places
        assert tokens <= self.policy.tokens or len(room.entries) == 1

    @invariant()
    def classes_keep_to_their_floors_shares_and_cap(self):
        if self.policy.order is Order.FIFO:
            return
        inside = Counter(entry.job.rank for entry in self.scheduler.room.entries)
        rules = self.policy.classes
        kept = sum(max(0, rules[rank].floor - inside[rank]) for rank in range(len(rules)))
        assert kept <= self.policy.places - inside.total()
        assert all(inside[rank] <= rules[rank].share for rank in inside)
        capped = [e for e in self.scheduler.room.entries if e.job.rank >= AGENT]
        assert sum(not e.job.is_resumable for e in capped) <= self.policy.unresumable

    @invariant()
    def everybody_is_in_one_place(self):
        scheduler = self.scheduler
        found = [(entry, "room") for entry in scheduler.room.entries]
        found += [(entry, "line") for entry in scheduler.lines]
        found += [(entry, "aside") for entry in scheduler.paused]
        living = {entry for entry in self.known if entry.state is not State.ENDED}
        assert len(found) == len(living)
        assert {entry for entry, _ in found} == living
        assert all(PLACE_OF[entry.state] == where for entry, where in found)
        stopping = {entry for entry in living if entry.state is State.STOPPING}
        assert set(scheduler.room.stopping) == stopping

    @invariant()
    def an_interactive_request_waits_only_where_nobody_may_be_stopped(self):
        scheduler, rules = self.scheduler, self.policy.classes
        waits = [e for e in scheduler.lines if e.job.rank == INTERACTIVE]
        inside = Counter(entry.job.rank for entry in scheduler.room.entries)
        if self.policy.order is not Order.PREEMPT or not waits or scheduler.room.stopping:
            return
        if inside[INTERACTIVE] >= rules[INTERACTIVE].share:
            return
        for entry in scheduler.room.entries:
            is_spared = self.desk.now_s < entry.since_s + self.spared_s(entry)
            if entry.job.rank > INTERACTIVE and entry.is_stoppable and not is_spared:
                assert inside[entry.job.rank] <= rules[entry.job.rank].floor

    @invariant()
    def what_is_counted_is_so(self):
        scheduler = self.scheduler
        counts, room = scheduler.counts, scheduler.room
        assert counts.admissions == self.done[Act.ADMIT]
        assert counts.resumes == self.done["again"]
        assert counts.preemptions == sum(self.preemptions.values())
        assert sum(counts.refusals.values()) == self.done["refused"]
        assert room.tokens == sum(entry.job.tokens for entry in room.entries)
        assert room.counts == [sum(e.job.rank == rank for e in room.entries) for rank in range(4)]
        out = [e for e in self.known if e.state in (State.WAITING, State.PAUSED)]
        for rank in range(4):
            assert scheduler.waiting_of(rank) == sum(e.job.rank == rank for e in out)
        assert scheduler.programs.held_tokens <= self.policy.held_tokens

    def teardown(self):
        """Everything that may go on ends, in as many steps as there are tokens to make."""
        if not hasattr(self, "desk"):
            return
        for name in NAMES:
            self.resume_class(name)
        for entry in self.known:
            self.see(self.desk.resume(entry))
        steps = 100 + 20 * sum(entry.job.tokens for entry in self.known)
        while any(entry.state is not State.ENDED for entry in self.known):
            steps -= 1
            assert steps > 0, "somebody waits for ever"
            self.step()
        self.what_is_counted_is_so()
        self.desk.after(self.policy.program_idle_s)
        assert (len(self.scheduler.programs), self.scheduler.room.tokens) == (0, 0)

    def step(self):
        for entry in list(self.scheduler.room.stopping):
            self.see(self.desk.stopped(entry))
        for entry in self.desk.running:
            if entry.made < entry.job.max_tokens and entry.state is State.RUNNING:
                self.desk.progress(entry)
            else:
                self.see(self.desk.end(entry))
        self.see(self.desk.after(0.05))
        self.the_engine_is_not_overfull()
        self.classes_keep_to_their_floors_shares_and_cap()
        self.everybody_is_in_one_place()


Queue.TestCase.settings = settings(
    max_examples=2000 if IS_FULL else 150,
    stateful_step_count=80 if IS_FULL else 40,
    deadline=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow],
)
TestScheduler = Queue.TestCase
