from datetime import datetime, timedelta, timezone

from ansible.module_utils.rollback import clock


def test_times_are_utc_sort_as_text_and_come_back():
    vienna = datetime(2026, 11, 22, 4, 15, 0, 7_000, tzinfo=timezone(timedelta(hours=1)))
    assert clock.iso(vienna) == "2026-11-22T03:15:00.007Z"
    assert clock.parse_iso(clock.iso(vienna)) == vienna
    assert clock.iso(vienna) < clock.iso(vienna + timedelta(milliseconds=3))
