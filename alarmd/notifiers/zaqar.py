# SPDX-License-Identifier: Apache-2.0
"""`zaqar` and `trust+zaqar`: messages in queues of Zaqar, OpenStack's own, wherever the catalogue says that it is.

Three forms, as Aodh has them: ``trust+zaqar://?queue_name=…`` posts in the name of the alarm's maker,
``zaqar://?queue_name=…&signature=…`` shows what Zaqar has signed for one queue, ``zaqar://?topic=…`` posts to
a queue of the alarm's own in the project of alarmd and subscribes whom the action names.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs
from uuid import uuid4

from alarmd.clock import Clock
from alarmd.errors import InvalidInput
from alarmd.model.notification import Notification
from alarmd.notifiers.http import HttpScheme
from alarmd.notifiers.scheme import Attempt, Reason, SchemePlugin, scheme_of
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.steps import UNWATCHED, Steps
from alarmd.notifiers.target_policy import ANYWHERE, TargetPolicy
from alarmd.notifiers.trust import TokenSender, TrustOptions, entrusted

if TYPE_CHECKING:
    from alarmd.keystone.client import KeystoneClient

_SERVICE_TYPE: Final = "messaging"
#: What a signature of Zaqar's is good for, and the header of each; Zaqar compares them as they are.
_SIGNED: Final = {
    "signature": "URL-Signature",
    "expires": "URL-Expires",
    "methods": "URL-Methods",
    "paths": "URL-Paths",
    "project_id": "X-Project-Id",
}
#: Zaqar's own rule; also keeps a name from leading elsewhere on Zaqar's host.
_QUEUE_NAME: Final = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,64}")
_MAX_SUBSCRIBERS: Final = 10
#: Not `trust+…`: the trust would be one of alarmd's own user, and the subscriber would be sent a token of that user.
_SUBSCRIBER: Final = re.compile(r"(https?|mailto):[!-~]+", re.IGNORECASE)
#: What can be sent in a header.
_HEADER: Final = re.compile(r"[!-~]*")
_DEFAULT_TTL_S: Final = 3600


class ZaqarOptions(TrustOptions):
    """What the operator may say about calls of Zaqar: as about webhooks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What an action asks of Zaqar."""

    #: Empty where a topic is given instead.
    name: str
    topic: str
    subscribers: tuple[str, ...]
    ttl_s: int
    #: The headers of what was signed beforehand; empty without a signature.
    signed: Mapping[str, str]

    def name_for(self, alarm_id: str) -> str:
        """Return the name of the queue; with a topic each alarm has one of its own."""
        return self.name or f"{alarm_id}-{self.topic}"


def queue_of(target: str) -> Queue:
    """Return what an action asks for. Raises `InvalidInput` for what Zaqar could not do."""
    try:
        asked = parse_qs(target.partition("?")[2].partition("#")[0], max_num_fields=100)
        ttl_s = int(asked.get("ttl", [str(_DEFAULT_TTL_S)])[-1])
    except ValueError:
        raise InvalidInput(f"Unsupported action {target}: its arguments cannot be read") from None
    queue = Queue(
        name=asked.get("queue_name", [""])[-1],
        topic=asked.get("topic", [""])[-1],
        subscribers=tuple(asked.get("subscriber", [])),
        ttl_s=ttl_s,
        signed={header: asked[key][-1] for key, header in _SIGNED.items() if key in asked},
    )
    if problem := _problem_of(queue, is_trusted=scheme_of(target).startswith("trust+")):
        raise InvalidInput(f"Unsupported action {target}: {problem}")
    return queue


def _problem_of(queue: Queue, *, is_trusted: bool) -> str:
    if not _QUEUE_NAME.fullmatch(queue.name or queue.topic or "-"):
        return "a queue_name or topic has letters, digits, '-', '_' and '.' only"
    if is_trusted:
        return "" if queue.name else "it names no queue_name"
    if queue.name:
        return _problem_of_signature(queue)
    return _problem_of_subscribers(queue) if queue.topic else "it names neither topic nor queue_name"


def _problem_of_signature(queue: Queue) -> str:
    missing = [key for key, header in _SIGNED.items() if header not in queue.signed]
    if missing:
        return f"a queue_name needs {', '.join(missing)} too, or trust+zaqar"
    return "" if all(map(_HEADER.fullmatch, queue.signed.values())) else "what is signed holds visible ASCII only"


def _problem_of_subscribers(queue: Queue) -> str:
    if len(queue.subscribers) > _MAX_SUBSCRIBERS:
        return f"it names more than {_MAX_SUBSCRIBERS} subscribers"
    if not all(map(_SUBSCRIBER.fullmatch, queue.subscribers)):
        return "a subscriber is a URL of http, https or mailto, percent-encoded"
    return "" if queue.ttl_s > 0 else "ttl must be more than zero seconds"


class ZaqarScheme:
    """Posts notifications to queues."""

    def __init__(self, *, options: ZaqarOptions, clock: Clock, policy: TargetPolicy, signer: Signer) -> None:
        del policy, signer  # Zaqar is no receiver of a tenant's choosing; its subscribers read the message, not us.
        self._clock = clock
        self._client_id = str(uuid4())
        self._http = HttpScheme(options=options, clock=clock, policy=ANYWHERE, signer=Signer(()))
        self._sender = TokenSender(options.keystone, clock=clock, send_s=self._http.deadline_s)
        self.deadline_s = self._sender.deadline_s

    def deliver(self, notification: Notification) -> Attempt:
        return self.deliver_watched(notification, UNWATCHED)

    def deliver_watched(self, notification: Notification, steps: Steps) -> Attempt:
        """Make one attempt and tell of each step."""
        end_s = self._clock.monotonic_s() + self.deadline_s
        to = entrusted(notification.target) if scheme_of(notification.target).startswith("trust+") else None
        try:
            queue = queue_of(notification.target)
        except InvalidInput:
            # Taken by an earlier version or an import. Not its message, which holds the target.
            return Attempt(reason=Reason.INVALID, retryable=False, detail="the action names nothing that Zaqar can do")

        def post(token: str, client: "KeystoneClient") -> Attempt:
            url = f"{_version_2_of(client.endpoint(_SERVICE_TYPE))}/queues/{queue.name_for(notification.alarm_id)}"
            steps.note("keystone", queue=url)
            shown = {**queue.signed} if queue.name and to is None else {"X-Auth-Token": token}
            calls = _calls(notification, queue, url)
            return self._call(calls, {"Client-ID": self._client_id, **shown}, steps, end_s=end_s)

        return self._sender.send(notification, to.trust_id if to else None, post)

    def close(self) -> None:
        self._http.close()

    def _call(
        self, calls: Sequence[Notification], headers: Mapping[str, str], steps: Steps, *, end_s: float
    ) -> Attempt:
        """Make calls one after the other, as long as each goes well; return how the last one went."""
        attempt = Attempt(reason=Reason.TIMEOUT, retryable=True, detail="Keystone and Zaqar answer too slowly")
        for call in calls:
            if self._clock.monotonic_s() + self._http.deadline_s > end_s:
                return Attempt(reason=Reason.TIMEOUT, retryable=True, detail="Keystone and Zaqar answer too slowly")
            attempt = self._http.deliver(call, headers=headers, steps=steps)
            if not attempt.ok:
                break
        return attempt


def _calls(notification: Notification, queue: Queue, url: str) -> list[Notification]:
    """Return what Zaqar is told: whom to subscribe, which it takes again and again, and the message."""
    subscribed = queue.subscribers if queue.topic and not queue.name else ()
    return [
        *(
            replace(
                notification,
                target=f"{url}/subscriptions",
                body={"subscriber": each, "ttl": queue.ttl_s, "options": {}},
            )
            for each in subscribed
        ),
        replace(notification, target=f"{url}/messages", body={"messages": [{"body": dict(notification.body)}]}),
    ]


def _version_2_of(endpoint: str) -> str:
    return endpoint if endpoint.endswith("/v2") else f"{endpoint}/v2"


def _check(target: str, *, policy: TargetPolicy) -> None:
    """Refuse what Zaqar could not do, and subscribers that a webhook could not reach either: Zaqar would call them."""
    queue = queue_of(target)
    for subscriber in queue.subscribers:
        if scheme_of(subscriber) in {"http", "https"}:
            policy.check_url(subscriber)


PLUGIN = SchemePlugin(options=ZaqarOptions, build=ZaqarScheme, check=_check)
