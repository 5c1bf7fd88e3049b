from usage_events import an_event

from control_plane.usage.last_used import LastUsed


def test_a_key_is_due_once_a_minute():
    last_used = LastUsed()
    noted = []
    for at in (1000.0, 1059.0, 1061.0, 1062.0, 1200.0):
        last_used.saw([an_event(began_at=at), an_event(principal="user:ann")])
        due = last_used.due()
        last_used.noted(due)
        noted.append(due)
    assert noted == [{"aaaaaaaaaa": 1000.0}, {}, {"aaaaaaaaaa": 1061.0}, {}, {"aaaaaaaaaa": 1200.0}]


def test_what_was_not_noted_stays_due():
    last_used = LastUsed()
    last_used.saw([an_event(began_at=5.0), an_event(began_at=3.0)])
    assert last_used.due() == last_used.due() == {"aaaaaaaaaa": 5.0}
