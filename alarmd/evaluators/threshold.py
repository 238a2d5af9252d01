# SPDX-License-Identifier: Apache-2.0
"""The `threshold` family: a statistic over the last periods of the cache's samples, held against a threshold.

Attributes are those of Aodh's legacy `threshold_rule`. Numbers are taken as text too, and null means the default, as
the clients that send these rules rely on.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from alarmd.errors import InvalidInput
from alarmd.evaluators.family import FindFamily, RuleLimits
from alarmd.evaluators.plan import look_back_periods
from alarmd.model.rule import Comparison, Selector, Statistic, ThresholdRule
from alarmd.model.samples import labels_of

#: Query fields and the resource attributes they mean; ``labels.<name>`` and ``metadata.…<name>`` mean labels.
_FIELDS = {
    "resource_id": "resource_id",
    "resource": "resource_id",
    "project_id": "project_id",
    "project": "project_id",
    "user_id": "user_id",
    "user": "user_id",
}
#: Tried in this order; the longer spellings are those of Ceilometer's metadata.
_LABEL_PREFIXES = ("metadata.user_metadata.", "metadata.metering.", "metadata.", "labels.")


def _whole(value: object) -> object:
    """Take 60.5 and "60" as 60, as Aodh does."""
    if isinstance(value, str):
        value = float(value) if value.strip() else value
    return int(value) if isinstance(value, float) and isfinite(value) else value


_Whole = Annotated[int, BeforeValidator(_whole)]


class _Body(BaseModel):
    """Base of what clients send: null takes the default, other keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None}


class QueryTerm(_Body):
    """One condition on the resources whose samples count; all must hold."""

    field: str
    op: Literal["eq"] = "eq"
    value: Annotated[str, BeforeValidator(lambda value: value if isinstance(value, bool | list | dict) else str(value))]
    type: Literal["string", "integer", "float", "boolean", ""] | None = Field(default=None, exclude=True)


class ThresholdRuleBody(_Body):
    """A `threshold_rule` on the wire."""

    meter_name: str = Field(min_length=1, max_length=255)
    query: list[QueryTerm] = Field(default=[], max_length=32)
    statistic: Statistic = Statistic.AVG
    #: Seconds.
    period: _Whole = Field(default=60, ge=1)
    evaluation_periods: _Whole = Field(default=1, ge=1, le=1000)
    comparison_operator: Comparison = Comparison.EQ
    threshold: float = Field(allow_inf_nan=False)
    exclude_outliers: bool = False


class ThresholdFamily:
    """Checks, words and compiles `threshold` rules."""

    name = "threshold"
    is_evaluated = True

    def __init__(self, limits: RuleLimits, find: FindFamily) -> None:
        del find  # these rules hold no others
        self._limits = limits

    def normalise(self, rule: Mapping[str, Any], *, project_id: str) -> dict[str, Any]:
        try:
            body = ThresholdRuleBody.model_validate(dict(rule))
        except ValidationError as error:
            raise InvalidInput(_complaint(error)) from error
        parsed = _compile(body, project_id)
        look_back = look_back_periods(parsed, lateness_s=self._limits.lateness_s)
        reach_s = parsed.period_s * (parsed.evaluation_periods + look_back)
        if reach_s > self._limits.window_s:
            raise InvalidInput(
                f"The rule looks back {reach_s} s ({parsed.evaluation_periods} periods of {parsed.period_s} s and "
                f"{look_back} to bridge gaps), but the window holds {self._limits.window_s:g} s. Use shorter or fewer "
                "periods, or ask the operator to raise window.length_s."
            )
        return body.model_dump(mode="json")

    def describe(self, rule: Mapping[str, Any]) -> str:
        body = ThresholdRuleBody.model_validate(dict(rule))
        return (
            f"Alarm when {body.meter_name} is {body.comparison_operator} a {body.statistic} of {body.threshold:g} "
            f"over {body.period} seconds"
        )

    def reads_project(self, rule: Mapping[str, Any], *, project_id: str) -> str:
        return self.parse(rule, project_id=project_id).selector.project_id

    def parse(self, rule: Mapping[str, Any], *, project_id: str) -> ThresholdRule:
        try:
            return _compile(ThresholdRuleBody.model_validate(dict(rule)), project_id)
        except ValidationError as error:
            raise InvalidInput(_complaint(error)) from error


def _compile(body: ThresholdRuleBody, project_id: str) -> ThresholdRule:
    attributes = {"project_id": project_id}
    labels: dict[str, str] = {}
    for term in body.query:
        label = next((term.field.removeprefix(p) for p in _LABEL_PREFIXES if term.field.startswith(p)), None)
        into, key = (labels, label) if label else (attributes, _FIELDS.get(term.field, ""))
        if not key:
            raise InvalidInput(
                f"Invalid input for field/attribute query. Value: '{term.field}'. Value should be one of: "
                f"{', '.join(sorted(_FIELDS))}, labels.<name>, metadata.<name>"
            )
        if into.get(key, term.value) != term.value and key != "project_id":
            raise InvalidInput(f"Two conditions of the query ask {term.field} to be different things; none can match.")
        into[key] = term.value
    return ThresholdRule(
        selector=Selector(metric=body.meter_name, labels=labels_of(labels.items()), **attributes),
        statistic=body.statistic,
        period_s=body.period,
        evaluation_periods=body.evaluation_periods,
        comparison=body.comparison_operator,
        threshold=body.threshold,
        exclude_outliers=body.exclude_outliers,
    )


def _complaint(error: ValidationError) -> str:
    """Return the first complaint in Aodh's words."""
    problem = error.errors()[0]
    place = [part for part in problem["loc"] if isinstance(part, str)]
    if problem["type"] == "extra_forbidden":
        return f"Unknown attribute for argument data: threshold_rule: {place[-1]}"
    if problem["type"] == "missing":
        return f"Invalid input for field/attribute {place[-1]}. Value: 'None'. Mandatory field missing."
    detail = problem["msg"]
    context = problem.get("ctx", {})
    if problem["type"] in {"enum", "literal_error"}:
        detail = f"Value should be one of: {context['expected']}"
    elif problem["type"] == "greater_than_equal":
        detail = f"Value should be greater or equal to {context['ge']}"
    elif problem["type"] == "less_than_equal":
        detail = f"Value should be lower or equal to {context['le']}"
    return f"Invalid input for field/attribute {place[-1] if place else 'rule'}. Value: '{problem['input']}'. {detail}"


PLUGIN = ThresholdFamily
