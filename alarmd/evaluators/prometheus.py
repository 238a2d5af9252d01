# SPDX-License-Identifier: Apache-2.0
"""The `prometheus` family: what a PromQL query answers, held against a threshold."""

from alarmd.evaluators.rule_body import KeptFamily, LongText, Number, RuleBody
from alarmd.model.rule import Comparison


class PrometheusRuleBody(RuleBody):
    """A `prometheus_rule` on the wire."""

    query: LongText
    comparison_operator: Comparison = Comparison.EQ
    threshold: Number


class PrometheusFamily(KeptFamily):
    """Checks `prometheus` rules."""

    name = "prometheus"
    body = PrometheusRuleBody
    fits_composite = True


PLUGIN = PrometheusFamily
