# SPDX-License-Identifier: Apache-2.0
"""Two nodes that share a PostgreSQL and a Redis: a node dies, or Redis is away, hangs, or breaks off connections."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import redis

from tests.faults.case import Case, Outcome
from tests.faults.outage import pause
from tests.faults.scene import BRISK, POSTGRESQL, Scene, Stage
from tests.support.daemon import DEADLINE_S, Daemon, daemon
from tests.support.servers import RedisServer, redis_server

_ONLY = (POSTGRESQL,)
#: Each node answers, evaluates and delivers.
_ROLES = ("--roles", "api,evaluator,notifier")
#: How long it takes at most until a node that has died is found out.
_MEMBERSHIP_S = 3
#: Each of a project of its own, since projects are what nodes share out.
_MACHINES = tuple(f"vm-{number}" for number in range(8))
_WELL_S = 3.0
_SHORT_S, _LONG_S = 4.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cluster:
    """The first node is the scene's."""

    scene: Scene
    second: Daemon
    redis: RedisServer


#: Breaks something for as long as its block lasts.
_Breakage: TypeAlias = Callable[[_Cluster], AbstractContextManager[object]]


@contextmanager
def _cluster(stage: Stage) -> Iterator[_Cluster]:
    with ExitStack() as stack:
        server = stack.enter_context(redis_server())
        place, options = stack.enter_context(stage.store())
        environ = {
            "ALARMD_LOG__ENGINE": "redis",
            "ALARMD_LOG__OPTIONS__URL": server.url,
            "ALARMD_CLUSTER__DOORBELL": "redis",
            "ALARMD_CLUSTER__DOORBELL_URL": server.url,
            "ALARMD_EVALUATOR__MEMBERSHIP_URL": f"{server.url}?membership_timeout={_MEMBERSHIP_S}",
        }
        scene = stack.enter_context(
            stage.scene(
                machines=_MACHINES,
                projects={name: f"project-{name}" for name in _MACHINES},
                store=(place, options),
                environ=environ,
                options=_ROLES,
                deadline_s=4 * DEADLINE_S,
            )
        )
        second = stack.enter_context(
            daemon(
                stage.folder / "second",
                options=_ROLES,
                environ={**BRISK, **place, **environ, "ALARMD_WINDOW__LATENESS_S": f"{scene.lateness_s:g}"},
                log=stage.folder / "second.log",
                await_ready=False,
            )
        )
        second.await_ready(deadline_s=3 * DEADLINE_S)
        yield _Cluster(scene=scene, second=second, redis=server)


def _play(stage: Stage, breakage: _Breakage, *, what: str, lasts_s: float, times: int) -> Outcome:
    with _cluster(stage) as cluster:
        scene = cluster.scene
        scene.watch_all()
        with scene.running():
            for number in range(times):
                pause(_WELL_S)
                with scene.faults.during(what), breakage(cluster):
                    pause(lasts_s)
                if number % 10 == 9:
                    stage.tell(f"{number + 1} times: {what}")
            pause(_WELL_S)
            findings = scene.findings(deadline_s=4 * DEADLINE_S)
        if not all('"alarm_transitioned"' in node.log for node in (scene.alarmd, cluster.second)):
            findings.complaints.append("not both nodes have evaluated: the case has shown nothing")
        if "Traceback" in scene.alarmd.log + cluster.second.log:
            findings.complaints.append("alarmd has logged an error that it did not expect")
    return Outcome(injections=times, findings=findings)


@contextmanager
def _away(cluster: _Cluster) -> Iterator[None]:
    """What Redis held is gone when it is back."""
    cluster.redis.stop()
    try:
        yield
    finally:
        cluster.redis.start()


@contextmanager
def _cut_off(cluster: _Cluster) -> Iterator[None]:
    """Nobody gets an answer, and nobody is told so: to the nodes it looks as if the network were parted."""
    os.kill(cluster.redis.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(cluster.redis.pid, signal.SIGCONT)


@contextmanager
def _reset(cluster: _Cluster) -> Iterator[None]:
    with redis.Redis.from_url(cluster.redis.url) as client:
        for kind in ("normal", "pubsub"):
            client.client_kill_filter(_type=kind, skipme=True)
    yield


@contextmanager
def _one_dead(stage: Stage, cluster: _Cluster) -> Iterator[None]:
    """Kill every process of a node at once, as a power cut would."""
    node = stage.random.choice([cluster.scene.alarmd, cluster.second])
    node.kill_all()
    try:
        yield
    finally:
        node.restart(deadline_s=3 * DEADLINE_S)


def _redis_away(stage: Stage) -> Outcome:
    return _out_of_reach(stage, _away, what="Redis is dead")


def _redis_cut_off(stage: Stage) -> Outcome:
    return _out_of_reach(stage, _cut_off, what="Redis is stopped")


def _out_of_reach(stage: Stage, breakage: _Breakage, *, what: str) -> Outcome:
    lasts_s, times = (_SHORT_S, 1) if stage.short else (_LONG_S, 5)
    return _play(stage, breakage, what=what, lasts_s=lasts_s, times=times)


def _redis_resets(stage: Stage) -> Outcome:
    return _play(stage, _reset, what="connections to Redis cut", lasts_s=0.0, times=3 if stage.short else 30)


def _node_dead(stage: Stage) -> Outcome:
    lasts_s, times = (_SHORT_S, 2) if stage.short else (2.0 * _MEMBERSHIP_S, 15)
    return _play(stage, lambda cluster: _one_dead(stage, cluster), what="a node dead", lasts_s=lasts_s, times=times)


_PROGRAMS = ("redis-server",)

CASES = (
    Case(
        name="node-dead",
        title="one of two nodes dies, with all of its processes",
        play=_node_dead,
        lasts_s=500.0,
        databases=_ONLY,
        in_short=(),
        programs=_PROGRAMS,
    ),
    Case(
        name="redis-away",
        title="the Redis of two nodes dies, and comes back empty",
        play=_redis_away,
        lasts_s=120.0,
        databases=_ONLY,
        in_short=(),
        programs=_PROGRAMS,
    ),
    Case(
        name="redis-cut-off",
        title="the Redis of two nodes does not answer (SIGSTOP)",
        play=_redis_cut_off,
        databases=_ONLY,
        in_short=(),
        programs=_PROGRAMS,
    ),
    Case(
        name="redis-resets",
        title="the Redis of two nodes breaks off every connection",
        play=_redis_resets,
        lasts_s=120.0,
        databases=_ONLY,
        in_short=(),
        programs=_PROGRAMS,
    ),
)
