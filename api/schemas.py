# SPDX-License-Identifier: Apache-2.0
"""The shapes that go over the wire: what is answered is built from them, and `/openapi.json` describes them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from alarmd.model.alarm import Severity, State
from alarmd.model.history import ChangeType
from alarmd.model.notification import DeliveryState
from alarmd.model.rule import Comparison, Statistic
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


class ConditionBody(_Shape):
    """One condition on the series a rule reads."""

    field: str = Field(description="resource_id, project_id, user_id, or labels.NAME (also metadata.NAME)")
    op: Literal["eq"] = "eq"
    value: str
    type: str = ""


class ThresholdRuleBody(_Shape):
    """A statistic over the last periods against a threshold."""

    meter_name: str = Field(min_length=1, max_length=255)
    threshold: float
    comparison_operator: Comparison = Comparison.EQ
    statistic: Statistic = Statistic.AVG
    period: int = Field(default=60, ge=1, description="seconds")
    evaluation_periods: int = Field(default=1, ge=1, le=1000)
    query: list[ConditionBody] = Field(default=[], max_length=32)
    exclude_outliers: bool = False


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


class RejectionView(_Shape):
    """One sample that was not accepted."""

    index: int
    reason: str


class PushView(_Shape):
    """What became of a push."""

    accepted: int
    rejected: list[RejectionView]


class PushErrorView(PushView, ErrorView):
    """No sample of a push was accepted."""


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


class DeliveryView(_Shape):
    """One action of one transition, and how far it got."""

    event_id: str = Field(description="sent as webhook-id, the same over all tries")
    alarm_id: str
    project_id: str
    sequence: int
    target: str = Field(description="where it goes; what follows ? is a secret and left out")
    state: DeliveryState
    attempts: int
    created_at: str
    next_attempt_at: str | None
    finished_at: str | None
    last_status: int | None
    last_error: str
    body: dict[str, Any]


class DeliveryListView(_Shape):
    """Deliveries, newest first."""

    deliveries: list[DeliveryView]


class ReadinessView(_Shape):
    """Whether everything that a request may need answers."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]
