# SPDX-License-Identifier: Apache-2.0
"""Names of receivers that cannot be looked up, are looked up without an answer, or move."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.faults import behaviours
from tests.faults.behaviours import Behaviour
from tests.faults.case import Case, Outcome
from tests.faults.journal import Entry
from tests.faults.outage import pause
from tests.faults.scene import Scene, Stage
from tests.support.daemon import wait_until
from tests.support.nameserver import NameServer, asked_by, name_server

NAME = "receiver.test"
_SHORT_S, _LONG_S = 4.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    kind: str
    title: str


_TROUBLES = (
    _Trouble(kind="fails", title="the name server fails"),
    _Trouble(kind="unknown", title="the name server knows the receiver no more"),
    _Trouble(kind="hangs", title="the name server is silent"),
)


def _play(stage: Stage) -> Outcome:
    """Break the name server in each way for a while."""
    lasts_s = _SHORT_S if stage.short else _LONG_S
    with _named_scene(stage) as (scene, server):
        with scene.running():
            for trouble in _TROUBLES:
                pause(1.0)
                with scene.faults.during(trouble.title):
                    server.trouble = trouble.kind
                    pause(lasts_s)
                    server.trouble = ""
            pause(1.0)
            findings = scene.findings()
        if not server.troubled:
            findings.complaints.append("nobody asked while it was in trouble: the case has shown nothing")
    return Outcome(injections=server.troubled, findings=findings)


def _move(stage: Stage) -> Outcome:
    """Have the receiver move to another address; the old one turns everybody away from then on."""
    times = 2 if stage.short else 20
    with _named_scene(stage) as (scene, server), ExitStack() as stack, scene.running():
        port = int(scene.journal.url.rpartition(":")[2])
        for number in range(1, times + 1):
            pause(2.0)
            address = f"127.0.1.{number}"
            journal = stack.enter_context(scene.receiver(f"at-{number}", address=address, port=port))
            server.set(NAME, address)
            scene.load.journals[-2].choose = _turn_away
            scene.faults.note(f"{NAME} moved to {address}")
            wait_until(lambda journal=journal: journal.entries, what=f"webhooks at {address}")  # type: ignore[misc]
        findings = scene.findings()
    return Outcome(injections=times, findings=findings)


def _turn_away(entry: Entry) -> Behaviour:
    del entry
    return behaviours.status(503)


@contextmanager
def _named_scene(stage: Stage) -> Iterator[tuple[Scene, NameServer]]:
    with name_server() as server:
        server.set(NAME, "127.0.0.1")
        with stage.scene(command=asked_by(stage.folder, server)) as scene:
            url = scene.journal.url.replace("127.0.0.1", NAME)
            for machine in scene.machines:
                scene.watch(f"{machine}-high", machine, url=url)
                scene.watch(f"{machine}-low", machine, url=url, operator="lt")
            yield scene, server


CASES = (
    Case(
        name="names",
        title="the receiver's name cannot be looked up, for three reasons",
        play=_play,
        in_short=(),
        programs=("unshare",),
        as_root=True,
    ),
    Case(
        name="moving-name",
        title="the receiver moves to another address",
        play=_move,
        programs=("unshare",),
        as_root=True,
        in_short=(),
    ),
)
