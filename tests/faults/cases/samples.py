# SPDX-License-Identifier: Apache-2.0
"""Samples that are nonsense, come twice or late, and sources that die."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.faults.case import Case, Outcome
from tests.faults.load import PUSH_S
from tests.faults.outage import pause
from tests.faults.records import Sample
from tests.faults.scene import Scene, Stage
from tests.faults.watches import ALARM, BLIND, HIGH, LOW
from tests.support.daemon import wait_until

_SHORT_S, _LONG_S = 6.0, 60.0
#: What no gauge ever is; as JSON has no words for it, as Python's and others' writers put it.
_NONSENSE = ("NaN", "Infinity", "-Infinity", "1e999", '"NaN"', "null", "true", '"ten"')
#: For how long an alarm of the dying source waits for samples.
_LATENESS_S = 2.0


def _play(stage: Stage) -> Outcome:
    """Push nonsense, copies and latecomers among the good samples, at the values that would do most harm."""
    with stage.scene() as scene:
        scene.watch_all()
        with scene.running(), _noise(scene, seed=stage.seed) as noise:
            pause(_SHORT_S if stage.short else _LONG_S)
            noise.stop()
            findings = scene.findings()
            findings.complaints += noise.complaints
    return Outcome(injections=noise.count, findings=findings)


class _Noise:
    """Pushes what must not count."""

    def __init__(self, scene: Scene, *, seed: int) -> None:
        self._scene = scene
        self._random = random.Random(seed)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="noise", daemon=True)
        self._thread.start()
        self.count = 0
        self.complaints: list[str] = []

    def stop(self) -> None:
        """Push no more."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(PUSH_S / 2):
            machine = self._random.choice(self._scene.machines)
            good = self._scene.samples.of(machine)
            match self._random.randrange(3):
                case 0:
                    self._push_nonsense(machine)
                case 1 if good:
                    # Word for word what was accepted before.
                    self._push([_wire(each) for each in good[-5:]])
                case 2 if good:
                    # Older than anything that the window still takes in, and as far off as can be.
                    late = good[-1].timestamp_s - 30 - self._random.uniform(0, 3600)
                    self._push([{"metric": "cpu_util", "resource_id": machine, "value": 1e300, "timestamp": late}])

    def _push_nonsense(self, machine: str) -> None:
        value = self._random.choice(_NONSENSE)
        body = (
            f'{{"samples": [{{"metric": "cpu_util", "resource_id": "{machine}", "value": {value}, '
            f'"timestamp": {time.time():.3f}}}]}}'
        )
        response = self._post(data=body, headers={"content-type": "application/json"})
        refused = response.status_code == 400 or (response.status_code == 202 and response.json()["accepted"] == 0)
        if not refused:
            self.complaints.append(f"the value {value} was accepted: {response.status_code} {response.text}")

    def _push(self, samples: list[dict[str, Any]]) -> None:
        response = self._post(json={"samples": samples})
        if response.status_code != 202:
            self.complaints.append(f"{samples} was refused: {response.status_code} {response.text}")

    def _post(self, **options: Any) -> requests.Response:
        self.count += 1
        return requests.post(f"{self._scene.alarmd.url}/v3/samples", timeout=10, **options)


@contextmanager
def _noise(scene: Scene, *, seed: int) -> Iterator[_Noise]:
    noise = _Noise(scene, seed=seed)
    try:
        yield noise
    finally:
        noise.stop()


def _wire(sample: Sample) -> dict[str, Any]:
    return {
        "metric": "cpu_util",
        "resource_id": sample.resource_id,
        "value": sample.value,
        "timestamp": sample.timestamp_s,
    }


def _source_dies(stage: Stage) -> Outcome:
    """Every machine falls silent at once, busy ones and idle ones, and comes back as it was.

    Whoever read silence as zero would tell idle machines' alarms, which shrink groups, to fire.
    """
    times = 1 if stage.short else 10
    with stage.scene(lateness_s=_LATENESS_S) as scene:
        scene.watch_all()
        with scene.running():
            scene.load.stop_flipping()
            scene.await_quiet()
            complaints: list[str] = []
            for _ in range(times):
                # One is idle and two are busy, or the other way round.
                _turn(scene, stage.random.choice(scene.machines))
                scene.await_quiet()
                before = _states(scene)
                with scene.faults.during("the source is dead"):
                    scene.load.silence(scene.machines)
                    pause(_LATENESS_S + 4.0)
                    dead = _states(scene)
                    scene.load.silence()
                scene.await_quiet()
                complaints += _compare(before, dead, _states(scene))
            findings = scene.findings()
            findings.complaints += complaints
        shrinking = [entry for entry in scene.journal.entries if entry.change == (BLIND, ALARM)]
        findings.complaints += [
            f"{entry.path} was told to shrink without a sample"
            for entry in shrinking
            if entry.path.endswith("-idle/alarm") and not _has_sample_before(scene, entry.path, entry.at_s)
        ]
    return Outcome(injections=times * len(scene.machines), findings=findings)


def _turn(scene: Scene, machine: str) -> None:
    """Change a load and wait until the change is accepted: that states have been told before proves nothing here."""
    before = scene.samples.of(machine)[-1].value
    scene.load.turn(machine)
    wait_until(lambda: scene.samples.of(machine)[-1].value != before, what=f"a new load of {machine}")


def _states(scene: Scene) -> dict[str, str]:
    states = scene.states()
    return {watch.name: states[watch.alarm_id] for watch in scene.watches}


def _compare(before: dict[str, str], dead: dict[str, str], after: dict[str, str]) -> list[str]:
    complaints = [f"{name} was {state} while its source was dead" for name, state in dead.items() if state != BLIND]
    if before != after:
        complaints.append(f"states were {before} before the source died and {after} when it had come back")
    return complaints


def _has_sample_before(scene: Scene, path: str, at_s: float) -> bool:
    """Return whether the machine of an alarm on idleness was idle in the last seconds before a webhook came."""
    machine = path.removeprefix("/").removesuffix("-idle/alarm")
    recent = [each for each in scene.samples.of(machine) if at_s - 3.0 < each.accepted_s < at_s]
    return any(each.value == LOW for each in recent) and not any(each.value == HIGH for each in recent[-1:])


CASES = (
    Case(name="bad-samples", title="NaN, infinite, copied and late samples", play=_play),
    Case(name="dead-source", title="the source dies (0 of N machines) and comes back", play=_source_dies),
)
