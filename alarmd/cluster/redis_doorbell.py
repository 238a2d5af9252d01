# SPDX-License-Identifier: Apache-2.0
"""The doorbell past one machine: Redis publish and subscribe.

Two threads, each made when it is first needed: one publishes, so that a ring never waits for the network, and one
hears. When Redis is away nothing is rung and listeners fall back to their timeouts; when it is back, every listener is
woken once, for it may have missed something.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from alarmd.cluster.doorbell import Bell
from alarmd.errors import PluginError, SettingsError

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise PluginError(
        f"The doorbell over several hosts needs redis: {error}. Install it with: pip install 'alarmd[redis]'",
        plugin="redis",
    ) from error

_log: Final = structlog.get_logger()

#: How long to wait for a connection or an answer.
_TIMEOUT_S: Final = 2.0
#: How long to leave a Redis alone that did not answer.
_PAUSE_S: Final = 1.0
#: How often to ask for a sign of life, so that a connection that died without a word is noticed.
_HEALTH_CHECK_S: Final = 15
#: How often the hearing thread looks whether it is to stop.
_STOP_CHECK_S: Final = 0.25
#: How long `listen` waits until it is sure to hear; when Redis is away it goes on without.
_SUBSCRIBE_TIMEOUT_S: Final = 1.0


class RedisDoorbell:
    """Rings among all hosts that share a Redis."""

    def __init__(self, url: str, *, prefix: str = "alarmd:bell:") -> None:
        """Connect to nothing yet. Channels are named by the prefix and the bell."""
        self._prefix = prefix
        try:
            self._redis = redis.Redis.from_url(
                url,
                socket_connect_timeout=_TIMEOUT_S,
                socket_timeout=_TIMEOUT_S,
                health_check_interval=_HEALTH_CHECK_S,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:
            # Neither the URL nor the error is shown: both may hold a password, and parts of it.
            raise SettingsError(
                "The url of the Redis doorbell cannot be read. It has the form "
                "redis://[:PASSWORD@]HOST[:PORT]/NUMBER, rediss://… for TLS, or unix:///PATH."
            ) from None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._to_ring: set[Bell] = set()
        self._rung = threading.Event()
        self._listeners: set[RedisListener] = set()
        self._subscribed = threading.Event()

    def ring(self, bell: Bell) -> None:
        with self._lock:
            self._to_ring.add(bell)
            self._start("publish", self._publish)
        self._rung.set()

    def listen(self, *bells: Bell) -> "RedisListener":
        listener = RedisListener(frozenset(bells), self._forget)
        with self._lock:
            self._listeners.add(listener)
            self._start("hear", self._hear)
        self._subscribed.wait(_SUBSCRIBE_TIMEOUT_S)
        return listener

    def close(self) -> None:
        with self._lock:
            self._stop.set()
            listeners = list(self._listeners)
            threads = list(self._threads.values())
        self._rung.set()
        for listener in listeners:
            listener.close()
        for thread in threads:
            thread.join()
        self._redis.close()

    def _start(self, name: str, target: Callable[[], None]) -> None:
        if name not in self._threads and not self._stop.is_set():
            thread = threading.Thread(target=target, name=f"doorbell-{name}", daemon=True)
            self._threads[name] = thread
            thread.start()

    def _forget(self, listener: "RedisListener") -> None:
        with self._lock:
            self._listeners.discard(listener)

    def _publish(self) -> None:
        while self._rung.wait() and not self._stop.is_set():
            self._rung.clear()
            with self._lock:
                bells, self._to_ring = self._to_ring, set()
            try:
                for bell in bells:
                    self._redis.publish(f"{self._prefix}{bell}", b"!")
            except redis.RedisError as error:
                _log.warning("ring_failed", bells=sorted(bells), reason=str(error))
                self._stop.wait(_PAUSE_S)

    def _hear(self) -> None:
        missed = False
        while not self._stop.is_set():
            try:
                self._hear_while_connected(missed=missed)
            except redis.RedisError as error:
                _log.warning("doorbell_silent", reason=str(error))
                self._subscribed.clear()
                missed = True
                self._stop.wait(_PAUSE_S)

    def _hear_while_connected(self, *, missed: bool) -> None:
        channels = {f"{self._prefix}{bell}".encode(): bell for bell in Bell}
        with self._redis.pubsub() as pubsub:  # type: ignore[no-untyped-call]  # so it is upstream
            pubsub.subscribe(*channels)
            to_confirm = len(channels)
            while not self._stop.is_set():
                message = pubsub.get_message(timeout=_STOP_CHECK_S)
                if message is None:
                    continue
                if message["type"] == "message":
                    self._wake(channels[message["channel"]])
                elif message["type"] == "subscribe":
                    to_confirm -= 1
                    if to_confirm == 0:
                        self._subscribed.set()
                        for bell in Bell if missed else ():
                            self._wake(bell)

    def _wake(self, bell: Bell) -> None:
        with self._lock:
            for listener in self._listeners:
                if bell in listener.bells:
                    listener.wake()


class RedisListener:
    """Waits for what the hearing thread hears."""

    def __init__(self, bells: frozenset[Bell], forget: Callable[["RedisListener"], None]) -> None:
        self.bells = bells
        self._forget = forget
        self._heard = threading.Event()
        self._closed = False

    def wait(self, timeout_s: float) -> bool:
        rung = self._heard.wait(max(timeout_s, 0.0)) and not self._closed
        if rung:
            self._heard.clear()
        return rung

    def wake(self) -> None:
        """Let the waiting thread know that one of its bells has rung."""
        self._heard.set()

    def close(self) -> None:
        self._closed = True
        self._forget(self)
        self._heard.set()
