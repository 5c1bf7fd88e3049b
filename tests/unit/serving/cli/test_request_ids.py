"""What people may write for an id, and what they are shown of it."""

from dataclasses import replace

import pytest

from serving.cli.request_ids import SHORTEST, shortened, whole
from serving.contract.control import RequestItem
from serving.stack.errors import StackError

ITEM = RequestItem(
    id="",
    index=0,
    state="running",
    class_name="agent",
    tenant="acme",
    adapter=None,
    session=None,
    age_s=1.0,
    waited_s=0.0,
    paused_s=0.0,
    prompt_tokens=3,
    made_tokens=1,
    max_tokens=9,
    preemptions=0,
    is_resumable=True,
    place=None,
    why="",
)
ONE = "req_3f9a2b1c77d0e1f2a3b4c5d6-0123456789abcdef"
TWO = "req_3f9a2b1c77d0ffffffffffff-0123456789abcdef"
OTHER = "job-7"


def items(*ids, tenant="acme"):
    return [replace(ITEM, id=each, tenant=tenant) for each in ids]


def test_an_id_is_shown_as_far_as_it_differs_from_all_others():
    assert shortened([ONE, OTHER]) == {ONE: ONE[:SHORTEST], OTHER: OTHER}
    assert shortened([ONE, TWO, ONE]) == {ONE: ONE[:17], TWO: TWO[:17]}
    assert shortened([ONE, ONE + "0"]) == {ONE: ONE, ONE + "0": ONE + "0"}
    assert shortened([]) == {}


def test_what_is_shown_names_it():
    known = items(ONE, TWO, OTHER, ONE + "0")
    for each, short in shortened(item.id for item in known).items():
        assert whole(short, known) == each


def test_sequences_of_one_request_are_not_several():
    assert whole("req_", items(ONE, ONE)) == ONE


def test_a_start_of_several_is_refused_and_tells_what_they_are():
    with pytest.raises(StackError) as refused:
        whole("req_3f9a", items(ONE, TWO, OTHER))
    assert f"any of {ONE[:17]}, {TWO[:17]};" in str(refused.value)
    many = items(*(f"job-{number:02}" for number in range(12)))
    with pytest.raises(StackError, match="job-04 and 7 more; give more"):
        whole("job", many)


@pytest.mark.parametrize("given", ["req_9", ONE + "00", "3f9a"])
def test_a_start_of_none_is_refused(given):
    with pytest.raises(StackError, match=f"no request '{given}' waits or runs; `conch requests"):
        whole(given, items(ONE, TWO))


def test_a_gateways_own_id_is_good_for_all_calls_of_one_request_and_of_no_two():
    calls = [f"mine-{digit * 16}" for digit in "ab"]
    assert whole("mine", items(*calls)) == "mine"
    assert whole("mine", items(calls[0])) == calls[0]
    with pytest.raises(StackError, match="could be any of"):
        whole("min", items(*calls))
    with pytest.raises(StackError, match="could be any of"):
        whole("mine", [*items(calls[0]), *items(calls[1], tenant="other")])
