"""The LoRA cache's decisions, one by one and against a plain list of what happened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.engines.lora_cache import CacheFullError, LoraCache, Placed, TaskNotFoundError


def put(cache, *tasks):
    """Loaded, and nobody uses them any more."""
    for task in tasks:
        placed = cache.use(task, has_weights=True)
        if placed.is_new:
            cache.done(task)
        cache.done(task)


def resident(cache, tasks=range(10)):
    return {task for task in tasks if task in cache}


def test_an_unknown_task_without_weights_is_not_found():
    cache = LoraCache(2)
    with pytest.raises(TaskNotFoundError) as error:
        cache.use(7, has_weights=False)
    told = "LoRA task 7 not found in cache. Please send LoRA weights with request"
    assert (str(error.value), len(cache)) == (told, 0)


def test_weights_make_a_task_known_and_those_of_a_known_one_are_not_wanted():
    cache = LoraCache(2)
    assert cache.use(7, has_weights=True) == Placed(is_new=True)
    assert cache.use(7, has_weights=True) == Placed(is_new=False)
    assert cache.use(7, has_weights=False) == Placed(is_new=False)


def test_the_task_out_of_use_for_longest_makes_room():
    cache = LoraCache(3)
    put(cache, 1, 2, 3)
    put(cache, 1)
    assert cache.use(4, has_weights=True) == Placed(is_new=True, evicted=2)
    assert resident(cache) == {1, 3, 4}


def test_the_order_is_that_of_the_ends_not_of_the_starts():
    cache = LoraCache(2)
    put(cache, 1, 2)
    cache.use(1, has_weights=False)
    cache.use(2, has_weights=False)
    cache.done(2)
    cache.done(1)
    assert cache.use(3, has_weights=True).evicted == 2


def test_a_task_in_use_or_loading_never_makes_room():
    cache = LoraCache(2)
    put(cache, 1)
    cache.use(1, has_weights=False)
    cache.use(2, has_weights=True)
    cache.done(2)  # its request has gone while it loads
    with pytest.raises(CacheFullError) as error:
        cache.use(3, has_weights=True)
    assert str(error.value) == "Cache is full. There are no done tasks to evict"
    assert resident(cache) == {1, 2}
    cache.done(2)
    assert cache.use(3, has_weights=True).evicted == 2


def test_a_task_is_in_use_until_its_last_request_ends():
    cache = LoraCache(1)
    put(cache, 1)
    for _ in range(3):
        cache.use(1, has_weights=False)
    for _ in range(2):
        cache.done(1)
        with pytest.raises(CacheFullError):
            cache.use(2, has_weights=True)
    cache.done(1)
    assert cache.use(2, has_weights=True).evicted == 1


def test_a_dropped_task_is_unknown_and_leaves_its_place():
    cache = LoraCache(1)
    cache.use(1, has_weights=True)
    cache.use(1, has_weights=False)
    cache.drop(1)
    assert (resident(cache), len(cache)) == (set(), 0)
    assert cache.use(2, has_weights=True) == Placed(is_new=True)


def test_a_cache_without_places_is_always_full():
    with pytest.raises(CacheFullError):
        LoraCache(0).use(1, has_weights=True)


class History:
    """The reference: who uses what now, and the tasks in the order in which their use ended."""

    def __init__(self, places):
        self.places, self.in_use, self.idle = places, [], []

    def use(self, task, has_weights):
        evicted = None
        is_new = task not in self.in_use + self.idle
        if is_new and not has_weights:
            return "miss"
        if is_new and len({*self.in_use, *self.idle}) == self.places:
            if not self.idle:
                return "full"
            evicted = self.idle.pop(0)
        self.idle = [other for other in self.idle if other != task]
        self.in_use += [task, task] if is_new else [task]
        return is_new, evicted

    def done(self, task):
        self.in_use.remove(task)
        self.idle += [] if task in self.in_use else [task]

    def drop(self, task):
        self.in_use = [other for other in self.in_use if other != task]


def outcome(cache, task, has_weights):
    try:
        placed = cache.use(task, has_weights=has_weights)
    except TaskNotFoundError:
        return "miss"
    except CacheFullError:
        return "full"
    return placed.is_new, placed.evicted


events = st.tuples(st.sampled_from(["put", "id", "done", "drop"]), st.integers(0, 5))


@given(st.integers(1, 4), st.lists(events, max_size=60))
def test_it_agrees_with_what_happened(places, happened):
    cache, history = LoraCache(places), History(places)
    for event, task in happened:
        if event in ("put", "id"):
            has_weights = event == "put"
            assert outcome(cache, task, has_weights) == history.use(task, has_weights)
        elif task in history.in_use:
            getattr(cache, event)(task)
            getattr(history, event)(task)
        assert resident(cache) == {*history.in_use, *history.idle}
        assert len(cache) <= places
