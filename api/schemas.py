# SPDX-License-Identifier: Apache-2.0
"""The shapes that go over the wire: what is answered is built from them, and `/openapi.json` describes them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from alarmd.model.alarm import Severity, State
from alarmd.model.direction import Direction
from alarmd.model.history import ChangeType
from alarmd.model.samples import Kind


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_enum_values=True)


class Fault(_Shape):
    """What went wrong, in Aodh's words."""

    faultcode: Literal["Client", "Server"]
    faultstring: str
    debuginfo: None = None


class ErrorView(_Shape):
    """Every error looks like this."""

    error_message: Fault


class TimeConstraintBody(_Shape):
    """When an alarm is evaluated: from each moment that a cron line names, for a while."""

    name: str = Field(description="unique within the alarm")
    start: str = Field(description="cron line of five to seven fields, or a name as @hourly")
    duration: int = Field(ge=0, description="seconds")
    timezone: str | None = Field(default=None, description="IANA name; UTC when empty")
    description: str | None = None


class AlarmView(BaseModel):
    """An alarm as it stands."""

    #: The rule stands beside, under a key that is named after the type.
    model_config = ConfigDict(extra="allow", use_enum_values=True)

    alarm_id: str
    name: str
    description: str
    enabled: bool
    ok_actions: list[str]
    alarm_actions: list[str]
    insufficient_data_actions: list[str]
    repeat_actions: bool
    type: str
    time_constraints: list[dict[str, Any]]
    project_id: str
    user_id: str
    timestamp: str
    state: State
    state_timestamp: str
    state_reason: str
    severity: Severity
    evaluate_timestamp: str | None
    #: alarmd's own; there only where they are set.
    labels: dict[str, str] | None = None
    directions: dict[State, Direction] | None = None
    repeat_interval: int | None = None
    signing_secret: str | None = None


class ComplexQueryBody(_Shape):
    """What is asked of alarms or their history; filter and order are JSON within a string."""

    filter: str | None = Field(default=None, description='e.g. {"and": [{"=": {"state": "ok"}}, {">": {…}}]}')
    orderby: str | None = Field(default=None, description='e.g. [{"name": "asc"}]')
    limit: int | None = Field(default=None, ge=1)


class VersionLink(_Shape):
    """Where a version is, or where it is described."""

    href: str
    rel: str
    type: str | None = None


class MediaType(_Shape):
    """A form that a version knows."""

    base: str
    type: str


class ApiVersion(BaseModel):
    """One version of the API."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, serialize_by_alias=True)

    id: str
    links: list[VersionLink]
    media_types: list[MediaType] = Field(alias="media-types")
    status: str
    updated: str


class ApiVersions(_Shape):
    """The versions."""

    values: list[ApiVersion]


class VersionsView(_Shape):
    """Which versions of the API there are."""

    versions: ApiVersions


class ApiCapabilities(_Shape):
    """What alarms and their history can be asked."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    simple_alarms: Literal[True] = Field(default=True, alias="alarms:query:simple")
    complex_alarms: Literal[True] = Field(default=True, alias="alarms:query:complex")
    simple_history: Literal[True] = Field(default=True, alias="alarms:history:query:simple")
    complex_history: Literal[True] = Field(default=True, alias="alarms:history:query:complex")


class StorageCapabilities(_Shape):
    """What the database is fit for."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    production_ready: Literal[True] = Field(default=True, alias="storage:production_ready")


class CapabilitiesView(_Shape):
    """What this server can be asked."""

    api: ApiCapabilities
    alarm_storage: StorageCapabilities


class Quota(_Shape):
    """How many of a resource a project may have."""

    resource: Literal["alarms"]
    limit: int = Field(ge=-1, le=2**31 - 1, description="-1 for any number")


class StateCountersView(_Shape):
    """How many evaluations led to each state."""

    model_config = ConfigDict(serialize_by_alias=True)

    insufficient_data: int = Field(alias="insufficient data")
    ok: int
    alarm: int


class EvaluationResultView(_Shape):
    """What was counted for an alarm."""

    alarm_id: str
    project_id: str
    state_counters: StateCountersView


class ResultsView(_Shape):
    """What was counted, alarm by alarm."""

    evaluation_results: list[EvaluationResultView]


class QuotasView(_Shape):
    """The quotas of a project."""

    project_id: str
    quotas: list[Quota]


class QuotasBody(_Shape):
    """The quotas that a project gets; what is left out stays as it is."""

    project_id: str = Field(max_length=255)
    quotas: list[Quota] | None = Field(default=None, max_length=100)


class AlarmChangeView(_Shape):
    """One entry of an alarm's history."""

    event_id: str
    alarm_id: str
    type: ChangeType
    detail: str = Field(description="JSON as text")
    project_id: str
    user_id: str
    on_behalf_of: str
    timestamp: str


class SampleBody(_Shape):
    """One sample."""

    metric: str = Field(min_length=1, max_length=255)
    resource_id: str = Field(min_length=1, max_length=255)
    value: float
    timestamp: str | float | None = Field(default=None, description="ISO 8601 (no zone: UTC) or epoch seconds")
    unit: str | None = Field(default=None, max_length=255)
    type: Kind | None = Kind.GAUGE
    project_id: str | None = Field(default=None, max_length=255)
    user_id: str | None = Field(default=None, max_length=255)
    labels: dict[str, str | None] | None = None


class PushBody(_Shape):
    """Samples, any number up to `api.max_samples_per_push`."""

    samples: list[SampleBody]


class TraitBody(_Shape):
    """One trait of an event; without a type it is what JSON makes of its value."""

    name: str = Field(min_length=1, max_length=255)
    type: int | str | None = Field(default=None, description="0 none, 1 text, 2 integer, 3 float, 4 datetime")
    value: str | float | bool | None


class EventBody(BaseModel):
    """One event; it may have any other attributes."""

    event_type: str = Field(min_length=1, max_length=255)
    message_id: str = Field(min_length=1, max_length=255)
    generated: str | None = Field(default=None, description="when it happened, ISO 8601")
    project_id: str | None = Field(default=None, max_length=255, description="where no trait says whose it is")
    traits: list[tuple[str, int | str, str | float | bool | None] | TraitBody] | None = None


class EventPushBody(_Shape):
    """Events, any number up to `api.max_events_per_push`."""

    events: list[EventBody]


class RejectionView(_Shape):
    """One sample or event that was not accepted."""

    index: int
    reason: str


class PushView(_Shape):
    """What became of a push."""

    accepted: int
    rejected: list[RejectionView]


class PushErrorView(PushView, ErrorView):
    """Nothing of a push was accepted."""


class PointView(_Shape):
    """One value of a series."""

    timestamp: str
    value: float


class SeriesView(_Shape):
    """One metric of one resource."""

    metric: str
    resource_id: str
    project_id: str
    user_id: str
    labels: dict[str, str]
    unit: str
    type: Kind
    latest: PointView | None = None
    points: list[PointView] | None = None


class SeriesListView(_Shape):
    """The series that have samples in a span, each with its `latest` point there."""

    start: str
    end: str
    truncated: bool = Field(description="whether there are more series than `limit`")
    series: list[SeriesView]


class SeriesDataView(_Shape):
    """The `points` of series in a span, oldest first."""

    start: str
    end: str
    truncated: bool = Field(description="whether older points were left out")
    series: list[SeriesView]


class HealthView(_Shape):
    """That this process answers."""

    status: Literal["ok"]


class ReadinessView(_Shape):
    """Whether everything that a request may need answers."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]
