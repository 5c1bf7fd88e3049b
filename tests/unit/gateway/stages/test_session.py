"""Sessions of two projects are never one."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.ask import Ask
from gateway.stages.session import tie
from serving.contract.calls import Call
from serving.contract.wire import MAX_SESSION

PROJECTS = st.sampled_from(["a/b", "a/bc", "a" * 40 + "/" + "b" * 40])


def session_of(project: str, session: str | None) -> str | None:
    made = tie(Ask("m", (Call(text="a"), Call(text="b")), session=session), project)
    first, second = (call.session for call in made.calls)
    assert first == second
    return first


def test_a_session_is_its_projects_own() -> None:
    assert session_of("acme/web", "s-1") == "acme/web/s-1"
    assert session_of("acme/web", None) is None


@given(PROJECTS, PROJECTS, st.text(min_size=1, max_size=256), st.text(min_size=1, max_size=256))
def test_two_are_one_only_if_they_are(one: str, other: str, mine: str, theirs: str) -> None:
    made = session_of(one, mine), session_of(other, theirs)
    assert all(session is not None and len(session) <= MAX_SESSION for session in made)
    assert (made[0] == made[1]) == ((one, mine) == (other, theirs))


def test_long_ones_that_begin_alike_stay_two() -> None:
    assert session_of("acme/web", "s" * 255 + "1") != session_of("acme/web", "s" * 255 + "2")
