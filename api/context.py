# SPDX-License-Identifier: Apache-2.0
"""What the REST door is given by whoever opens it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, cast

from flask import Request, current_app
from pydantic import BaseModel

from alarmd.alarms import (
    AlarmService,
    DeliveryService,
    QuotaService,
    ResultService,
    SecretService,
    SilenceService,
)
from alarmd.api.rate_limit import RateLimit, Unlimited
from alarmd.cache.log import SampleLog
from alarmd.clock import Clock
from alarmd.cluster.doorbell import Doorbell
from alarmd.evaluators.answers.explaining import Explanations
from alarmd.evaluators.answers.previews import Previews
from alarmd.evaluators.event_evaluation import EventEvaluation
from alarmd.model.caller import Caller
from alarmd.policy import Policy
from alarmd.store.database import Database

_KEY = "alarmd.context"


class Access(StrEnum):
    """How a caller is known: the modes of `api.auth`."""

    #: Whoever reaches the port is the administrator, unless headers say who they are. For loopback only.
    LOOPBACK = "loopback"
    #: A proxy in front has authenticated the caller and says so in headers; without them nothing is open.
    TRUSTED_HEADERS = "trusted-headers"
    #: The caller shows a token that `alarmd token create` has made.
    TOKENS = "tokens"
    #: The caller shows a token that Keystone has issued.
    KEYSTONE = "keystone"


#: The seam of the modes: returns who makes a request, or raises `Unidentified` (401) or `Forbidden` (403). Asked once
#: a request, by several threads at once. `door.py` chooses the one in force.
Identify: TypeAlias = Callable[[Request], Caller]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """The bounds of what a request may ask for."""

    max_body_bytes: int = 16 * 1024 * 1024
    #: Items of a list at most, and when the client names no `limit`. Generous: Aodh's clients expect all there are.
    page_limit: int = 10_000
    max_samples_per_push: int = 100_000
    max_events_per_push: int = 1_000
    max_event_bytes: int = 65_536
    #: Samples older than this are refused: the retention of the sample log.
    sample_past_s: float = 7200.0
    #: Samples further ahead than this are refused.
    sample_future_s: float = 60.0
    #: Points and series of one answer of `/v3/series` at most.
    series_limit: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """Everything that the REST door works with."""

    alarms: AlarmService
    deliveries: DeliveryService
    secrets: SecretService
    quotas: QuotaService
    results: ResultService
    silences: SilenceService
    events: EventEvaluation
    previews: Previews
    explanations: Explanations
    policy: Policy
    database: Database
    log: SampleLog
    doorbell: Doorbell
    clock: Clock
    #: Each check by name: None when it is fine, else what is wrong.
    ready: Callable[[], Mapping[str, str | None]]
    #: The metrics of all processes in Prometheus' text format.
    metrics: Callable[[], bytes]
    identify: Identify
    #: The shape of the rule of each type of alarm; alarms of other types are refused.
    rule_bodies: Mapping[str, type[BaseModel]]
    rate_limit: RateLimit = field(default_factory=Unlimited)
    limits: ApiLimits = field(default_factory=ApiLimits)
    #: Origins whose web pages may read answers; none by default.
    cors_origins: tuple[str, ...] = ()
    #: Whether a proxy in front tells in `X-Forwarded-*` how clients reach it.
    proxy_headers: bool = False


def context() -> ApiContext:
    """Return the context of the app that handles the request in hand."""
    return cast("ApiContext", current_app.extensions[_KEY])


def attach(extensions: dict[str, object], given: ApiContext) -> None:
    """Hand a context to an app."""
    extensions[_KEY] = given
