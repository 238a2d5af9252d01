# SPDX-License-Identifier: Apache-2.0
"""A clock that somebody sets, for alarmd and for whoever measures on the same machine."""

from tests.faults import behaviours
from tests.faults.behaviours import Behaviour
from tests.faults.case import Case, Outcome
from tests.faults.journal import Entry, Journal
from tests.faults.outage import pause
from tests.faults.scene import Scene, Stage
from tests.support.skewed_clock import SkewedClock

_HOUR_S = 3600.0
#: By how much the clock goes wrong, one after the other; each time it is set right after a while.
_STEPS_S = (0.5, -0.5, _HOUR_S, -_HOUR_S)
_SHORT_STEPS_S, _LONG_STEPS_S = _STEPS_S, _STEPS_S * 3
_SHORT_S, _LONG_S = 3.0, 30.0
#: For how long it is right in between.
_SHORT_WELL_S, _LONG_WELL_S = 3.0, 12.0
#: For how long the receiver is away before the clock is set, and after.
_AWAY_S = 1.5
#: Without circuits nothing gives way that was not tried, so whatever expires or is lost stands out.
_ALL_IS_TRIED = {"ALARMD_NOTIFIER__CIRCUIT_FAILURES": "0"}


def _play(stage: Stage) -> Outcome:
    """Set the clock wrong and right again, in each way; each time the receiver is away, and webhooks wait for it."""
    lasts_s, well_s = (_SHORT_S, _SHORT_WELL_S) if stage.short else (_LONG_S, _LONG_WELL_S)
    steps_s = _SHORT_STEPS_S if stage.short else _LONG_STEPS_S
    clock = SkewedClock(stage.folder)
    with stage.scene(environ={**clock.environ, **_ALL_IS_TRIED}, patient=False) as scene:
        scene.clock_is_set = True
        scene.watch_all()
        absence = _Absence(scene.journal)
        with scene.running():
            for step_s in steps_s:
                pause(well_s)
                with scene.faults.during(f"clock set by {step_s:+g} s"):
                    for skew_s in (step_s, 0.0):
                        with absence:
                            pause(_AWAY_S)
                            _set(scene, clock, skew_s)
                            pause(_AWAY_S)
                        if skew_s:
                            pause(lasts_s)
            pause(well_s)
            findings = scene.findings()
        findings.complaints += absence.complaints()
        if "Traceback" in scene.alarmd.log:
            findings.complaints.append("alarmd has logged an error that it did not expect")
    return Outcome(injections=2 * len(steps_s), findings=findings)


def _set(scene: Scene, clock: SkewedClock, skew_s: float) -> None:
    """Set the clock; whoever pushes goes by it too."""
    with scene.load.between_pushes():
        clock.set(skew_s)
        scene.load.skew_s = skew_s


class _Absence:
    """While it is entered, a receiver answers 503 only."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._is_on = False
        self._refused = 0
        self._times = self._in_vain = 0
        journal.choose = self._choose

    def __enter__(self) -> None:
        self._refused, self._is_on = 0, True

    def __exit__(self, *_: object) -> None:
        self._is_on = False
        self._times += 1
        self._in_vain += not self._refused

    def complaints(self) -> list[str]:
        """Say if it has shown nothing."""
        if 2 * self._in_vain <= self._times:
            return []
        return [
            f"nothing waited in {self._in_vain} of {self._times} times that the clock was set: this has shown little"
        ]

    def _choose(self, entry: Entry) -> Behaviour:
        if not self._is_on:
            return self._journal.linger(entry)
        self._refused += 1
        return behaviours.status(503)


CASES = (
    Case(
        name="clock",
        title="the clock is set by ±500 ms and ±1 h, and set right again",
        play=_play,
        lasts_s=620.0,
        in_short=(),
        programs=("cc",),
    ),
)
