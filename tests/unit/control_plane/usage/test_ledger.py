from dataclasses import replace

from usage_events import an_event

from control_plane.usage.ledger import once_each
from serving.contract.usage import Status


def test_one_event_an_id_and_the_settled_one_first():
    lost = an_event(status=Status.LOST)
    first, second = replace(lost, status=Status.OK), replace(lost, status=Status.FAILED)
    other = an_event()
    assert once_each([lost, other, lost]) == [lost, other]
    assert once_each([lost, first, second, lost]) == [first]
    assert once_each([second, first]) == [second]
