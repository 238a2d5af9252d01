# SPDX-License-Identifier: Apache-2.0
"""The options that define the rule of an alarm, under a heading for each kind of rule."""

from typing import Any

import click

from alarmd.cli.alarm_rules import json_of
from alarmd.cli.sections import in_section

_BOOLEAN: dict[str, Any] = {"type": bool, "metavar": "true|false"}


def _rule_json(_context: click.Context, _option: click.Parameter, text: str | None) -> dict[str, Any] | None:
    rule = None if text is None else json_of(text, option="--rule")
    if rule is not None and not isinstance(rule, dict):
        raise click.BadParameter("must be a JSON object.")
    return rule


_ANY = "Its rule"
_THRESHOLD = "Rules of the type threshold"
_GNOCCHI = "Rules of the gnocchi types"
_BEYOND = "Rules of the type threshold and of the gnocchi types, beyond Aodh"
_OTHERS = "Rules of other types"
#: All of them, in the order of the help.
RULES = [
    in_section(
        _ANY,
        "-m",
        "--metric",
        "--metrics",
        "--meter-name",
        "metrics",
        multiple=True,
        help="Metric to watch; repeatable for gnocchi_aggregation_by_metrics_threshold.",
    ),
    in_section(_ANY, "--threshold", type=float, help="What the metric is compared with."),
    in_section(
        _ANY,
        "--comparison-operator",
        "--comparison",
        type=click.Choice(["lt", "le", "eq", "ne", "ge", "gt"]),
        help="When a value counts as outside.  [server default: eq]",
    ),
    in_section(
        _ANY,
        "--evaluation-periods",
        type=click.IntRange(min=1),
        help="How many periods must agree.  [server default: 1]",
    ),
    in_section(
        _ANY,
        "--query",
        "queries",
        multiple=True,
        metavar="QUERY",
        help="threshold: FIELD=VALUE[;…] over resource_id, project_id, user_id, labels.NAME. "
        "event: traits.NAME=[TYPE::]VALUE[;…]. prometheus: PromQL. "
        "gnocchi_aggregation_by_resources_threshold: JSON.",
    ),
    in_section(
        _THRESHOLD,
        "--statistic",
        metavar="STATISTIC",
        help="What is made of the samples of a period: avg, min, max, sum, count, last, stddev, a percentile such as "
        "p95, or of a counter rate (per second) or delta.  [server default: avg]",
    ),
    in_section(
        _THRESHOLD,
        "--group-statistic",
        metavar="STATISTIC",
        help="Make the statistic of each member first, then this of theirs: p95 of the members' avg. With the gnocchi "
        "types over several members, of what --aggregation-method makes of each.  "
        "[server default: the samples of all members together; avg for rate and delta]",
    ),
    in_section(_THRESHOLD, "--period", type=click.IntRange(min=1), help="Length of a period, s.  [server default: 60]"),
    in_section(_THRESHOLD, "--exclude-outliers", help="Leave periods with odd counts out.", **_BOOLEAN),
    in_section(
        _BEYOND,
        "--datapoints-to-alarm",
        type=click.IntRange(min=1),
        metavar="M",
        help="Alarm when M of the evaluation periods are outside, ok when fewer are: 3 of 5 shrugs off a spike.  "
        "[server default: alarm when all are, ok when none is]",
    ),
    in_section(
        _BEYOND,
        "--treat-missing-data",
        type=click.Choice(["missing", "ignore", "breaching", "not_breaching"]),
        help="What a period without data is: passed over, and insufficient data in the end; either side, so that the "
        "state stays unless the others decide; outside; inside. Never breaching where the alarm removes capacity.  "
        "[server default: missing]",
    ),
    in_section(
        _BEYOND,
        "--recovery-threshold",
        type=float,
        help="What values are compared with instead while in alarm: with --threshold 80 --comparison gt and 60 here, "
        "it takes 60 or less to be ok again.  [server default: the threshold]",
    ),
    in_section(
        _BEYOND,
        "--hold-for",
        type=click.IntRange(min=0),
        metavar="S",
        help="Alarm only when it has been so for S seconds longer than the evaluation periods.  [server default: 0]",
    ),
    in_section(
        _BEYOND,
        "--keep-for",
        type=click.IntRange(min=0),
        metavar="S",
        help="Stay in alarm until it was last so more than S seconds ago.  [server default: 0]",
    ),
    in_section(
        _BEYOND,
        "--minimum-coverage",
        type=click.FloatRange(0, 1, min_open=True),
        metavar="SHARE",
        help="A period in which fewer of a group's members have reported counts as one without data, e.g. 0.8.  "
        "[server default: one that reports is enough]",
    ),
    in_section(
        _ANY,
        "--unset",
        "unset",
        multiple=True,
        metavar="ATTRIBUTE",
        help="Take an attribute out of the rule, so that its default counts again; also labels, labels.KEY, "
        "directions, directions.STATE, repeat-interval and signing-secret of the alarm. Repeatable.",
    ),
    in_section(
        _GNOCCHI,
        "--aggregation-method",
        help="How values are made of samples, and of members: as Gnocchi does it, e.g. mean, 95pct or rate:mean; over "
        "alarmd's own samples also rate, delta, stddev or p99.9.",
    ),
    in_section(
        _GNOCCHI, "--granularity", type=click.IntRange(min=1), help="Length of a period, s.  [server default: 60]"
    ),
    in_section(_GNOCCHI, "--resource-type", help="Type of the resources, e.g. instance."),
    in_section(_GNOCCHI, "--resource-id", help="The one resource of gnocchi_resources_threshold."),
    in_section(
        _OTHERS,
        "--series",
        type=click.Choice(["all", "any"]),
        help="prometheus: how many series of the answer must be outside.  [server default: all]",
    ),
    in_section(_OTHERS, "--event-type", help="event: which events, with wildcards.  [server default: *]"),
    in_section(
        _OTHERS,
        "--rule",
        "--composite-rule",
        "rule",
        callback=_rule_json,
        metavar="JSON",
        help='composite: {"and"|"or": [RULE, …]}, {"not": RULE}, {"at_least": {"count": K, "of": [RULE, …]}}, each '
        'RULE with its type, or {"alarm_id": ID} for another alarm.',
    ),
    in_section(_OTHERS, "--pool-id", help="loadbalancer_member_health: pool to watch."),
    in_section(_OTHERS, "--stack-id", help="loadbalancer_member_health: stack to update."),
    in_section(_OTHERS, "--autoscaling-group-id", help="loadbalancer_member_health: group to heal."),
]
