"""Who starts now: one budget for all, one of each pipeline, in order of arrival."""

from hypothesis import given
from hypothesis import strategies as st

from serving.engines.admission import Room, choose

MANY = Room(100, 100)


def test_everything_starts_that_fits_in_order_of_arrival():
    waiting = [(None, 3), (7, 3), (None, 3), (7, 3)]
    assert choose(waiting, Room(10, 10), {None: MANY, 7: MANY}) == {0, 1, 2}


def test_places_are_counted_over_all_pipelines():
    waiting = [(None, 1), (7, 1), (8, 1)]
    assert choose(waiting, Room(100, 2), {None: MANY, 7: MANY, 8: MANY}) == {0, 1}


def test_what_does_not_fit_the_shared_budget_is_not_passed():
    assert choose([(None, 11), (7, 1)], Room(10, 10), {None: MANY, 7: MANY}) == set()


def test_a_full_pipeline_holds_up_only_its_own():
    waiting = [(7, 5), (7, 5), (7, 1), (None, 5)]
    assert choose(waiting, MANY, {None: MANY, 7: Room(8, 8)}) == {0, 3}


def test_a_pipeline_that_is_loading_holds_up_only_its_own():
    assert choose([(7, 1), (None, 1), (7, 1)], MANY, {None: MANY}) == {1}


rooms = st.builds(Room, st.integers(0, 20), st.integers(0, 5))
tasks = st.sampled_from([None, 1, 2])


@given(
    st.lists(st.tuples(tasks, st.integers(1, 8)), max_size=12),
    rooms,
    st.dictionaries(tasks, rooms),
)
def test_no_budget_is_overdrawn_and_no_one_passes_another_of_his_pipeline(waiting, shared, own):
    chosen = choose(waiting, shared, own)
    started = [waiting[position] for position in sorted(chosen)]
    assert sum(blocks for _, blocks in started) <= shared.blocks
    assert len(started) <= shared.places
    for task, room in own.items():
        mine = [position for position, (other, _) in enumerate(waiting) if other == task]
        count = len(chosen & set(mine))
        assert set(mine[:count]) == chosen & set(mine)
        assert count <= room.places
        assert sum(waiting[position][1] for position in mine[:count]) <= room.blocks
