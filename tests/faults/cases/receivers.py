# SPDX-License-Identifier: Apache-2.0
"""Receivers that misbehave for a while, all at the same time, beside one that does not."""

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from tests.faults import behaviours
from tests.faults.behaviours import Behaviour
from tests.faults.case import BOTH, Case, Outcome
from tests.faults.journal import Entry, Journal
from tests.faults.oracle import judge
from tests.faults.scene import Scene, Stage

#: For how long they misbehave.
_SHORT_S, _LONG_S = 5.0, 60.0
#: By how much a good receiver's webhooks may be late although others misbehave.
_UNDISTURBED_S = 2.0

#: What a receiver may say of when to come back: past, present, far future, and nonsense.
_RETRY_AFTER = ("0", "-5", "1.5", "soon", "", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT")
_FAR = "Fri, 31 Dec 9999 23:59:59 GMT"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """One way to misbehave."""

    name: str
    title: str
    behave: Callable[[], Behaviour]


def _odd_answers() -> Callable[[], Behaviour]:
    values = itertools.cycle((*_RETRY_AFTER, _FAR))
    lock = threading.Lock()

    def behave() -> Behaviour:
        with lock:
            return behaviours.status(429, {"retry-after": next(values)})

    return behave


TROUBLES = (
    _Trouble(name="hangs", title="a receiver hangs", behave=behaviours.hangs),
    _Trouble(
        name="silent",
        title="a receiver takes it and never says so",
        behave=lambda: behaviours.hangs(takes=True),
    ),
    _Trouble(name="drips", title="a receiver answers byte by byte", behave=behaviours.drips),
    _Trouble(name="endless", title="a receiver's answer has no end", behave=behaviours.endless_body),
    _Trouble(name="broken", title="a receiver answers 500 for a while", behave=lambda: behaviours.status(500)),
    _Trouble(name="busy", title="a receiver answers 429 with odd `Retry-After`", behave=_odd_answers()),
    _Trouble(name="resets", title="a receiver resets connections", behave=behaviours.resets),
)


class _Spell:
    """A receiver's time of trouble."""

    def __init__(self, journal: Journal, trouble: _Trouble) -> None:
        self._journal = journal
        self._trouble = trouble
        self.is_on = False
        self.injections = 0
        journal.choose = self._choose

    def _choose(self, entry: Entry) -> Behaviour:
        if not self.is_on:
            return self._journal.linger(entry)
        self.injections += 1
        return self._trouble.behave()


def _play(stage: Stage) -> list[Outcome]:
    lasts_s = _SHORT_S if stage.short else _LONG_S
    machines = [*(trouble.name for trouble in TROUBLES), "good"]
    # A receiver may ask to be left alone for longer than it is in trouble; the operator says how long that may be.
    environ = {"ALARMD_NOTIFIER__SCHEMES__HTTP__MAX_RETRY_AFTER_S": "2"}
    with stage.scene(machines=machines, environ=environ) as scene, ExitStack() as stack:
        spells = []
        for trouble in TROUBLES:
            journal = stack.enter_context(scene.receiver(trouble.name))
            _watch(scene, trouble.name, journal.url)
            spells.append(_Spell(journal, trouble))
        _watch(scene, "good", scene.journal.url)
        with scene.running():
            start_s = time.monotonic()
            for spell in spells:
                spell.is_on = True
            with scene.faults.during("receivers misbehave", is_outside=True):
                threading.Event().wait(lasts_s)
                for spell in spells:
                    spell.is_on = False
            span_s = time.monotonic() - start_s
            complaints = scene.come_to_rest()
            outcomes = [
                _outcome(scene, trouble.name, trouble.title, spell.injections)
                for trouble, spell in zip(TROUBLES, spells, strict=True)
            ]
            good = _outcome(scene, "good", "… and one beside them that does its work", 0)
    _judge_good(good, span_s)
    good.findings.complaints[:0] = complaints
    return [*outcomes, good]


def _watch(scene: Scene, machine: str, url: str) -> None:
    scene.watch(f"{machine}-high", machine, url=url)
    scene.watch(f"{machine}-low", machine, url=url, operator="lt")


def _outcome(scene: Scene, machine: str, title: str, injections: int) -> Outcome:
    evidence = scene.evidence()
    mine = [watch for watch in evidence.watches if watch.resource_id == machine]
    findings = judge(replace(evidence, watches=mine))
    if machine != "good" and not injections:
        findings.complaints.append("nothing came while it was in trouble: the case has shown nothing")
    return Outcome(injections=injections, findings=findings, title=title)


def _judge_good(good: Outcome, span_s: float) -> None:
    if good.findings.worst_lateness_s > _UNDISTURBED_S:
        good.findings.complaints.append(
            f"its webhooks were up to {good.findings.worst_lateness_s:.1f} s late on account of the others"
        )
    # It changes about every other second when nothing holds it up.
    if good.findings.transitions < span_s / 4:
        good.findings.complaints.append(f"it had only {good.findings.transitions} transitions in {span_s:.0f} s")


CASES = (Case(name="receivers", title="receivers misbehave", play=_play, databases=BOTH),)
