# SPDX-License-Identifier: Apache-2.0
"""`/v2/metrics`: how often the evaluation of each alarm led to which state."""

from typing import Any

from flask import Blueprint, Response

from alarmd.api.access import caller
from alarmd.api.arguments import asked_limit, boolean_argument, only_arguments, text_argument
from alarmd.api.context import context
from alarmd.api.pages import PageSize, list_answer
from alarmd.api.schemas import EvaluationResultView, StateCountersView
from alarmd.model.results import AlarmResults

blueprint = Blueprint("results", __name__)


@blueprint.get("/v2/metrics")
def list_results() -> Response:
    """List what was counted for the alarms of the caller's project, or of all, in the order of their ids."""
    only_arguments("all_projects", "limit", "marker")
    given = context()
    size = PageSize(wanted=asked_limit(), maximum=given.limits.page_limit)
    found = given.results.find(
        caller(),
        all_projects=boolean_argument("all_projects", default=False),
        marker=text_argument("marker"),
        limit=size.to_fetch,
    )
    return list_answer(found, size, view=_view, id_of=lambda one: one.counts.alarm_id, key="evaluation_results")


def _view(results: AlarmResults) -> dict[str, Any]:
    counts = results.counts
    counters = StateCountersView(
        **{"insufficient data": counts.insufficient_data, "ok": counts.ok, "alarm": counts.alarm}
    )
    return EvaluationResultView(
        alarm_id=counts.alarm_id, project_id=results.project_id, state_counters=counters
    ).model_dump(by_alias=True)
