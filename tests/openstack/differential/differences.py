# SPDX-License-Identifier: Apache-2.0
"""Where alarmd is meant to answer otherwise than Aodh, and nowhere else.

Each entry names the row of docs/aodh-compatibility.md that says what and why, by the row's first words.
"""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A difference that is meant: in which cases, how it reads, and the row that explains it. Both are patterns."""

    row: str
    cases: str
    reads: str

    def covers(self, case: str, difference: str) -> bool:
        """Tell whether a difference in a case is this one."""
        return bool(re.fullmatch(self.cases, case) and re.fullmatch(self.reads, difference))


def _everywhere(row: str, reads: str) -> Expected:
    return Expected(row=row, cases=".*", reads=reads)


_REFUSED: Final = r"201 → 400|200 → 404"
_TAKEN: Final = r"400 → 201|404 → 200"

EXPECTED_DIFFERENCES: Final = (
    # What may happen in any conversation.
    _everywhere("Wrong input answered with 500", r"500 → 400"),
    _everywhere("Errors of routing", r"error_message: Aodh's form for errors of routing → the one form"),
    _everywhere("A PUT that leaves `evaluate_timestamp` out", r'(\d+\.)?evaluate_timestamp: null → "<now>"'),
    _everywhere(
        "`state_reason` of a new alarm",
        r'(\d+\.|\d+\.detail\.as text\.)?state_reason: "Not evaluated yet" → "Not evaluated yet: alarms of type .*',
    ),
    Expected(
        row="`state_reason` of a new alarm",
        cases="query state_reason",
        # Those that wait for a setting are not among those found.
        reads=r'body: \[\{.*"description": "composite .* → \[\{.*"description": "composite .*',
    ),
    _everywhere(
        "The query of `gnocchi_aggregation_by_resources_threshold`",
        r'(\d+\.|\d+\.detail\.as text\.)?(gnocchi_aggregation_by_resources_threshold_)?rule\.query: "\{\\"and\\": .*',
    ),
    _everywhere("`scope_to_project` in the history", r"\d+\.detail\.as text\.rule\.scope_to_project: only in Aodh"),
    # §1.1 to §1.3
    Expected(row="Answers in XML", cases="accept xml", reads="200 → 406"),
    Expected(row="A body without a content type", cases="a body of no type", reads="415 → 400"),
    Expected(row="A body without a content type", cases="a body as a form", reads=r"error_message\.faultstring: .*"),
    Expected(
        row="`OPTIONS`",
        cases="options on the collection",
        reads=r"(Content-Type|Allow|x-\S+): None → .*",
    ),
    Expected(row="`Allow`", cases="(get|put|post) on .*", reads=r"Allow: .*"),
    Expected(row="`Allow`", cases="delete on the (state|history)", reads="404 → 405"),
    Expected(row="`Allow`", cases="get on the query folder", reads="405 → 404"),
    Expected(row="Callers without an identity", cases="v2 has no document|nobody is refused", reads="404 → 403"),
    Expected(row="`all_projects=false` on `/v2/metrics`", cases="metrics", reads="403 → 200"),
    # §2
    Expected(
        row="Null for an attribute with a default",
        cases=r"(enabled|repeat_actions) as None|(\w+_actions): null|time constraint: nulls as Heat sends them",
        reads=r"\w+: null → (true|false|\[\])|time_constraints\.0\.timezone: null → \"\"",
    ),
    Expected(
        row="Null for an attribute with a default",
        cases=r".*: as Heat sends it, with nulls|.*: (evaluation_periods|granularity) as null|composite: .* null .*",
        reads=r"[\w.]*(evaluation_periods|granularity): null → (1|60)",
    ),
    Expected(
        row="Null for an attribute with a default",
        cases=r".*: comparison_operator as null|composite: a leaf with a null operator",
        reads=_TAKEN,
    ),
    Expected(
        row="Null for an attribute with a default",
        cases=r"event: event_type as (\"\"|null)|event: null type beside a query",
        reads=r'description: "Alarm when (None|) event occurred\." → "Alarm when \* event occurred\."',
    ),
    Expected(row="Null for an attribute with a default", cases="event: query as null", reads="500 → 201"),
    Expected(
        row="Null for an attribute with a default",
        cases=r"(project_id|user_id) as None",
        reads="401 → 201",
    ),
    Expected(
        row="Null for an attribute with a default",
        cases="no project, by an administrator",
        reads=r'user_id: null → "root-.*"',
    ),
    Expected(
        row="Null for a mandatory attribute",
        cases=r"name as None|time constraint: (duration null|null name|null start)|event query: null value"
        r"|[\w]+: (metric|metrics|resource_id|resource_type|query|threshold|pool_id|stack_id|autoscaling_group_id)"
        r" as (null|\[null\])",
        reads=_REFUSED,
    ),
    Expected(
        row="Null for a mandatory attribute",
        cases=r"type as (None|1)|alarm_actions: null inside|\w+: aggregation_method as null"
        r"|event query: (without a type|null type|null field)",
        reads=r"error_message\.faultstring: .*",
    ),
    Expected(row="A name of any length", cases=r"name as 'xxx.*", reads=_REFUSED),
    Expected(row="A description that is no text", cases="description as 7", reads=_REFUSED),
    Expected(row="Booleans", cases="enabled as 'TRUE'", reads=_TAKEN),
    Expected(
        row="Attributes that only the server sets",
        cases=r"alarm_id as 7|(timestamp|state_timestamp) as 'yesterday'",
        reads=_TAKEN,
    ),
    Expected(row="A second rule that is empty", cases="a second rule that is empty", reads=_TAKEN),
    Expected(
        row="The addresses of actions",
        cases="alarm_actions: (capitals in the scheme|zaqar)",
        reads=r'alarm_actions\.0: "(http|zaqar):.*" → "(HTTP|zaqar)://.*"',
    ),
    Expected(
        row="Targets of actions",
        cases="alarm_actions: (no host|a blank inside|a letter beyond ascii|a user|metadata service)",
        reads=_REFUSED,
    ),
    # §3
    Expected(row="The type `threshold`", cases="threshold: what today's Aodh refuses", reads=_TAKEN),
    Expected(row="The type `threshold`", cases="composite: a leaf of type threshold", reads=_TAKEN),
    Expected(
        row="Leaves of a composite",
        cases="composite: a leaf with (an unknown method|granularity as text)",
        reads=f"{_REFUSED}|{_TAKEN}",
    ),
    Expected(
        row="Leaves of a composite",
        cases="composite: (two operators|a leaf with an unknown attribute)",
        reads=r"error_message\.faultstring: .*",
    ),
    Expected(
        row="Leaves of a composite", cases="composite: a prometheus leaf after a prometheus alarm", reads="400 → 201"
    ),
    Expected(
        row="Rules have Aodh's attributes only",
        cases="prometheus: (evaluation_periods as 1|granularity as 60)",
        reads=r"error_message\.faultstring: .*",
    ),
    Expected(row="Composites know `and`, `or` and rules", cases="composite: not", reads=_TAKEN),
    Expected(row="An empty list of composite rules", cases="composite: an empty list", reads=_REFUSED),
    Expected(
        row="The query of `gnocchi_aggregation_by_resources_threshold`",
        cases="gnocchi_aggregation_by_resources_threshold: an echo is no change",
        reads=r"body: \[.* → \[.*",
    ),
    Expected(
        row="A gnocchi alarm may look back for years",
        cases=r"gnocchi_\w+: (evaluation_periods as 100|granularity as 31536000)",
        reads=_REFUSED,
    ),
    Expected(
        row="A query that Gnocchi would refuse",
        cases=r'gnocchi_aggregation_by_resources_threshold: query as "\{\\"bogus\\": 1\}"',
        reads=_REFUSED,
    ),
    Expected(
        row="A Gnocchi query that is JSON and no object",
        cases=r'gnocchi_aggregation_by_resources_threshold: query as "(\[\]|null|7)"',
        reads=_REFUSED,
    ),
    # §1.4 and §1.5
    Expected(
        row="Typed filters",
        cases=r"list by (name that is a number|enabled (true|false))"
        r"|query (a number for a name|enabled by a (text|number)|evaluate_timestamp)",
        reads="500 → 200",
    ),
    Expected(row="`limit=0`", cases="page: limit 0", reads=r"body: \[\] → \[\{.*"),
    Expected(row="`limit=0`", cases="page: (limit|sort) empty", reads="400 → 200"),
    Expected(row="Sorting by severity", cases="(page|history): sort severity.*", reads="501 → 200"),
    Expected(row="Sorting by severity", cases="query body: order by severity", reads="500 → 200"),
    Expected(row="Sorting by severity", cases="query severity, <", reads=r"body: \[.* → \[.*"),
    # §1.6
    Expected(row="The own project in a query", cases="query own project, in", reads="401 → 200"),
    Expected(
        row="Queries over rules and lists",
        cases="query (rule|time_constraints|alarm_actions)",
        reads=r"body: \[\] → \[\{.*",
    ),
    Expected(row="Null for a part of a query", cases="query body: .* that is null", reads="500 → 200"),
    Expected(row="A limit that is no whole number", cases="query body: limit as a fraction", reads="200 → 400"),
    # §1.7
    Expected(
        row="Quotas without a bound",
        cases="quota of no bound|quota that was only looked at",
        reads="403 → 201",
    ),
    Expected(row="What a project's quota counts", cases="quota of a project and its colleagues", reads="201 → 403"),
    Expected(
        row="Answers about quotas that are not stored",
        cases="quota set: (nothing|missing)",
        reads=r'quotas: \[\] → \[\{"resource": "alarms", "limit": -1\}\]',
    ),
    Expected(row="Null for a mandatory attribute", cases="quota set: null project", reads="201 → 400"),
    # §6
    Expected(
        row="The history of a deleted alarm",
        cases="history after the alarm's end",
        reads=r'body: \[\] → \[\{"event_id": .*',
    ),
    Expected(
        row="`on_behalf_of` of a creation",
        cases="a project and user of another, by an administrator|history of what was created for another",
        reads=r'\d+\.on_behalf_of: "p3-.*" → "p1-.*"|body: \[.* → \[.*',
    ),
)


def row_of(case: str, difference: str) -> str | None:
    """Return the row that explains a difference, or None if it is not meant."""
    return next((expected.row for expected in EXPECTED_DIFFERENCES if expected.covers(case, difference)), None)
