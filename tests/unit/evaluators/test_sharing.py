# SPDX-License-Identifier: Apache-2.0
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from alarmd.evaluators.sharing import shared_out
from alarmd.model.alarm import AlarmId
from tests.support.alarms import an_alarm
from tests.support.transitions import a_transition


@given(wanted=st.dictionaries(st.sampled_from("abcde"), st.integers(0, 12)), limit=st.integers(1, 30))
def test_nobody_gets_less_since_somebody_else_wants_more(wanted: dict[str, int], limit: int) -> None:
    """What there is room for is given out; who got less than they want got no less than anybody else, but for one."""
    transitions = [
        a_transition(an_alarm(alarm_id=AlarmId(f"{project}-{number}")))
        for project, count in wanted.items()
        for number in range(count)
    ]

    chosen = shared_out(transitions, lambda alarm_id: alarm_id[0], limit=limit)

    given_out = Counter(one.alarm_id[0] for one in chosen)
    short = [project for project, count in wanted.items() if given_out[project] < count]
    assert min(limit, len(transitions)) == len(chosen)
    assert len({one.alarm_id for one in chosen}) == len(chosen)
    assert all(given_out[project] + 1 >= max(given_out.values()) for project in short)
