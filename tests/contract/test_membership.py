# SPDX-License-Identifier: Apache-2.0
"""What every membership promises; and what the one over several hosts does when members and the coordinator go."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from threading import Event

import pytest

from alarmd.cluster.membership import Membership
from alarmd.cluster.solo import SoloMembership
from alarmd.cluster.tooz_membership import ToozMembership
from alarmd.errors import SettingsError
from alarmd.model.shard import all_shards
from tests.support import member
from tests.support.servers import RedisServer

DEADLINE_S = 20.0
MEMBERSHIP_TIMEOUT_S = 1


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        Event().wait(0.01)


def _url(redis_url: str) -> str:
    return f"{redis_url}?membership_timeout={MEMBERSHIP_TIMEOUT_S}&timeout=2"


def _join(redis_url: str, name: str) -> ToozMembership:
    return ToozMembership(_url(redis_url), name, interval_s=0.05)


def _are_shared_out(*members: Membership) -> bool:
    shares = [member.owned() for member in members]
    return sum(map(len, shares)) == len(all_shards()) and frozenset().union(*shares) == all_shards()


@pytest.fixture(params=["solo", "tooz"])
def three(request: pytest.FixtureRequest) -> Iterator[list[Membership]]:
    """Three members of each kind that have just joined."""
    with ExitStack() as stack:
        members: list[Membership] = []
        for index in range(3):
            if request.param == "solo":
                members.append(SoloMembership(index=index, count=3))
            else:
                members.append(_join(request.getfixturevalue("redis_url"), f"worker-{index}"))
            stack.enter_context(closing(members[-1]))
        yield members


def test_members_share_out_the_shards(three: list[Membership]) -> None:
    """Once settled, every shard is owned by exactly one, and everybody owns some."""
    _wait_until(lambda: all(one.owned() for one in three) and _are_shared_out(*three))

    for one in three:
        assert one.owned() is one.owned()


def test_member_that_left_owns_nothing(three: list[Membership]) -> None:
    """A closed membership owns no shard, and may be closed again."""
    three[0].close()
    three[0].close()

    assert three[0].owned() == frozenset()


@pytest.mark.parametrize(("index", "count"), [(-1, 2), (2, 2), (0, 0)])
def test_solo_checks_its_numbers(index: int, count: int) -> None:
    """There is no third worker among two."""
    with pytest.raises(ValueError, match="there is no worker"):
        SoloMembership(index=index, count=count)


def test_leaving_hands_over(redis_url: str) -> None:
    """When one member leaves, the other takes over its shards without waiting for a time-out."""
    with closing(_join(redis_url, "one")) as one, closing(_join(redis_url, "two")) as two:
        _wait_until(lambda: _are_shared_out(one, two))
        two.close()
        _wait_until(lambda: one.owned() == all_shards())


def test_shards_of_a_killed_member_are_taken_over(redis_url: str) -> None:
    """A member that dies without a word is taken over after the membership time-out; and it may come back."""
    command = [sys.executable, member.__file__, _url(redis_url), "other"]
    with closing(_join(redis_url, "one")) as one:
        for _ in range(2):
            other = subprocess.Popen(command, stdout=subprocess.PIPE)
            _wait_until(lambda: 0 < len(one.owned()) < len(all_shards()))
            other.kill()
            other.communicate()
            _wait_until(lambda: one.owned() == all_shards())


def test_shards_are_kept_while_the_coordinator_is_away(redis_server: RedisServer, redis_url: str) -> None:
    """A member keeps what it had while Redis is away, and joins again when it is back, even if all was forgotten."""
    with closing(_join(redis_url, "one")) as one, closing(_join(redis_url, "two")) as two:
        _wait_until(lambda: bool(one.owned() and two.owned()) and _are_shared_out(one, two))
        owned = one.owned()
        redis_server.stop()
        try:
            Event().wait(2 * MEMBERSHIP_TIMEOUT_S)
            kept = one.owned()
        finally:
            redis_server.start()
        _wait_until(lambda: redis_server.key_count() >= 3)
        _wait_until(lambda: _are_shared_out(one, two))

        assert kept == owned


def test_member_that_starts_without_a_coordinator(redis_server: RedisServer, redis_url: str) -> None:
    """A member that starts while Redis is away owns nothing, and joins once it is there."""
    redis_server.stop()
    with closing(_join(redis_url, "one")) as one:
        try:
            owned = one.owned()
        finally:
            redis_server.start()
        _wait_until(lambda: one.owned() == all_shards())

    assert owned == frozenset()


@pytest.mark.parametrize(
    ("library", "module", "extra"),
    [("tooz", "tooz_membership", "coordination"), ("redis", "redis_doorbell", "redis")],
)
def test_missing_library_is_named(library: str, module: str, extra: str) -> None:
    """Without the library the error says how to get it."""
    script = f"import sys; sys.modules[{library!r}] = None; import alarmd.cluster.{module}"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert f"pip install 'alarmd[{extra}]'" in ended.stderr


@pytest.mark.parametrize("url", ["postgresql://host/db", "nonsense://host"])
def test_coordinator_that_cannot_be_used(url: str) -> None:
    """A coordinator without groups, or one that nobody knows, is refused with what to use."""
    with pytest.raises(SettingsError, match=r"Use redis or etcd3\+http"):
        ToozMembership(url, "one")
