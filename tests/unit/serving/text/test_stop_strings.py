"""A stop string ends the text wherever it stands, and nothing of it is ever shown."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from serving.text.stop_strings import StopFilter

# Few letters, so that stops overlap the text, one another and themselves.
TEXT = st.text(st.sampled_from("ab "), max_size=24)
STOPS = st.lists(st.text(st.sampled_from("ab "), max_size=5), max_size=4)
CUTS = st.lists(st.integers(0, 24), max_size=6)


def pieces(text, cuts):
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def cut_at_first_complete_stop(text, stops):
    """A character at a time, the way a reader would see it; of two complete at once the longer."""
    for end in range(len(text) + 1):
        begun = [end - len(stop) for stop in stops if stop and text[:end].endswith(stop)]
        if begun:
            return text[: min(begun)], True
    return text, False


@given(TEXT, STOPS, CUTS)
def test_the_shown_text_ends_before_the_first_stop_however_it_came(text, stops, cuts):
    stop_filter = StopFilter(stops)
    shown = "".join(stop_filter.push(piece) for piece in pieces(text, cuts))
    is_stopped = stop_filter.is_stopped
    assert (shown + stop_filter.flush(), is_stopped) == cut_at_first_complete_stop(text, stops)


@given(TEXT, STOPS, CUTS)
def test_no_beginning_of_a_stop_is_shown_before_it_is_certain(text, stops, cuts):
    stop_filter = StopFilter(stops)
    given_text, shown = "", ""
    for piece in pieces(text, cuts):
        given_text += piece
        shown += stop_filter.push(piece)
        ends = [] if stop_filter.is_stopped else [given_text[at:] for at in range(len(shown))]
        assert not any(stop.startswith(end) for stop in stops for end in ends)


@given(TEXT, STOPS, CUTS)
def test_no_more_is_held_than_could_become_a_stop(text, stops, cuts):
    stop_filter = StopFilter(stops)
    given_text, shown = "", ""
    for piece in pieces(text, cuts):
        given_text += piece
        shown += stop_filter.push(piece)
        if not stop_filter.is_stopped:
            held = given_text[len(shown) :]
            assert held == "" or any(stop.startswith(held) for stop in stops)


def test_nothing_follows_a_stop():
    stop_filter = StopFilter(["x"])
    assert stop_filter.push("axb") == "a"
    assert (stop_filter.push("c"), stop_filter.flush(), stop_filter.is_stopped) == ("", "", True)


def test_without_stops_text_passes_at_once():
    assert StopFilter(["", ""]).push("abc") == "abc"


def test_a_very_long_stop_costs_little():
    stop_filter = StopFilter(["a" * 200_000 + "b"])
    assert "".join(stop_filter.push("a") for _ in range(300)) == ""
    assert stop_filter.flush() == "a" * 300
