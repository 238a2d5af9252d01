# SPDX-License-Identifier: Apache-2.0
"""`/v2/query`: Aodh's complex queries, for alarms and their history."""

from collections.abc import Mapping

from flask import Blueprint, Response, request

from alarmd.api.access import caller
from alarmd.api.alarms import alarm_view, change_view
from alarmd.api.arguments import only_arguments, text_argument
from alarmd.api.complex_query import ComplexQuery, read_complex_query
from alarmd.api.context import context
from alarmd.api.json_body import read_json
from alarmd.api.pages import list_answer
from alarmd.store.alarms import SEARCHABLE_ALARMS
from alarmd.store.expression import Kind
from alarmd.store.history import SEARCHABLE_HISTORY

blueprint = Blueprint("queries", __name__)


@blueprint.post("/v2/query/alarms")
def query_alarms() -> Response:
    """List alarms that a complex query asks for: of the caller's project, or of all to an admin."""
    query = _query(SEARCHABLE_ALARMS.kinds)
    found = context().alarms.query(query.search, caller())
    return list_answer(found, query.size, view=alarm_view, id_of=lambda alarm: alarm.alarm_id)


@blueprint.post("/v2/query/alarms/history")
def query_history() -> Response:
    """List changes that a complex query asks for, those of deleted alarms too."""
    query = _query(SEARCHABLE_HISTORY.kinds)
    found = context().alarms.query_history(query.search, caller())
    return list_answer(found, query.size, view=change_view, id_of=lambda change: change.event_id)


def _query(kinds: Mapping[str, Kind]) -> ComplexQuery:
    only_arguments("marker")
    limits = context().limits
    data = read_json(request, max_bytes=limits.max_body_bytes)
    return read_complex_query(data, kinds=kinds, page_limit=limits.page_limit, marker=text_argument("marker"))
