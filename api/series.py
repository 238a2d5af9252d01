# SPDX-License-Identifier: Apache-2.0
"""`/v3/series`: which series there are, and their points."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, request

from alarmd.api.access import permitted
from alarmd.api.arguments import (
    boolean_argument,
    limit_argument,
    mandatory_argument,
    only_arguments,
    text_argument,
    time_argument,
)
from alarmd.api.context import context
from alarmd.api.schemas import PointView, SeriesDataView, SeriesListView, SeriesView
from alarmd.api.series_search import Point, Series, SeriesQuery, latest_points, points
from alarmd.api.wire import wire_time_s
from alarmd.errors import Forbidden, InvalidInput, Unauthorized
from alarmd.model.samples import labels_of
from alarmd.policy import Action, is_admin

blueprint = Blueprint("series", __name__)

_ARGUMENTS = ("metric", "resource_id", "user_id", "project_id", "all_projects", "start", "end", "limit")
_LABEL = "labels."

#: How far back the two lists look when the client does not say.
_DEFAULT_SPAN_S = 600.0


@blueprint.get("/v3/series")
def list_series() -> dict[str, Any]:
    """List the series that have samples in a span, each with its newest value there."""
    query, limit = _query(metric=text_argument("metric"), resource_id=text_argument("resource_id"))
    found = latest_points(context().log, query)
    listed = sorted(found, key=_place)[:limit]
    return SeriesListView(
        start=wire_time_s(query.start_s),
        end=wire_time_s(query.end_s),
        truncated=len(found) > limit,
        series=[_series_view(series, latest=found[series]) for series in listed],
    ).model_dump(exclude_none=True)


@blueprint.get("/v3/series/data")
def list_points() -> dict[str, Any]:
    """List the points of one metric of one resource, oldest first; when there are too many, the newest."""
    query, limit = _query(metric=mandatory_argument("metric"), resource_id=mandatory_argument("resource_id"))
    found, truncated = points(context().log, query, limit=limit)
    return SeriesDataView(
        start=wire_time_s(query.start_s),
        end=wire_time_s(query.end_s),
        truncated=truncated,
        series=[_series_view(series, points=found[series]) for series in sorted(found, key=_place)],
    ).model_dump(exclude_none=True)


def _query(*, metric: str | None, resource_id: str | None) -> tuple[SeriesQuery, int]:
    """Return what the arguments ask for, within what the caller may see and the log still has."""
    labels = labels_of((name.removeprefix(_LABEL), value) for name, value in request.args.items() if _is_label(name))
    only_arguments(*_ARGUMENTS, *(name for name in request.args if _is_label(name)))
    given = context()
    now_s = given.clock.time_s()
    oldest_s, newest_s = now_s - given.limits.sample_past_s, now_s + given.limits.sample_future_s
    end_s = time_argument("end", default_s=newest_s)
    start_s = time_argument("start", default_s=min(now_s, end_s) - _DEFAULT_SPAN_S)
    if start_s > end_s:
        raise InvalidInput(f"start ({wire_time_s(start_s)}) must not be after end ({wire_time_s(end_s)}).")
    query = SeriesQuery(
        start_s=max(start_s, oldest_s),
        end_s=max(min(end_s, newest_s), oldest_s),
        project_id=_project(),
        metric=metric,
        resource_id=resource_id,
        user_id=text_argument("user_id"),
        labels=labels,
    )
    return query, limit_argument(maximum=given.limits.series_limit)


def _project() -> str | None:
    """Return the project whose series may be seen; None for an administrator who sees all."""
    who = permitted(Action.GET_SERIES)
    admin = is_admin(context().policy, who)
    if boolean_argument("all_projects", default=False):
        if not admin:
            raise Forbidden("RBAC Authorization Failed")
        return None
    project_id = request.args.get("project_id")
    if project_id is not None and project_id != who.project_id and not admin:
        raise Unauthorized(f"Not Authorized to access project {project_id}")
    # As with alarms: an administrator who acts for no project sees all of them.
    if project_id is None and admin:
        return who.project_id or None
    return who.project_id if project_id is None else project_id


def _is_label(name: str) -> bool:
    return name.startswith(_LABEL) and len(name) > len(_LABEL)


def _place(series: Series) -> tuple[object, ...]:
    """Return what series are listed by."""
    resource, metric = series
    return (metric.name, resource.project_id, resource.id, resource.user_id, resource.labels, metric.kind, metric.unit)


def _series_view(series: Series, *, latest: Point | None = None, points: Sequence[Point] | None = None) -> SeriesView:
    resource, metric = series
    return SeriesView(
        metric=metric.name,
        resource_id=resource.id,
        project_id=resource.project_id,
        user_id=resource.user_id,
        labels=dict(resource.labels),
        unit=metric.unit,
        type=metric.kind,
        latest=_point_view(latest) if latest else None,
        points=[_point_view(point) for point in points] if points is not None else None,
    )


def _point_view(point: Point) -> PointView:
    return PointView(timestamp=wire_time_s(point.timestamp_s), value=point.value)
