# SPDX-License-Identifier: Apache-2.0
"""Tenants who try to have webhooks sent where they must not go: every spelling of an address, names, a redirect."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from typing import Any

import requests

from tests.faults import behaviours
from tests.faults.behaviours import Behaviour
from tests.faults.case import Case, Outcome
from tests.faults.journal import Entry
from tests.faults.outage import pause
from tests.faults.scene import Scene, Stage
from tests.support.nameserver import NameServer, asked_by, name_server

#: Where a service of the operator listens, which is in a network that the operator has forbidden.
INNER = "127.6.6.6"
_FORBIDDEN = "127.6.6.0/24"
#: Refused wherever alarmd runs.
_METADATA = "169.254.169.254"
_GOOD = "127.0.0.1"


def spellings(address: str) -> list[str]:
    """Return ways to write an address that some reader of URLs or other understands."""
    number = int(IPv4Address(address))
    a, b, c, d = IPv4Address(address).packed
    high, low = number >> 16, number & 0xFFFF
    return [
        address,
        f"{address}.",
        str(number),
        f"{number:#x}",
        f"{number:#o}".replace("0o", "0"),
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{low}",
        f"{a:#x}.{b}.0{low:o}",
        f"{number + (1 << 32)}",
        f"[::ffff:{address}]",
        f"[::ffff:{high:x}:{low:x}]",
        f"[0:0:0:0:0:ffff:{high:x}:{low:x}]",
        f"[::{address}]",
        f"[64:ff9b::{address}]",
        f"[2002:{high:x}:{low:x}::]",
        f"[2001:0:{high:x}:{low:x}::]",
        f"good@{address}",
        f"{_GOOD}@{address}",
        f"{_GOOD}#@{address}",
        f"{address}#@{_GOOD}",
        f"{_GOOD}\\@{address}",
        f"{address}%00.test",
        f"{a}%2e{b}.{c}.{d}",
        address.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)}),
        f"{a}。{b}。{c}。{d}",
    ]


class _Tripwire:
    """Listens where nobody may come."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server((INNER, port))
        self._listener.settimeout(0.1)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="tripwire", daemon=True)
        self.connections = 0
        self._thread.start()

    def _accept(self) -> None:
        while not self._end.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                self.connections += 1
                connection.close()

    def close(self) -> None:
        """Stop listening."""
        self._end.set()
        self._thread.join()
        self._listener.close()


def _play(stage: Stage) -> Outcome:
    with _guarded_scene(stage) as (scene, server, wire):
        scene.watch("good-high", "vm-0")
        port = int(scene.journal.url.rpartition(":")[2])
        scene.journal.choose = _redirecting(scene, port)
        rebinding = _Rebinding()
        server.set("inner.test", INNER)
        server.set("both.test", _GOOD, INNER)
        server.ask("rebinding.test", rebinding.answer)
        hosts = [spelled for address in (INNER, _METADATA) for spelled in spellings(address)]
        names = ["inner.test", "INNER.test.", "both.test", "rebinding.test"]
        urls = [f"http://{host}:{port}/inner" for host in (*hosts, *names)]
        urls += [f"{scene.journal.url}/redirect", f"//{INNER}:{port}/inner", f"http:/{INNER}:{port}/inner"]
        refused = sum(not _create(scene, number, url) for number, url in enumerate(urls))
        with scene.running():
            for _ in range(3 if stage.short else 20):
                pause(1.5)
                rebinding.is_away = not rebinding.is_away
            # Of these alarms nothing is asked but that nobody comes where nobody may.
            findings = scene.findings()
            findings.complaints += _complaints(scene, wire, refused=refused, least=len(hosts) // 2)
    return Outcome(injections=len(urls), findings=findings)


class _Rebinding:
    """A name whose owner answers as it suits him."""

    def __init__(self) -> None:
        self.is_away = False

    def answer(self) -> Sequence[str]:
        """Return the addresses of now."""
        return [INNER if self.is_away else _GOOD]


def _redirecting(scene: Scene, port: int) -> Any:
    def choose(entry: Entry) -> Behaviour:
        if entry.path == "/redirect":
            return behaviours.status(302, {"location": f"http://{INNER}:{port}/inner"})
        return scene.journal.linger(entry)

    return choose


def _create(scene: Scene, number: int, url: str) -> bool:
    """Create an alarm with a target; return whether alarmd has taken it."""
    rule = {"meter_name": "cpu_util", "threshold": 50.0, "period": 1, "evaluation_periods": 1}
    rule["query"] = [{"field": "resource_id", "op": "eq", "value": "vm-0"}]
    body = {
        "name": f"tenant-{number}",
        "type": "threshold",
        "threshold_rule": rule,
        "alarm_actions": [url],
        "ok_actions": [url],
    }
    response = requests.post(f"{scene.alarmd.url}/v2/alarms", json=body, timeout=10)
    assert response.status_code in {201, 400}, f"{url}: {response.status_code} {response.text}"
    if response.status_code == 400:
        return False
    scene.others.add(response.json()["alarm_id"])
    return True


def _complaints(scene: Scene, wire: _Tripwire, *, refused: int, least: int) -> list[str]:
    complaints = []
    if wire.connections:
        complaints.append(f"{wire.connections} connections were made to {INNER}")
    if refused < least:
        complaints.append(f"only {refused} targets were refused when they were written")
    delivered = [each for each in scene.deliveries() if each["alarm_id"] in scene.others]
    wrongly = {each["last_error"] for each in delivered if each["state"] == "buried"}
    if not any(INNER in error for error in wrongly):
        complaints.append(f"no delivery was refused by the address that its name has; errors: {sorted(wrongly)[:5]}")
    return complaints


@contextmanager
def _guarded_scene(stage: Stage) -> Iterator[tuple[Scene, NameServer, _Tripwire]]:
    environ = {"ALARMD_NOTIFIER__DENY_NETWORKS": _FORBIDDEN}
    with (
        name_server() as server,
        stage.scene(machines=["vm-0"], command=asked_by(stage.folder, server), environ=environ) as scene,
    ):
        wire = _Tripwire(int(scene.journal.url.rpartition(":")[2]))
        try:
            yield scene, server, wire
        finally:
            wire.close()


CASES = (
    Case(
        name="forbidden-targets",
        title="targets in every spelling of forbidden addresses, and a rebinding name",
        play=_play,
        programs=("unshare",),
        as_root=True,
    ),
)
