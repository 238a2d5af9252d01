# SPDX-License-Identifier: Apache-2.0
"""The `loadbalancer_member_health` type (aodh-api 3.5 and 4.5)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from alarmd.errors import InvalidInput
from alarmd.evaluators.asking.asking import Answer, Finding
from alarmd.evaluators.families.loadbalancer.family import LoadbalancerFamily
from alarmd.evaluators.families.loadbalancer.octavia import Pool
from alarmd.evaluators.family import RuleLimits
from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome
from tests.support.rules import SHORTEST, normalised

TYPE = "loadbalancer_member_health"
RULE = {"pool_id": "p", "stack_id": "s", "autoscaling_group_id": "g"}


def a_family(*servers: str) -> LoadbalancerFamily:
    return LoadbalancerFamily(RuleLimits(window_s=3600, lateness_s=10, servers=frozenset(servers)), lambda _: None)


def a_member(name: str, status: str = "ONLINE", *, up: bool = True) -> dict[str, Any]:
    return {"id": name, "operating_status": status, "admin_state_up": up}


def judged(*members: dict[str, Any], project_id: str = "p1", confined: bool = True) -> Finding:
    rule = a_family().parse(RULE, project_id="p1", confined=confined)
    pool = Pool(project_id=project_id, members=members)
    return rule.judge(Answer(at=datetime(2026, 1, 1, tzinfo=UTC), values=pool), state=State.OK)


def data_of(*members: dict[str, Any]) -> dict[str, Any]:
    """Return the reason data of §4.5."""
    return {
        "type": TYPE,
        "count": len(members),
        "most_recent": members[-1] if members else None,
        "unhealthy_members": list(members),
        "pool_id": "p",
        "stack_id": "s",
        "asg_id": "g",
    }


def test_s3_5_three_texts_are_kept() -> None:
    """Nothing of them is checked; they may be empty."""
    assert list(SHORTEST[TYPE].items()) == list(normalised(TYPE).items())
    assert normalised(TYPE, pool_id="")["pool_id"] == ""


@pytest.mark.parametrize("key", ["pool_id", "stack_id", "autoscaling_group_id"])
def test_s3_5_each_is_text(key: str) -> None:
    """Of bounded length."""
    for wrong in (5, ["x"], "x" * 256):
        with pytest.raises(InvalidInput, match=f"Invalid input for field/attribute {key}. "):
            normalised(TYPE, **{key: wrong})


def test_s4_5_a_member_in_error_is_an_alarm() -> None:
    """It is told with all that Octavia says of it, for the stack that heals it."""
    one, two = a_member("a", "ERROR"), a_member("b", "ERROR")
    finding = judged(one, a_member("c"), two)

    assert Outcome.ALL_OUTSIDE == finding.outcome
    assert (
        f"Transition to alarm due to 2 members unhealthy, most recent: {two}",
        data_of(one, two),
    ) == finding.words(State.OK, State.ALARM)
    assert ("Remaining as alarm", data_of(one, two)) == finding.words(State.ALARM, State.ALARM)


@pytest.mark.parametrize(
    "members",
    [[], [a_member("a")], [a_member("a", "ERROR", up=False)], [a_member("a", "NO_MONITOR"), a_member("b", "OFFLINE")]],
)
def test_s4_5_without_such_members_all_is_well(members: list[dict[str, Any]]) -> None:
    """Members that were taken down on purpose are not unhealthy."""
    finding = judged(*members)

    assert Outcome.NONE_OUTSIDE == finding.outcome
    assert ("Transition to ok due to 0 members unhealthy, most recent: None", data_of()) == finding.words(
        State.ALARM, State.OK
    )


def test_a_pool_of_another_project_is_none() -> None:
    """It says as much as one that there is not; an admin's own alarm may look at any."""
    foreign = judged(a_member("a", "ERROR"), project_id="p2")
    rule = a_family().parse(RULE, project_id="p1")
    missing = rule.judge(Answer(at=datetime(2026, 1, 1, tzinfo=UTC), values=None), state=State.OK)

    assert Outcome.UNKNOWN == foreign.outcome == missing.outcome
    words = foreign.words(State.OK, State.INSUFFICIENT_DATA)
    assert ("Octavia knows no pool p of this project", data_of()) == words
    assert words == missing.words(State.OK, State.INSUFFICIENT_DATA)
    assert foreign.evidence == missing.evidence
    assert Outcome.ALL_OUTSIDE == judged(a_member("a", "ERROR"), project_id="p2", confined=False).outcome


def test_what_would_change_the_state_is_told_from_the_members() -> None:
    """A pool of another project is none here, too."""
    rule = a_family().parse(RULE, project_id="p1")

    def ways(project_id: str, *members: dict[str, Any]) -> list[tuple[str, str]]:
        answer = Answer(at=datetime(2026, 1, 1, tzinfo=UTC), values=Pool(project_id=project_id, members=members))
        return [(str(one.becomes), one.needs) for one in rule.ways_out(answer, state=State.OK)]

    gone = ("insufficient data", "no such pool of this project")
    assert [("alarm", "a member in ERROR"), gone] == ways("p1", a_member("a"))
    assert [("ok", "no member in ERROR (now 1 of 2)"), gone] == ways("p1", a_member("a"), a_member("b", "ERROR"))
    assert ["ok", "alarm"] == [becomes for becomes, _ in ways("p2", a_member("a"))]


def test_members_are_told_up_to_a_bound() -> None:
    """All are counted; a pool of thousands does not make a webhook of megabytes."""
    members = [a_member(str(number), "ERROR") for number in range(500)]
    _, data = judged(*members).words(State.OK, State.ALARM)

    assert (500, members[-100:]) == (data["count"], data["unhealthy_members"])


def test_alarms_on_one_pool_share_a_question() -> None:
    """Whosever they are."""
    one = a_family().parse(RULE, project_id="p1")
    other = a_family().parse(RULE | {"stack_id": "t"}, project_id="p2")

    assert one.question == other.question


def test_without_octavia_rules_are_kept_and_say_what_they_wait_for() -> None:
    """Once there is one, they are evaluated."""
    kept, evaluated = a_family("prometheus"), a_family("octavia")

    assert (False, False, "octavia.url or octavia.from_catalogue") == (kept.is_evaluated, kept.is_ticked, kept.needs)
    assert (True, True, "") == (evaluated.is_evaluated, evaluated.is_ticked, evaluated.needs)
