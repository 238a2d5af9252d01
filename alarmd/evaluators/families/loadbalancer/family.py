# SPDX-License-Identifier: Apache-2.0
"""The `loadbalancer_member_health` family: members of a pool that are in error, named to the stack that heals them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from alarmd.evaluators.asking.asking import Answer, Finding, WayOut
from alarmd.evaluators.families.loadbalancer.octavia import SERVER, Pool, PoolQuestion
from alarmd.evaluators.families.rule_body import KeptFamily, Name, RuleBody, read_rule
from alarmd.evaluators.family import FindFamily, RuleLimits
from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome

_TYPE: Final = "loadbalancer_member_health"
#: How many members are told at most; all are counted.
_MAX_TOLD: Final = 100


class LoadbalancerRuleBody(RuleBody):
    """A `loadbalancer_member_health_rule` on the wire; nothing of it can be checked here."""

    pool_id: Name
    stack_id: Name
    autoscaling_group_id: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadbalancerFinding(Finding):
    """A finding in Aodh's words for this type."""

    rule: LoadbalancerRuleBody
    unhealthy: tuple[Mapping[str, Any], ...] = ()

    def words(self, previous: State, current: State) -> tuple[str, dict[str, Any]]:
        last = self.unhealthy[-1] if self.unhealthy else None
        data = {
            "type": _TYPE,
            "count": len(self.unhealthy),
            "most_recent": last,
            "unhealthy_members": list(self.unhealthy[-_MAX_TOLD:]),
            "pool_id": self.rule.pool_id,
            "stack_id": self.rule.stack_id,
            "asg_id": self.rule.autoscaling_group_id,
        }
        if self.outcome is Outcome.UNKNOWN:
            return f"Octavia knows no pool {self.rule.pool_id} of this project", data
        if previous is current:
            return f"Remaining as {current}", data
        return f"Transition to {current} due to {len(self.unhealthy)} members unhealthy, most recent: {last}", data


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadbalancerRule:
    """What is evaluated: the members of a pool, which has to be of a project unless that is None."""

    body: LoadbalancerRuleBody
    project_id: str | None

    @property
    def question(self) -> PoolQuestion:
        """The pool; what is said of it concerns whoever asks."""
        return PoolQuestion(pool_id=self.body.pool_id)

    def judge(self, answer: Answer, *, state: State) -> Finding:
        """Return how the pool is. One of another project's is as if it were not there."""
        del state  # the same members mean the same in every state
        pool = self._pool(answer)
        evidence: dict[str, Any] = {"pool_id": self.body.pool_id, "asked_at": answer.at.isoformat()}
        if pool is None:
            return LoadbalancerFinding(
                outcome=Outcome.UNKNOWN, rule=self.body, evidence={**evidence, "pool": "unknown"}
            )
        unhealthy = tuple(one for one in pool.members if _is_unhealthy(one))
        return LoadbalancerFinding(
            outcome=Outcome.ALL_OUTSIDE if unhealthy else Outcome.NONE_OUTSIDE,
            outside=len(unhealthy),
            wanted=len(pool.members),
            rule=self.body,
            unhealthy=unhealthy,
            evidence={**evidence, "members": len(pool.members), "unhealthy": len(unhealthy)},
        )

    def ways_out(self, answer: Answer, *, state: State) -> Sequence[WayOut]:
        """Return what would have to be of the pool and its members."""
        del state  # as above
        pool = self._pool(answer)
        if pool is None:
            return (
                WayOut(becomes=State.OK, needs=f"a pool {self.body.pool_id} of this project without a member in ERROR"),
                WayOut(becomes=State.ALARM, needs=f"a pool {self.body.pool_id} of this project, a member in ERROR"),
            )
        unhealthy = sum(map(_is_unhealthy, pool.members))
        way = (
            WayOut(becomes=State.OK, needs=f"no member in ERROR (now {unhealthy} of {len(pool.members)})")
            if unhealthy
            else WayOut(becomes=State.ALARM, needs="a member in ERROR")
        )
        return way, WayOut(becomes=State.INSUFFICIENT_DATA, needs="no such pool of this project")

    def _pool(self, answer: Answer) -> Pool | None:
        """Return the pool, None where there is none of the project."""
        pool: Pool | None = answer.values
        return None if pool is None or self.project_id not in {None, pool.project_id} else pool


class LoadbalancerFamily(KeptFamily):
    """Checks and compiles `loadbalancer_member_health` rules."""

    name = _TYPE
    body = LoadbalancerRuleBody

    def __init__(self, limits: RuleLimits, find: FindFamily) -> None:
        super().__init__(limits, find)
        self.is_evaluated = self.is_ticked = SERVER in limits.servers
        self.needs = "" if self.is_evaluated else f"{SERVER}.url or {SERVER}.from_catalogue"

    def parse(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> LoadbalancerRule:
        body = read_rule(LoadbalancerRuleBody, rule, type_=self.name)
        return LoadbalancerRule(body=body, project_id=project_id if confined else None)


def _is_unhealthy(member: Mapping[str, Any]) -> bool:
    return bool(member.get("admin_state_up")) and member.get("operating_status") == "ERROR"


PLUGIN = LoadbalancerFamily
