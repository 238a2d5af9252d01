# SPDX-License-Identifier: Apache-2.0
"""While webhooks wait: silences begin and end, and what makes groups smaller grows too old to be sent."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults import behaviours
from tests.faults.case import Case, Outcome
from tests.faults.ends import EXPIRED, SILENCED
from tests.faults.evidence import Hush
from tests.faults.journal import Entry, Journal
from tests.faults.outage import pause
from tests.faults.scene import Scene, Stage
from tests.faults.watches import Watch
from tests.support.daemon import wait_until

#: How old an order to scale in may be when it is sent, and how much longer its receiver is away.
_EXPIRE_S, _OVER_S = 4.0, 3.0
#: How many alarms there are of each direction.
_EACH = 3
_MACHINE = "vm-0"
_LABELS = {"team": "hushed"}
#: What a silence may be about: all of these alarms, what they do in one direction, or one of them.
_ABOUT = ("all", "in", "one")


def _silences(stage: Stage) -> Outcome:
    """Silence alarms while their webhooks wait for a receiver that is away, and end that while others would."""
    times = 3 if stage.short else 12
    with stage.scene() as scene, scene.receiver("away") as away:
        scene.watch_all()
        hushed = _watch_aside(scene, away.url, labels=_LABELS)
        scene.ends = {SILENCED: "^silenced by .*: moving racks$"}
        with scene.running():
            scene.load.stop_flipping()
            for number in range(times):
                scene.await_quiet()
                _silence_once(stage, scene, away, hushed, about=_ABOUT[number % len(_ABOUT)])
            findings = scene.findings()
            kept = sum(each["state"] == SILENCED for each in scene.deliveries())
        if not kept:
            findings.complaints.append("nothing was silenced: the case has shown nothing")
    return Outcome(injections=times, findings=findings)


def _silence_once(stage: Stage, scene: Scene, away: Journal, hushed: list[Watch], *, about: str) -> None:
    with scene.faults.during("a receiver is away while a silence begins", is_outside=True):
        _turn_in_vain(scene, away)
        hush = _Hush(scene, hushed, about=about)
        if stage.random.random() < 1 / 2:
            # What waits tells of a state that has gone by then, and what would take its place is never sent.
            _turn(scene)
        away.choose = away.linger
        scene.await_quiet()
    _turn(scene)
    with scene.faults.during("a receiver is away while a silence ends", is_outside=True):
        away.choose = lambda _entry: behaviours.status(503)
        _turn(scene)
        hush.end()
        _turn_in_vain(scene, away)
        away.choose = away.linger
    scene.await_quiet()


class _Hush:
    """A silence that lasts until it is ended."""

    def __init__(self, scene: Scene, watches: list[Watch], *, about: str) -> None:
        self._scene = scene
        self._alarm_ids = frozenset(each.alarm_id for each in (watches[:1] if about == "one" else watches))
        self._direction = "in" if about == "in" else ""
        body: dict[str, Any] = {"comment": "moving racks", "duration": 3600}
        body |= {"alarm_id": watches[0].alarm_id} if about == "one" else {"labels": _LABELS}
        body |= {"direction": self._direction} if self._direction else {}
        self._asked_s = time.monotonic()
        self._silence_id = scene.alarmd.request("POST", "/v3/silences", body)["silence_id"]
        self._start_s = time.monotonic()

    def end(self) -> None:
        stop_s = time.monotonic()
        self._scene.alarmd.request("DELETE", f"/v3/silences/{self._silence_id}")
        self._scene.hushes.append(
            Hush(
                alarm_ids=self._alarm_ids,
                direction=self._direction,
                asked_s=self._asked_s,
                start_s=self._start_s,
                stop_s=stop_s,
                end_s=time.monotonic(),
            )
        )


def _expiry(stage: Stage) -> Outcome:
    """Keep what makes groups smaller from being sent until it is too old, by the receiver and by the notifier."""
    times = 1 if stage.short else 10
    environ = {"ALARMD_NOTIFIER__EXPIRE_IN_S": f"{_EXPIRE_S:g}"}
    with stage.scene(environ=environ) as scene, scene.receiver("away") as away:
        scene.watch_all()
        _watch_aside(scene, away.url)
        _put_aside(scene, [each for each in scene.load.watches if each.resource_id == _MACHINE])
        scene.ends = {EXPIRED: ""}
        obstacles: list[Callable[[], Any]] = [lambda: _away(scene, away), lambda: _asleep(scene)]
        with scene.running():
            scene.load.stop_flipping()
            for number in range(times * len(obstacles)):
                _turn(scene)
                scene.await_quiet()
                with obstacles[number % len(obstacles)]():
                    # Idle again: what would shrink the group waits, and so does what only tells of it.
                    _turn(scene)
                    pause(_EXPIRE_S + _OVER_S)
                scene.await_quiet()
            findings = scene.findings()
            expired = [each for each in scene.deliveries() if each["state"] == EXPIRED]
        findings.complaints += [
            f"{each['event_id']} has expired though it makes no group smaller"
            for each in expired
            if each["direction"] != "in"
        ]
        # Each alarm has two targets for it.
        if len(expired) < 2 * _EACH * times * len(obstacles):
            findings.complaints.append(f"only {len(expired)} have expired: the case has shown too little")
    return Outcome(injections=len(expired), findings=findings)


@contextmanager
def _away(scene: Scene, away: Journal) -> Iterator[None]:
    with scene.faults.during("a receiver is away", is_outside=True):
        away.choose = lambda _entry: behaviours.status(503)
        yield
        away.choose = away.linger


@contextmanager
def _asleep(scene: Scene) -> Iterator[None]:
    pid = scene.alarmd.children("notifier")[0]
    with scene.faults.during("the notifier is stopped"):
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


def _watch_aside(scene: Scene, url: str, **attributes: Any) -> list[Watch]:
    """Create alarms on one machine, and wait for none of their webhooks before its load may change again."""
    made = []
    for number in range(_EACH):
        made.append(scene.watch(f"grow-{number}", _MACHINE, url=url, **attributes))
        made.append(scene.watch(f"shrink-{number}", _MACHINE, url=url, operator="lt", **attributes))
    _put_aside(scene, made)
    return made


def _put_aside(scene: Scene, watches: list[Watch]) -> None:
    for each in watches:
        scene.load.watches.remove(each)


def _turn(scene: Scene) -> None:
    """Change the machine's load and wait until all of its alarms have noticed."""
    mine = [each for each in scene.watches if each.resource_id == _MACHINE]
    before = scene.states()
    scene.load.turn(_MACHINE)

    def have_changed() -> bool:
        states = scene.states()
        return all(states[each.alarm_id] != before[each.alarm_id] for each in mine)

    wait_until(have_changed, what="alarms to change", every_s=0.1)


def _turn_in_vain(scene: Scene, away: Journal) -> None:
    """Change the machine's load, and have the receiver turn each webhook away once at least."""
    tried: set[str] = set()

    def turn_away(entry: Entry) -> behaviours.Behaviour:
        tried.add(entry.path)
        return behaviours.status(503)

    away.choose = turn_away
    _turn(scene)
    wait_until(lambda: len(tried) >= _EACH * 2, what="webhooks to be turned away")


CASES = (
    Case(
        name="silences", title="silences begin and end while webhooks wait", play=_silences, lasts_s=300.0, in_short=()
    ),
    Case(
        name="expiry",
        title="scale-in is kept from being sent until it is too late",
        play=_expiry,
        lasts_s=280.0,
        in_short=(),
    ),
)
