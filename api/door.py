# SPDX-License-Identifier: Apache-2.0
"""Opens the REST door of a daemon: the application over the parts of its process."""

from flask import Flask

from alarmd.api.access import loopback, trusted_headers
from alarmd.api.app import create_app
from alarmd.api.context import Access, ApiContext, ApiLimits, Identify
from alarmd.cache.log import SampleLog
from alarmd.cluster.doorbell import Doorbell
from alarmd.errors import SettingsError
from alarmd.runtime import Runtime
from alarmd.store.database import Database
from alarmd.telemetry import Exposition


def open_door(
    runtime: Runtime, *, database: Database, log: SampleLog, doorbell: Doorbell, exposition: Exposition
) -> Flask:
    """Return the application. Whoever opened the parts closes them."""
    api = runtime.settings.api
    return create_app(
        ApiContext(
            alarms=runtime.alarm_service(database=database, doorbell=doorbell),
            deliveries=runtime.delivery_service(database=database, doorbell=doorbell),
            quotas=runtime.quota_service(database=database),
            policy=runtime.policy,
            database=database,
            log=log,
            doorbell=doorbell,
            clock=runtime.clock,
            ready=lambda: runtime.readiness(database=database, log=log),
            metrics=exposition.render,
            identify=_identify(Access(api.auth)),
            limits=ApiLimits(
                max_body_bytes=api.max_body_bytes,
                page_limit=api.page_limit,
                max_samples_per_push=api.max_samples_per_push,
                sample_past_s=runtime.settings.log.retention_s,
                sample_future_s=api.sample_future_s,
                series_limit=api.series_limit,
            ),
        )
    )


def _identify(access: Access) -> Identify:
    """Return what knows callers in a mode; one file a mode that needs more than headers."""
    match access:
        case Access.LOOPBACK:
            return loopback
        case Access.TRUSTED_HEADERS:
            return trusted_headers
        case _:
            raise SettingsError(f'This alarmd cannot do api.auth = "{access}".')
