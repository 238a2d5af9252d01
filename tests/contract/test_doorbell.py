# SPDX-License-Identifier: Apache-2.0
"""What every doorbell promises."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.cluster.redis_doorbell import RedisDoorbell
from alarmd.errors import SettingsError
from tests.support import bell_ringer
from tests.support.servers import RedisServer

#: Long enough for a slow machine; a ring takes about a millisecond.
PROMPT_S = 5.0
#: How long to listen for what must not come.
SILENCE_S = 0.2


@dataclass
class House:
    """Makes doorbells that share a place, and processes that use it."""

    kind: str
    place: str
    doorbells: list[Doorbell] = field(default_factory=list)
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    def doorbell(self) -> Doorbell:
        doorbell = LocalDoorbell(Path(self.place)) if self.kind == "local" else RedisDoorbell(self.place)
        self.doorbells.append(doorbell)
        return doorbell

    def process(self, task: str, bell: Bell) -> "subprocess.Popen[str]":
        """Start another process that rings or listens; returns when it is ready to."""
        command = [sys.executable, bell_ringer.__file__, self.kind, self.place, task, bell]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        for doorbell in self.doorbells:
            doorbell.close()


@pytest.fixture(params=["local", "local, long path", "redis"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Each doorbell; the local one also in a directory whose path no unix socket can have."""
    if request.param == "redis":
        house = House("redis", request.getfixturevalue("redis_url"))
    else:
        place = tmp_path / ("long" * 40 if "long" in request.param else "bells")
        house = House("local", str(place))
    yield house
    house.close()


def test_ring_wakes_a_waiting_listener(house: House) -> None:
    """A thread that waits is woken promptly by a ring from another process."""
    ringer = house.process("ring", Bell.SAMPLES)
    listener = house.doorbell().listen(Bell.SAMPLES)
    assert ringer.stdin is not None
    started_s = time.monotonic()
    ringer.stdin.write("\n")
    rung = listener.wait(60.0)
    took_s = time.monotonic() - started_s
    listener.close()

    assert rung
    assert took_s < PROMPT_S


def test_ring_reaches_another_process(house: House) -> None:
    """A listener in another process hears, and so does a second one here."""
    other = house.process("listen", Bell.OUTBOX)
    listener = house.doorbell().listen(Bell.OUTBOX)
    house.doorbell().ring(Bell.OUTBOX)
    assert other.stdout is not None

    assert other.stdout.readline() == "rung\n"
    assert listener.wait(PROMPT_S)
    listener.close()


def test_rings_before_the_wait_count_as_one(house: House) -> None:
    """Rings that came while nobody waited wake the next wait at once, and only that one."""
    doorbell = house.doorbell()
    listener = doorbell.listen(Bell.SAMPLES)
    witness = doorbell.listen(Bell.ALARMS)
    for _ in range(1000):
        doorbell.ring(Bell.SAMPLES)
    doorbell.ring(Bell.ALARMS)
    witness.wait(PROMPT_S)
    first = listener.wait(PROMPT_S)
    # Over a network the last of the thousand may still be under way.
    while listener.wait(SILENCE_S):
        pass
    doorbell.ring(Bell.SAMPLES)
    after = listener.wait(PROMPT_S)
    listener.close()
    witness.close()

    assert first
    assert after


def test_silence(house: House) -> None:
    """Without a ring the wait ends after its timeout, not before."""
    listener = house.doorbell().listen(Bell.SAMPLES)
    started_s = time.monotonic()
    rung = listener.wait(SILENCE_S)
    took_s = time.monotonic() - started_s
    at_once = listener.wait(0.0)
    listener.close()

    assert not rung
    assert not at_once
    assert SILENCE_S * 0.9 <= took_s < PROMPT_S


def test_bells_are_separate(house: House) -> None:
    """A listener hears the bells it was made for and no others."""
    doorbell = house.doorbell()
    samples = doorbell.listen(Bell.SAMPLES)
    both = doorbell.listen(Bell.ALARMS, Bell.OUTBOX)
    doorbell.ring(Bell.OUTBOX)
    both_first = both.wait(PROMPT_S)
    doorbell.ring(Bell.ALARMS)
    both_again = both.wait(PROMPT_S)
    samples_first = samples.wait(SILENCE_S)
    for listener in (samples, both):
        listener.close()

    assert both_first
    assert both_again
    assert not samples_first


def test_dead_listener_harms_nobody(house: House) -> None:
    """After a listening process was killed, rings reach the others as before."""
    dead = house.process("listen", Bell.SAMPLES)
    dead.kill()
    dead.wait()
    doorbell = house.doorbell()
    listener = doorbell.listen(Bell.SAMPLES)
    for _ in range(3):
        doorbell.ring(Bell.SAMPLES)

    assert listener.wait(PROMPT_S)
    listener.close()


def test_close_wakes_the_waiter(house: House) -> None:
    """A thread that waits returns when its listener is closed, as do later waits."""
    listener = house.doorbell().listen(Bell.SAMPLES)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(listener.wait(600.0)))
    waiter.start()
    listener.close()
    waiter.join(PROMPT_S)

    assert not waiter.is_alive()
    assert answers == [False]
    assert not listener.wait(600.0)
    listener.close()


def test_ring_without_listeners(house: House) -> None:
    """Nobody has to listen, and a bell may be closed and rung."""
    doorbell = house.doorbell()
    doorbell.ring(Bell.SAMPLES)
    doorbell.close()
    doorbell.ring(Bell.SAMPLES)


def test_local_bell_leaves_no_sockets(tmp_path: Path) -> None:
    """Sockets go when a listener is closed, and those of dead processes with the next ring."""
    house = House("local", str(tmp_path))
    doorbell = house.doorbell()
    closed = doorbell.listen(Bell.SAMPLES)
    dead = house.process("listen", Bell.SAMPLES)
    sockets = list(tmp_path.iterdir())
    closed.close()
    dead.kill()
    dead.wait()
    doorbell.ring(Bell.SAMPLES)
    left = list(tmp_path.iterdir())
    house.close()

    assert len(sockets) == 2
    assert left == []


def test_local_ring_never_blocks(tmp_path: Path) -> None:
    """Rings to a listener that does not wait, however many, return at once."""
    house = House("local", str(tmp_path))
    doorbell = house.doorbell()
    sleeper = doorbell.listen(Bell.SAMPLES)
    for _ in range(2000):
        doorbell.ring(Bell.SAMPLES)

    assert sleeper.wait(0.0)
    assert not sleeper.wait(0.0)
    sleeper.close()
    house.close()


def test_redis_bell_is_silent_while_redis_is_away(redis_server: RedisServer, redis_url: str) -> None:
    """Without Redis nothing raises and waits time out; once it is back, listeners are woken, and rings ring."""
    house = House("redis", redis_url)
    doorbell = house.doorbell()
    listener = doorbell.listen(Bell.SAMPLES)
    redis_server.stop()
    try:
        doorbell.ring(Bell.SAMPLES)
        silent = listener.wait(SILENCE_S)
    finally:
        redis_server.start()
    woken = listener.wait(4 * PROMPT_S)
    doorbell.ring(Bell.SAMPLES)
    rung = listener.wait(4 * PROMPT_S)
    listener.close()
    house.close()

    assert not silent
    assert woken
    assert rung


def test_redis_url_that_cannot_be_read() -> None:
    """A wrong URL is refused without being shown."""
    with pytest.raises(SettingsError, match="has the form") as raised:
        RedisDoorbell("http://user:geheim@host")

    assert "geheim" not in str(raised.value)
