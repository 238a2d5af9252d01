# SPDX-License-Identifier: Apache-2.0
"""Pushed samples: from JSON to `Sample`, each checked on its own, so that one bad sample costs only itself.

Checked by hand and not by a pydantic model: a model a sample costs several microseconds, and a push must take a
hundred thousand samples a second on one core. Metrics, resources and moments repeat within a push, so each distinct
one is checked once and shared.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alarmd.api.json_body import is_text
from alarmd.api.pushes import Rejection
from alarmd.api.wire import read_time_s, shown, wire_time_s
from alarmd.model.samples import Kind, Metric, Resource, Sample, labels_of

_KEYS = frozenset({"metric", "resource_id", "value", "timestamp", "unit", "type", "project_id", "user_id", "labels"})
_MAX_TEXT = 255
_MAX_LABELS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRules:
    """What a caller may push."""

    now_s: float
    #: Samples older than this many seconds are of no use to any rule and refused.
    past_s: float
    #: Samples further ahead than this many seconds would stop every window, and are refused.
    future_s: float
    #: Owner of samples that name none.
    project_id: str
    user_id: str
    #: Whether samples may name any project, or the caller's own only.
    any_project: bool


def read_samples(items: Sequence[Any], rules: SampleRules) -> tuple[list[Sample], list[Rejection]]:
    """Return the samples that can be taken, and why the others cannot."""
    reader = _Reader(rules)
    samples: list[Sample] = []
    rejected: list[Rejection] = []
    for index, item in enumerate(items):
        try:
            samples.append(reader.read(item))
        except _Refused as refusal:
            rejected.append(Rejection(index=index, reason=str(refusal), kind=refusal.kind))
    return samples, rejected


class _Refused(Exception):
    """The sample cannot be taken; the text says why."""

    def __init__(self, reason: str, *, kind: str = "malformed") -> None:
        super().__init__(reason)
        self.kind = kind


class _Reader:
    """Reads the samples of one push, and remembers what it has checked."""

    def __init__(self, rules: SampleRules) -> None:
        self._rules = rules
        self._metrics: dict[tuple[Any, ...], Metric] = {}
        self._resources: dict[tuple[Any, ...], Resource] = {}
        self._moments: dict[Any, float] = {None: rules.now_s}

    def read(self, item: Any) -> Sample:
        if type(item) is not dict:
            raise _Refused(f"a sample must be an object, not {shown(item)}")
        if not item.keys() <= _KEYS:
            unknown = sorted(item.keys() - _KEYS)
            raise _Refused(f"unknown key {shown(unknown[0])}; known: {', '.join(sorted(_KEYS))}")
        get = item.get
        labels = get("labels")
        metric_key = (get("metric"), get("unit"), get("type"))
        resource_key = (get("resource_id"), get("project_id"), get("user_id"), _label_pairs(labels))
        moment_key = get("timestamp")
        # Only what was found good is remembered, so a hit needs no further check.
        try:
            metric = self._metrics.get(metric_key) or self._check_metric(metric_key)
            resource = self._resources.get(resource_key) or self._check_resource(resource_key)
            timestamp_s = self._moments.get(moment_key) or self._check_moment(moment_key)
        except TypeError:
            raise _Refused("an attribute that must be text or a number is a list or an object") from None
        return Sample(metric=metric, resource=resource, timestamp_s=timestamp_s, value=_number(get("value")))

    def _check_metric(self, key: tuple[Any, ...]) -> Metric:
        name, unit, kind = key
        try:
            metric = Metric(
                name=_text("metric", name),
                unit=_text("unit", unit, default=""),
                kind=Kind(kind) if kind is not None else Kind.GAUGE,
            )
        except ValueError:
            raise _Refused(f"type must be one of {', '.join(Kind)}, not {shown(kind)}") from None
        self._metrics[key] = metric
        return metric

    def _check_resource(self, key: tuple[Any, ...]) -> Resource:
        resource_id, project_id, user_id, labels = key
        project_id = _text("project_id", project_id, default=self._rules.project_id)
        if project_id != self._rules.project_id and not self._rules.any_project:
            raise _Refused(f"Not Authorized to access project {project_id}", kind="project")
        if len(labels) > _MAX_LABELS:
            raise _Refused(f"{len(labels)} labels are more than the {_MAX_LABELS} allowed")
        resource = Resource(
            id=_text("resource_id", resource_id),
            project_id=project_id,
            user_id=_text("user_id", user_id, default=self._rules.user_id),
            labels=labels_of(
                (_text("a label's name", name), _text(f"label {name!r}", value, default="")) for name, value in labels
            ),
        )
        self._resources[key] = resource
        return resource

    def _check_moment(self, value: Any) -> float:
        time_s = read_time_s(value)
        if time_s is None:
            raise _Refused(f"timestamp must be ISO 8601 or seconds since the epoch, not {shown(value)}")
        rules = self._rules
        oldest_s, newest_s = rules.now_s - rules.past_s, rules.now_s + rules.future_s
        if not oldest_s <= time_s <= newest_s:
            side = "in the past" if time_s < oldest_s else "in the future"
            allowed = f"{wire_time_s(oldest_s)} to {wire_time_s(newest_s)} (UTC)"
            hint = "; send seconds, not milliseconds" if oldest_s <= time_s / 1000 <= newest_s else ""
            text = f"timestamp {shown(value)} is too far {side}; allowed now: {allowed}{hint}"
            raise _Refused(text, kind="timestamp")
        self._moments[value] = time_s
        return time_s


def _number(value: Any) -> float:
    """Return the value of a sample."""
    if type(value) is not float:
        if type(value) is not int:
            what = "is missing" if value is None else f"must be a number, not {shown(value)}"
            raise _Refused(f"value {what}")
        try:
            return float(value)
        except OverflowError:
            raise _Refused("value is too large for a float") from None
    if not math.isfinite(value):
        raise _Refused("value must be finite")
    return value


def _text(place: str, value: Any, *, default: str | None = None) -> str:
    """Return a text of a sample. With a default it may be missing, null or empty, else it must say something."""
    if value is None and default is not None:
        return default
    if value is None:
        raise _Refused(f"{place} is missing")
    if not isinstance(value, str):
        raise _Refused(f"{place} must be text, not {shown(value)}")
    if not (value or default is not None) or len(value) > _MAX_TEXT:
        raise _Refused(f"{place} must have 1 to {_MAX_TEXT} characters, this one has {len(value)}")
    if not is_text(value):
        raise _Refused(f"{place} holds a character that is not text (NUL or half of a surrogate pair)")
    return value


def _label_pairs(labels: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    """Return the labels in a form that can be looked up; not checked yet."""
    if not labels:
        if labels is None or labels == {}:
            return ()
    elif type(labels) is dict:
        return tuple(labels.items())
    raise _Refused(f"labels must be an object of texts, not {shown(labels)}")
