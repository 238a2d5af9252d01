# SPDX-License-Identifier: Apache-2.0
"""What keeps groups safe: a target that has gone is left alone, and nothing shrinks while everything changes."""

import json
import time
from typing import Any

from tests.faults import behaviours
from tests.faults.case import Case, Outcome
from tests.faults.outage import pause
from tests.faults.scene import Scene, Stage
from tests.faults.watches import ALARM, OK, Watch, watch
from tests.support.daemon import wait_until

#: For how long nothing may have happened before the breaker closes, and for how long it may be open for less.
_CALM_S, _SLACK_S = 3.0, 0.5
_CROWD = 30


def _gone(stage: Stage) -> Outcome:
    """Have a receiver answer 410 for good; later somebody writes the alarm anew, and it is there again."""
    times = 1 if stage.short else 10
    with stage.scene() as scene, scene.receiver("gone") as gone:
        scene.watch_all()
        complaints: list[str] = []
        with scene.running():
            for number in range(times):
                gone.choose = lambda _entry: behaviours.status(410)
                leaver = watch(scene.alarmd, gone.url, f"leaver-{number}", "vm-0", states=(OK, ALARM), twice=False)
                scene.others.add(leaver.alarm_id)
                wait_until(lambda each=leaver: _told(scene, each) >= 4, what="states to change")  # type: ignore[misc]
                tries = [entry.path for entry in gone.refused if entry.alarm_id == leaver.alarm_id]
                if len(tries) > len(set(tries)):
                    complaints.append(f"a target that was gone was called again: {tries}")
                if not any("410" in json.dumps(row) for row in _changes(scene, leaver)):
                    complaints.append("the history does not say that a target has gone")
                gone.choose = gone.linger
                came = len(gone.entries)
                _write_anew(scene, leaver)
                wait_until(lambda came=came: len(gone.entries) > came, what="webhooks to a target that is back")  # type: ignore[misc]
                scene.alarmd.request("DELETE", f"/v2/alarms/{leaver.alarm_id}")
            findings = scene.findings()
    findings.complaints += complaints
    return Outcome(injections=len(gone.refused), findings=findings)


def _told(scene: Scene, leaver: Watch) -> int:
    return len(scene.history(leaver))


def _changes(scene: Scene, leaver: Watch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scene.alarmd.request("GET", f"/v2/alarms/{leaver.alarm_id}/history?limit=1000")
    return found


def _write_anew(scene: Scene, leaver: Watch) -> None:
    body = scene.alarmd.request("GET", f"/v2/alarms/{leaver.alarm_id}")
    scene.alarmd.request("PUT", f"/v2/alarms/{leaver.alarm_id}", body)


def _everything_at_once(stage: Stage) -> Outcome:
    """Have nearly all alarms change together, as they do when a source goes mad."""
    environ = {
        "ALARMD_SAFETY__BREAKER_ALARMS_SHARE": "0.3",
        "ALARMD_SAFETY__BREAKER_CALM_S": f"{_CALM_S:g}",
        "ALARMD_SAFETY__BREAKER_MINIMUM": "20",
    }
    times = 1 if stage.short else 10
    complaints: list[str] = []
    with stage.scene(machines=["vm-0"], environ=environ) as scene:
        for number in range(_CROWD):
            scene.watch(f"grow-{number}", "vm-0", twice=False)
            scene.watch(f"shrink-{number}", "vm-0", operator="lt", twice=False)
        with scene.load.running():
            # They all begin at once, too.
            with scene.faults.during("everything begins at once"):
                scene.await_quiet()
            for _ in range(times):
                pause(2 * _CALM_S)
                with scene.faults.during("everything changes at once"):
                    # Busy first, so that groups grow, and then idle, so that they would shrink.
                    for _turn in (ALARM, OK):
                        turned_s = time.monotonic()
                        scene.load.turn("vm-0")
                        scene.await_quiet()
                    complaints += _too_soon(scene, turned_s)
            findings = scene.findings()
        if "breaker_opened" not in scene.alarmd.log:
            complaints.append("the breaker has never opened: the case has shown nothing")
    findings.complaints += complaints
    return Outcome(injections=2 * times, findings=findings)


def _too_soon(scene: Scene, turned_s: float) -> list[str]:
    """Nothing may have shrunk before the breaker could close."""
    soon = [
        entry.path
        for entry in scene.journal.entries
        if turned_s < entry.at_s < turned_s + _CALM_S - _SLACK_S and entry.path.startswith("/shrink-")
    ]
    return [f"{path} was called while everything changed" for path in soon if path.endswith("/alarm")]


CASES = (
    Case(name="gone", title="a receiver answers 410", play=_gone),
    Case(
        name="breaker",
        title="everything changes at once, and nothing shrinks meanwhile",
        play=_everything_at_once,
        lasts_s=130.0,
    ),
)
