# SPDX-License-Identifier: Apache-2.0
"""Opens the REST door of a daemon: the application over the parts of its process."""

from flask import Flask

from alarmd.api.access import loopback, trusted_headers
from alarmd.api.app import create_app
from alarmd.api.context import Access, ApiContext, ApiLimits, Identify
from alarmd.api.rate_limit import ProjectRateLimit, RateLimit, Unlimited
from alarmd.api.tokens import Tokens
from alarmd.cache.log import SampleLog
from alarmd.cluster.doorbell import Doorbell
from alarmd.evaluators.answers.explaining import Explanations
from alarmd.runtime import Runtime
from alarmd.store.database import Database
from alarmd.telemetry import Exposition


def open_door(
    runtime: Runtime,
    *,
    database: Database,
    log: SampleLog,
    doorbell: Doorbell,
    explanations: Explanations,
    exposition: Exposition,
) -> Flask:
    """Return the application. Whoever opened the parts closes them."""
    api = runtime.settings.api
    return create_app(
        ApiContext(
            alarms=runtime.alarm_service(database=database, doorbell=doorbell),
            deliveries=runtime.delivery_service(database=database, doorbell=doorbell),
            secrets=runtime.secret_service(database=database),
            quotas=runtime.quota_service(database=database),
            results=runtime.result_service(database=database),
            silences=runtime.silence_service(database=database),
            events=runtime.event_evaluation(database=database, doorbell=doorbell),
            previews=runtime.previews(database=database, log=log),
            explanations=explanations,
            policy=runtime.policy,
            database=database,
            log=log,
            doorbell=doorbell,
            clock=runtime.clock,
            ready=lambda: runtime.readiness(database=database, log=log),
            metrics=exposition.render,
            identify=_identify(Access(api.auth), runtime, database=database),
            rule_bodies={name: family.body for name, family in runtime.families.items()},
            rate_limit=_rate_limit(api.requests_per_second_per_project),
            limits=ApiLimits(
                max_body_bytes=api.max_body_bytes,
                page_limit=api.page_limit,
                max_samples_per_push=api.max_samples_per_push,
                max_events_per_push=api.max_events_per_push,
                max_event_bytes=api.max_event_bytes,
                sample_past_s=runtime.settings.log.retention_s,
                sample_future_s=api.sample_future_s,
                series_limit=api.series_limit,
            ),
            cors_origins=api.cors_origins,
            proxy_headers=api.proxy_headers,
        )
    )


def _identify(access: Access, runtime: Runtime, *, database: Database) -> Identify:
    """Return what knows callers in a mode; one file a mode that needs more than headers."""
    match access:
        case Access.LOOPBACK:
            return loopback
        case Access.TRUSTED_HEADERS:
            return trusted_headers
        case Access.TOKENS:
            return Tokens(database=database, clock=runtime.clock)
        case Access.KEYSTONE:
            from alarmd.api.keystone import KeystoneAccess  # noqa: PLC0415  # its library is an extra

            return KeystoneAccess(runtime.settings.keystone, clock=runtime.clock)


def _rate_limit(per_second: int) -> RateLimit:
    """Return what counts requests; nothing does when there is no limit."""
    return ProjectRateLimit(per_second) if per_second else Unlimited()
