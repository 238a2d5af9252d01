# SPDX-License-Identifier: Apache-2.0
import socket
from collections.abc import Iterator
from threading import Thread
from time import monotonic

import pytest

from alarmd.clock import SystemClock
from alarmd.notifiers.sockets import Deadline, TimedSocket

#: More than the system takes in while nobody reads.
MUCH = bytes(range(256)) * 2**14


@pytest.fixture
def pair() -> Iterator[tuple[TimedSocket, socket.socket]]:
    """Return a connection's two ends, ours as a transport uses it."""
    ours, theirs = socket.socketpair()
    with TimedSocket(ours.family, ours.type, fileno=ours.detach()) as timed, theirs:
        timed.setblocking(False)
        yield timed, theirs


def within(total_s: float, *, wait_s: float = 10.0) -> Deadline:
    """Return a deadline from now on."""
    return Deadline(SystemClock(), total_s=total_s, wait_s=wait_s)


def test_what_does_not_go_out_in_one_go_goes_out_piece_by_piece(pair: tuple[TimedSocket, socket.socket]) -> None:
    """All of a large request arrives, in its order, at a receiver that takes its time."""
    ours, theirs = pair
    ours.deadline = within(30.0)
    taken = bytearray()

    def take() -> None:
        while len(taken) < len(MUCH):
            taken.extend(theirs.recv(65_536))

    reader = Thread(target=take)
    reader.start()
    ours.sendall(MUCH)
    reader.join(30.0)

    assert MUCH == bytes(taken)


@pytest.mark.parametrize("deadline", [{"total_s": 0.05}, {"total_s": 30.0, "wait_s": 0.05}])
def test_nobody_who_reads_nothing_holds_a_sender(
    pair: tuple[TimedSocket, socket.socket], deadline: dict[str, float]
) -> None:
    """To send ends with the deadline, or with the longest single wait, when the other side does not read."""
    ours, _ = pair
    ours.deadline = within(**deadline)
    began_s = monotonic()

    with pytest.raises(TimeoutError):
        ours.sendall(MUCH)

    assert monotonic() - began_s < 10.0


@pytest.mark.parametrize("deadline", [{"total_s": 0.05}, {"total_s": 30.0, "wait_s": 0.05}])
def test_nobody_who_says_nothing_holds_a_reader(
    pair: tuple[TimedSocket, socket.socket], deadline: dict[str, float]
) -> None:
    """To receive ends with the deadline, or with the longest single wait, when nothing comes."""
    ours, _ = pair
    ours.deadline = within(**deadline)

    with pytest.raises(TimeoutError, match="timed out"):
        ours.recv_into(bytearray(10))


def test_after_the_deadline_nothing_goes_out(pair: tuple[TimedSocket, socket.socket]) -> None:
    """Nothing is sent once the time is up, though there would be room for it."""
    ours, theirs = pair
    ours.deadline = within(0.0)

    with pytest.raises(TimeoutError, match="the deadline of the attempt has passed"):
        ours.sendall(b"late")

    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(10)


def test_an_end_of_the_connection_is_no_wait(pair: tuple[TimedSocket, socket.socket]) -> None:
    """A reader learns at once that the other side has closed."""
    ours, theirs = pair
    ours.deadline = within(30.0)
    theirs.close()

    assert ours.recv_into(bytearray(10)) == 0
