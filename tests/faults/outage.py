# SPDX-License-Identifier: Apache-2.0
"""The usual course of a case: loads rise and fall, something is broken for a while, and everything recovers."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from tests.faults.case import Outcome
from tests.faults.scene import Scene, Stage
from tests.support.daemon import DEADLINE_S

#: Breaks something for as long as its block lasts.
Breakage: TypeAlias = Callable[[Stage, Scene], AbstractContextManager[object]]

#: How long everything runs well before, between and after, in the short form.
_WELL_S = 2.0


def pause(seconds: float) -> None:
    """Let things take their course."""
    threading.Event().wait(seconds)


def outages(
    stage: Stage,
    breakage: Breakage,
    *,
    what: str,
    lasts_s: float,
    times: int = 1,
    between_s: float = _WELL_S,
    **options: Any,
) -> Outcome:
    """Break something several times, each time for so many seconds; `options` are those of the scene."""
    patience_s = 2 * DEADLINE_S + lasts_s
    with stage.scene(deadline_s=patience_s, **options) as scene:
        scene.watch_all()
        with scene.running():
            for number in range(times):
                pause(between_s)
                with scene.faults.during(what), breakage(stage, scene):
                    pause(lasts_s)
                if number % 10 == 9:
                    stage.tell(f"{number + 1} times: {what}")
            pause(between_s)
            findings = scene.findings(deadline_s=patience_s)
        if "Traceback" in scene.alarmd.log:
            findings.complaints.append("alarmd has logged an error that it did not expect")
    return Outcome(injections=times, findings=findings)
