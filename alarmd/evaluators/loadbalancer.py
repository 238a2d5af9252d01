# SPDX-License-Identifier: Apache-2.0
"""The `loadbalancer_member_health` family: members of a pool that are in error, named to the stack that heals them."""

from alarmd.evaluators.rule_body import KeptFamily, Name, RuleBody


class LoadbalancerRuleBody(RuleBody):
    """A `loadbalancer_member_health_rule` on the wire; nothing of it can be checked here."""

    pool_id: Name
    stack_id: Name
    autoscaling_group_id: Name


class LoadbalancerFamily(KeptFamily):
    """Checks `loadbalancer_member_health` rules."""

    name = "loadbalancer_member_health"
    body = LoadbalancerRuleBody


PLUGIN = LoadbalancerFamily
