# SPDX-License-Identifier: Apache-2.0
"""A clock that somebody sets, for alarmd and for whoever measures on the same machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.case import Case, Outcome
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


def _play(stage: Stage) -> Outcome:
    """Set the clock wrong and right again, in each way."""
    lasts_s, well_s = (_SHORT_S, _SHORT_WELL_S) if stage.short else (_LONG_S, _LONG_WELL_S)
    steps_s = _SHORT_STEPS_S if stage.short else _LONG_STEPS_S
    clock = SkewedClock(stage.folder)
    with stage.scene(environ=clock.environ, patient=False) as scene:
        scene.clock_is_set = True
        scene.watch_all()
        with scene.running():
            for step_s in steps_s:
                pause(well_s)
                with scene.faults.during(f"clock set by {step_s:+g} s"), _wrong(scene, clock, step_s):
                    pause(lasts_s)
            pause(well_s)
            findings = scene.findings()
        if "Traceback" in scene.alarmd.log:
            findings.complaints.append("alarmd has logged an error that it did not expect")
    return Outcome(injections=2 * len(steps_s), findings=findings)


@contextmanager
def _wrong(scene: Scene, clock: SkewedClock, skew_s: float) -> Iterator[None]:
    """Set the clock for as long as the block lasts; whoever pushes goes by it too."""
    with clock.wrong(skew_s):
        scene.load.skew_s = skew_s
        try:
            yield
        finally:
            scene.load.skew_s = 0.0


CASES = (
    Case(
        name="clock",
        title="the clock is set by ±500 ms and ±1 h, and set right again",
        play=_play,
        in_short=(),
        programs=("cc",),
    ),
)
