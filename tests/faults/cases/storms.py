# SPDX-License-Identifier: Apache-2.0
"""Very many webhooks at once, of which those of others must not suffer."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.faults import behaviours
from tests.faults.case import Case, Outcome
from tests.faults.oracle import judge
from tests.faults.outage import pause
from tests.faults.scene import Scene, Stage
from tests.faults.watches import ALARM, OK

#: How many alarms watch one machine: those of everybody, and those of one tenant.
_STORM_SHORT, _STORM_LONG = 1_000, 10_000
_TENANT_LONG = 50_000
#: How long the receiver of the many takes for each.
_SLOW_S = 0.05
#: By how much others may be late meanwhile; their loads stay for longer, since what is over by then need not be seen.
_UNDISTURBED_S, _STAYS_S = 5.0, 6.0
#: How long it all may take at most.
_PATIENCE_SHORT_S, _PATIENCE_LONG_S = 90.0, 1_200.0


def _storm(stage: Stage) -> Outcome:
    """Have them all change in one tick; the one beside them has a receiver of its own."""
    return _play(stage, count=_STORM_SHORT if stage.short else _STORM_LONG, projects={})


def _tenant(stage: Stage) -> Outcome:
    """Have them belong to one tenant, and the one beside them to another; both have the same receiver."""
    count = _STORM_SHORT if stage.short else _TENANT_LONG
    return _play(stage, count=count, projects={"crowded": "noisy", "calm": "quiet"})


def _play(stage: Stage, *, count: int, projects: dict[str, str]) -> Outcome:
    patience_s = _PATIENCE_SHORT_S if stage.short else _PATIENCE_LONG_S
    with (
        stage.scene(machines=("crowded", "calm"), projects=projects, deadline_s=patience_s) as scene,
        scene.receiver("slow") as slow,
    ):
        slow.choose = lambda _entry: behaviours.takes(after_s=_SLOW_S)
        _watch_crowd(scene, slow.url, count)
        for name, operator in (("calm-high", "gt"), ("calm-low", "lt")):
            scene.watch(name, "calm", url=slow.url if projects else scene.journal.url, operator=operator)
        stage.tell(f"{count:,} alarms")
        with scene.load.running():
            scene.await_quiet(deadline_s=patience_s)
            stage.tell("all have told of their first state")
            scene.load.turn("crowded")
            for _ in range(4 if stage.short else 15):
                scene.load.turn("calm")
                pause(_STAYS_S)
            complaints = scene.come_to_rest(deadline_s=patience_s)
            evidence = scene.evidence()
    findings = judge(evidence)
    beside = judge(replace(evidence, watches=[each for each in evidence.watches if each.resource_id == "calm"]))
    findings.complaints[:0] = complaints
    # Those of the many take as long as their receiver does; that is no lateness of alarmd's.
    findings.complaints = [each for each in findings.complaints if "after it could have" not in each]
    findings.worst_lateness_s = beside.worst_lateness_s
    if beside.worst_lateness_s > _UNDISTURBED_S:
        findings.complaints.append(f"webhooks beside the storm were up to {beside.worst_lateness_s:.1f} s late")
    return Outcome(injections=count, findings=findings)


def _watch_crowd(scene: Scene, url: str, count: int) -> None:
    def create(number: int) -> None:
        scene.watch(f"crowd-{number}", "crowded", url=url, states=(OK, ALARM), twice=False)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(count)))


CASES = (
    Case(
        name="storm",
        title="so many alarms change in one tick, their receiver is slow",
        play=_storm,
        alone=True,
        in_short=(),
    ),
    Case(
        name="tenant",
        title="a tenant has so many alarms that change, beside one with two",
        play=_tenant,
        alone=True,
        in_short=(),
    ),
)
