"""Updates leave once, whole and in order, whatever is held and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from serving.engines.messages import Update
from serving.engines.outbox import Outbox

# What one step makes of each of four sequences: how many tokens, or None for none at all.
STEPS = st.lists(
    st.tuples(*[st.none() | st.integers(0, 3)] * 4, st.floats(0, 0.2), st.floats(0, 0.1)),
    max_size=12,
)


def streams(steps):
    """The updates of every step, the last ones last: sequences 0 and 1 are streamed."""
    begun = [False] * 4
    number = 0
    for *counts, pause_s, hold_s in [*steps, (1, 1, 1, 1, 0.0, 0.1)]:
        is_end = counts == [1, 1, 1, 1] and pause_s == 0.0 and hold_s == 0.1
        updates = []
        for sequence, count in enumerate(counts):
            if count is not None:
                tokens = list(range(number, number := number + count))
                updates.append(
                    Update(
                        (sequence, 0, 0),
                        tokens,
                        [-float(token) for token in tokens],
                        is_first=not begun[sequence],
                        is_streamed=sequence < 2,
                        is_last=is_end,
                    )
                )
                begun[sequence] = True
        yield updates, pause_s, hold_s
        if is_end:
            return


def through_the_outbox(steps):
    """(tokens put in, updates that came out) by sequence, and when."""
    outbox, now_s = Outbox(), 1000.0
    put = {sequence: [] for sequence in range(4)}
    out = {sequence: [] for sequence in range(4)}
    for updates, pause_s, hold_s in streams(steps):
        now_s += pause_s
        for update in updates:
            put[update.key[0]] += update.tokens
        first = {update.key for update in updates if update.is_first and update.is_streamed}
        due = outbox.take(updates, now_s, hold_s)
        assert first <= {update.key for update in due}
        assert len({update.key for update in due}) == len(due)
        for update in due:
            out[update.key[0]].append((now_s, update))
    return put, out


@given(STEPS)
def test_no_token_is_lost_or_sent_twice_or_out_of_order(steps):
    put, out = through_the_outbox(steps)
    for sequence, updates in out.items():
        assert [token for _, update in updates for token in update.tokens] == put[sequence]
        assert [p for _, u in updates for p in u.logprobs] == [-float(t) for t in put[sequence]]


@given(STEPS)
def test_one_update_is_the_first_and_one_the_last(steps):
    _, out = through_the_outbox(steps)
    for updates in out.values():
        assert [u.is_first for _, u in updates] == [True] + [False] * (len(updates) - 1)
        assert [u.is_last for _, u in updates] == [False] * (len(updates) - 1) + [True]


@given(STEPS)
def test_what_is_not_streamed_leaves_only_whole(steps):
    _, out = through_the_outbox(steps)
    assert [len(out[sequence]) for sequence in (2, 3)] == [1, 1]


def update(*tokens, **flags):
    return Update((1, 0, 0), list(tokens), is_streamed=True, **flags)


def test_tokens_are_held_until_their_time_has_come():
    outbox = Outbox()
    assert outbox.take([update(1, is_first=True)], 100.0, 0.1)[0].tokens == [1]
    assert outbox.take([update(2)], 100.05, 0.1) == []
    assert outbox.take([update(3)], 100.09, 0.1) == []
    assert outbox.take([update(4)], 100.11, 0.1)[0].tokens == [2, 3, 4]


def test_nothing_is_held_when_there_is_time():
    outbox = Outbox()
    outbox.take([update(1, is_first=True)], 100.0, 0.0)
    assert [outbox.take([update(n)], 100.0, 0.0)[0].tokens for n in (2, 3)] == [[2], [3]]


def test_the_last_leaves_at_once_with_what_was_held():
    outbox = Outbox()
    outbox.take([update(1, is_first=True)], 100.0, 0.1)
    outbox.take([update(2)], 100.01, 0.1)
    (last,) = outbox.take([update(3, is_last=True)], 100.02, 0.1)
    assert (last.tokens, last.is_last) == ([2, 3], True)
    assert outbox.take([], 200.0, 0.0) == []


def test_a_failure_leaves_at_once():
    outbox = Outbox()
    outbox.take([update(1, is_first=True)], 100.0, 0.1)
    (last,) = outbox.take([update(is_last=True, error="broken")], 100.01, 0.1)
    assert (last.error, last.is_last) == ("broken", True)


def test_a_cancelled_sequence_keeps_the_score_of_the_tokens_it_made():
    outbox = Outbox()
    outbox.take([Update((1, 0, 0), [7], [-1.5], cum_logprob=-1.5, is_first=True)], 100.0, 0.1)
    (last,) = outbox.take([Update((1, 0, 0), is_last=True)], 100.01, 0.1)
    assert (last.tokens, last.logprobs, last.cum_logprob) == ([7], [-1.5], -1.5)
