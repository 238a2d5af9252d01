# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL that restarts, breaks off connections, or only reads."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.faults.case import Case, Outcome
from tests.faults.outage import outages
from tests.faults.scene import POSTGRESQL, Scene, Stage
from tests.support.servers import PostgresServer

_ONLY = (POSTGRESQL,)


def _server(stage: Stage) -> PostgresServer:
    assert stage.postgres is not None
    return stage.postgres


def _tell(server: PostgresServer, statement: str) -> None:
    with psycopg.connect(host=str(server.directory), user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def _stopped(stage: Stage, scene: Scene) -> Iterator[None]:
    del scene
    server = _server(stage)
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _crashed(stage: Stage, scene: Scene) -> Iterator[None]:
    del scene
    server = _server(stage)
    server.crash()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _cut_off(stage: Stage, scene: Scene) -> Iterator[None]:
    del scene
    _tell(
        _server(stage),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'alarmd%'",
    )
    yield


@contextmanager
def _read_only(stage: Stage, scene: Scene) -> Iterator[None]:
    server = _server(stage)
    _tell(server, "ALTER SYSTEM SET default_transaction_read_only = on")
    _tell(server, "SELECT pg_reload_conf()")
    # Sessions take it on between transactions; this is how a standby, too, answers.
    with _cut_off(stage, scene):
        pass
    try:
        yield
    finally:
        connection = psycopg.connect(
            host=str(server.directory),
            user="postgres",
            dbname="postgres",
            autocommit=True,
            options="-c default_transaction_read_only=off",
        )
        with connection:
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")


def _restart(stage: Stage) -> Outcome:
    lasts_s, times = (2.0, 1) if stage.short else (20.0, 3)
    return outages(stage, _stopped, what="PostgreSQL stopped", lasts_s=lasts_s, times=times)


def _crash(stage: Stage) -> Outcome:
    lasts_s, times = (2.0, 1) if stage.short else (5.0, 5)
    return outages(stage, _crashed, what="PostgreSQL crashed", lasts_s=lasts_s, times=times)


def _resets(stage: Stage) -> Outcome:
    times = 5 if stage.short else 100
    return outages(stage, _cut_off, what="connections cut", lasts_s=0.0, times=times, between_s=1.0)


def _reads(stage: Stage) -> Outcome:
    lasts_s = 4.0 if stage.short else 30.0
    return outages(stage, _read_only, what="PostgreSQL only reads", lasts_s=lasts_s)


CASES = (
    Case(
        name="postgres-restart", title="PostgreSQL is away for a while", play=_restart, databases=_ONLY, in_short=_ONLY
    ),
    Case(name="postgres-crash", title="PostgreSQL crashes and recovers", play=_crash, databases=_ONLY, in_short=()),
    Case(
        name="postgres-resets",
        title="PostgreSQL breaks off every connection",
        play=_resets,
        lasts_s=110.0,
        databases=_ONLY,
        in_short=(),
    ),
    Case(name="postgres-read-only", title="PostgreSQL only reads", play=_reads, databases=_ONLY, in_short=()),
)
