# SPDX-License-Identifier: Apache-2.0
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from threading import Event, stack_size

import pytest

from alarmd.notifiers.resolver import Resolver
from alarmd.notifiers.targets import IPAddress
from tests.support.daemon import wait_until

ADDRESS = IPv4Address("192.0.2.1")


def test_a_name_server_that_is_silent_costs_no_more_than_the_deadline() -> None:
    """The caller gets its time-out although the lookup goes on."""
    end = Event()

    def silent(name: str) -> tuple[IPAddress, ...]:
        end.wait(30)
        raise OSError(name)

    try:
        with pytest.raises(TimeoutError):
            Resolver(silent).resolve("slow.example", timeout_s=0.05)
    finally:
        end.set()


def test_a_name_is_looked_up_once_at_a_time() -> None:
    """Many who ask for one name at one time share one lookup; who asks later gets a new one."""
    begun, go = Event(), Event()
    asked: list[str] = []

    def lookup(name: str) -> tuple[IPAddress, ...]:
        asked.append(name)
        begun.set()
        go.wait(10)
        return (ADDRESS,)

    resolver = Resolver(lookup)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(resolver.resolve, "heat.example", timeout_s=10) for _ in range(8)]
        assert begun.wait(10)
        # Those that have not asked yet find the first lookup still running or its address: all get the answer.
        go.set()
        answers = {future.result(10) for future in waiting}
    resolver.resolve("heat.example", timeout_s=10)

    assert answers == {(ADDRESS,)}
    assert 2 <= len(asked) <= 9


def test_who_asks_after_an_answer_gets_a_lookup_of_their_own() -> None:
    """An answer that has been given is not given again: the name may have moved since."""
    given = iter(IPv4Address("192.0.2.0") + each for each in range(200))
    resolver = Resolver(lambda _: (next(given),))

    answers = [resolver.resolve("heat.example", timeout_s=10)[0] for _ in range(200)]

    assert sorted(set(answers)) == answers
    assert len(answers) == 200


def test_many_silent_names_are_bounded() -> None:
    """A flood of names whose servers are silent ends in refusals, not in a flood of threads."""
    end = Event()

    def silent(name: str) -> tuple[IPAddress, ...]:
        end.wait(30)
        raise OSError(name)

    resolver = Resolver(silent)
    try:
        for number in range(256):
            with pytest.raises(TimeoutError):
                resolver.resolve(f"slow{number}.example", timeout_s=0.001, project_id=f"p{number % 20}")
        with pytest.raises(TimeoutError, match="256 other names"):
            resolver.resolve("one.too.many.example", timeout_s=10, project_id="new")
    finally:
        end.set()


def test_a_project_whose_names_are_silent_keeps_nobody_else_from_asking() -> None:
    """It has a share of the lookups, which it gets back as they end."""
    end = Event()

    def lookup(name: str) -> tuple[IPAddress, ...]:
        if name.startswith("slow"):
            end.wait(30)
        return (ADDRESS,)

    resolver = Resolver(lookup)
    try:
        for number in range(16):
            with pytest.raises(TimeoutError):
                resolver.resolve(f"slow{number}.example", timeout_s=0.001, project_id="noisy")
        with pytest.raises(TimeoutError, match="16 other names of this project"):
            resolver.resolve("good.example", timeout_s=10, project_id="noisy")

        assert (ADDRESS,) == resolver.resolve("good.example", timeout_s=10, project_id="quiet")
        assert (ADDRESS,) == resolver.resolve("other.example", timeout_s=10, project_id="quiet")
    finally:
        end.set()
    wait_until(lambda: _is_served(resolver, "noisy"), what="the share to be given back")


def _is_served(resolver: Resolver, project_id: str) -> bool:
    try:
        return bool(resolver.resolve("good.example", timeout_s=10, project_id=project_id))
    except TimeoutError:
        return False


def test_a_lookup_that_cannot_begin_is_forgotten() -> None:
    """While the system gives no thread away names cannot be looked up; after that they can, and no share is lost."""
    resolver = Resolver(lambda _: (ADDRESS,))
    usual = stack_size(2**46)
    try:
        for number in range(20):
            with pytest.raises(OSError, match="cannot be looked up: can't start new thread"):
                resolver.resolve(f"heat{number % 2}.example", timeout_s=10, project_id="p1")
    finally:
        stack_size(usual)

    assert (ADDRESS,) == resolver.resolve("heat0.example", timeout_s=10, project_id="p1")
    assert (ADDRESS,) == resolver.resolve("heat1.example", timeout_s=10, project_id="p1")


def test_a_lookup_that_breaks_off_is_an_ordinary_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is told, and the next one gets a lookup of their own, whatever has ended the one before."""
    told, is_broken = Event(), Event()
    monkeypatch.setattr("threading.excepthook", lambda _: told.set())
    is_broken.set()

    def lookup(_: str) -> tuple[IPAddress, ...]:
        if is_broken.is_set():
            raise MemoryError
        return (ADDRESS,)

    resolver = Resolver(lookup)
    with pytest.raises(OSError, match="broke off"):
        resolver.resolve("heat.example", timeout_s=10)
    is_broken.clear()

    assert told.wait(10)
    assert (ADDRESS,) == resolver.resolve("heat.example", timeout_s=10)


def test_a_name_that_cannot_exist_is_an_ordinary_failure() -> None:
    """A label too long for the name system is reported like a name that is not there."""
    with pytest.raises(OSError, match="not valid"):
        Resolver().resolve(f"{'a' * 64}.example", timeout_s=10)
