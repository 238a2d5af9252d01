# SPDX-License-Identifier: Apache-2.0
"""`trust+heat`: has Heat replace the machines of an autoscaling group whose members of a load balancer have failed.

For alarms of the type ``loadbalancer_member_health``, as Aodh does it: the resources of the unhealthy members are found
in the stack, the members of the group that they belong to are marked unhealthy, and the stack is updated in place,
all in the name of whoever made the alarm. Each step may be taken again, so an attempt that broke off is just repeated.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import requests
from pydantic import Field

from alarmd.clock import Clock
from alarmd.errors import TargetRefused
from alarmd.model.notification import Notification
from alarmd.notifiers.answers import attempt_of, failure_of
from alarmd.notifiers.http import USER_AGENT, transport_of
from alarmd.notifiers.scheme import Attempt, Reason, SchemePlugin
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.sockets import Deadline
from alarmd.notifiers.target_policy import ANYWHERE, TargetPolicy
from alarmd.notifiers.trust import TokenSender, TrustOptions, entrusted

if TYPE_CHECKING:
    from alarmd.keystone.client import KeystoneClient

_SERVICE_TYPE: Final = "orchestration"
#: How deep in the stack a member may lie: stack, group, member of the group, member of the pool.
_NESTED_DEPTH: Final = 3
#: How many members are asked for at once.
_CHUNK: Final = 20
#: How many are healed by one notification; the next one names those that are left.
_MAX_MEMBERS: Final = 100
_WHY: Final = "unhealthy load balancer member"
#: The name and the id of a stack in the address that Heat sends those to who know one of the two.
_STACK: Final = re.compile(r"/stacks/(?P<stack>[^/?#]+/[^/?#]+)(?:[/?#].*)?")


class HeatOptions(TrustOptions):
    """What the operator may say about calls of Heat: as about webhooks, but that its answers are read."""

    #: All calls of Heat for one notification together.
    deadline_s: float = Field(default=15.0, gt=0, le=300)
    max_answer_bytes: int = Field(default=2**20, ge=0, le=16 * 2**20)
    body_wait_s: float = Field(default=10.0, gt=0, le=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a notification asks Heat for."""

    stack_id: str
    group_id: str
    #: Ids of members of the load balancer's pool.
    members: tuple[str, ...]


def wanted_of(body: Mapping[str, Any]) -> Wanted | None:
    """Return what the body of a notification asks for; None when it is not one of an alarm for load balancers."""
    data = body.get("reason_data")
    if not isinstance(data, Mapping):
        return None
    stack_id, group_id, members = data.get("stack_id"), data.get("asg_id"), data.get("unhealthy_members")
    if not (isinstance(stack_id, str) and stack_id and isinstance(group_id, str) and group_id):
        return None
    ids = [one.get("id") for one in members or () if isinstance(one, Mapping)] if isinstance(members, list) else []
    named = dict.fromkeys(one for one in ids if isinstance(one, str) and one)
    return Wanted(stack_id=stack_id, group_id=group_id, members=tuple(named)[:_MAX_MEMBERS])


class HeatScheme:
    """Heals stacks."""

    def __init__(self, *, options: HeatOptions, clock: Clock, policy: TargetPolicy, signer: Signer) -> None:
        del policy, signer  # Heat is found in the catalogue, and knows alarmd by its token.
        self._options = options
        self._clock = clock
        self._transport = transport_of(options, clock=clock)
        catalogue_s = 2 * options.keystone.timeout_s
        self._sender = TokenSender(options.keystone, clock=clock, send_s=catalogue_s + options.deadline_s)
        self.deadline_s = self._sender.deadline_s

    def deliver(self, notification: Notification) -> Attempt:
        wanted = wanted_of(notification.body)
        if wanted is None:
            return _final("the alarm names no stack and group: trust+heat is for loadbalancer_member_health alarms")
        if not wanted.members:
            return _final("the alarm names no unhealthy member")

        def heal(token: str, client: "KeystoneClient") -> Attempt:
            endpoint = client.endpoint_for(_SERVICE_TYPE, token=token)
            healing = _Healing(self, endpoint, token)
            try:
                return healing.run(wanted)
            except _NotDone as ended:
                return ended.attempt

        return self._sender.send(notification, entrusted(notification.target).trust_id, heal)

    def close(self) -> None:
        self._transport.close()

    def begin(self) -> Deadline:
        """Return within what all of one healing has to be done."""
        return Deadline(self._clock, total_s=self._options.deadline_s, wait_s=self._options.deadline_s)

    def ask(self, request: requests.PreparedRequest, *, within_s: float) -> tuple[requests.Response, Attempt]:
        """Return an answer of Heat's and what it means. Raises `_NotDone` when there is none."""
        try:
            answer = self._transport.send(request, policy=ANYWHERE, within_s=within_s)
        except (TargetRefused, requests.RequestException) as error:
            raise _NotDone(failure_of(error)) from error
        return answer, attempt_of(answer, self._clock.now(), max_retry_after_s=self._options.max_retry_after_s)


class _NotDone(Exception):  # no error of alarmd's: how an attempt has ended early
    """An attempt goes no further."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        super().__init__(attempt.detail)


class _Healing:
    """One try at healing one stack."""

    def __init__(self, scheme: HeatScheme, endpoint: str, token: str) -> None:
        self._scheme = scheme
        self._endpoint = endpoint
        self._token = token
        self._deadline = scheme.begin()

    def run(self, wanted: Wanted) -> Attempt:
        """Mark what is unhealthy and start the update. Raises `_NotDone`."""
        stack = self._place_of(wanted.stack_id, "stack")
        unhealthy = list(dict.fromkeys(self._group_members(stack, wanted.members)))
        if not unhealthy:
            return _final(f"the stack has no resource of {len(wanted.members)} unhealthy members (any more)")
        group = self._place_of(wanted.group_id, "group")
        reason = {"mark_unhealthy": True, "resource_status_reason": _WHY}
        for name in unhealthy:
            self._done("PATCH", f"{group}/resources/{quote(name, safe='')}", reason, what="mark a member")
        return self._done("PATCH", stack, {}, what="update the stack")[1]

    def _place_of(self, identity: str, what: str) -> str:
        """Return the path of a stack; Heat tells those who know its id where it is."""
        answer, attempt = self._ask("GET", f"/stacks/{quote(identity, safe='')}")
        if answer.status_code == HTTPStatus.FOUND:
            match = _STACK.search(answer.headers.get("Location", ""))
            if match is not None:
                # The path alone: the host would be one of Heat's own choosing.
                return f"/stacks/{match['stack']}"
            raise _NotDone(_unreadable())
        raise _NotDone(_worded(attempt, f"find the {what}"))

    def _group_members(self, stack: str, members: Sequence[str]) -> Iterator[str]:
        """Yield the names of the group's members that these members of the pool belong to."""
        for start in range(0, len(members), _CHUNK):
            ids = [("physical_resource_id", one) for one in members[start : start + _CHUNK]]
            query = urlencode([("nested_depth", str(_NESTED_DEPTH)), *ids])
            answer, _ = self._done("GET", f"{stack}/resources?{query}", what="list resources")
            yield from _parents_in(answer.content)

    def _done(self, method: str, path: str, body: Any = None, *, what: str) -> tuple[requests.Response, Attempt]:
        answer, attempt = self._ask(method, path, body)
        if not attempt.ok:
            raise _NotDone(_worded(attempt, what))
        return answer, attempt

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[requests.Response, Attempt]:
        try:
            within_s = self._deadline.left_s()
        except TimeoutError as error:
            slow = Attempt(reason=Reason.TIMEOUT, retryable=True, detail="Heat answers too slowly")
            raise _NotDone(slow) from error
        request = requests.PreparedRequest()
        request.prepare_method(method)
        request.url = f"{self._endpoint}{path}"
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT, "X-Auth-Token": self._token}
        request.prepare_headers(headers | ({} if body is None else {"Content-Type": "application/json"}))
        request.prepare_body(b"" if body is None else json.dumps(body).encode(), files=None)
        return self._scheme.ask(request, within_s=within_s)


def _parents_in(raw: bytes) -> Iterator[str]:
    try:
        resources = json.loads(raw)["resources"]
        parents = [one.get("parent_resource") for one in resources]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _NotDone(_unreadable()) from error
    yield from (one for one in parents if isinstance(one, str) and one)


def _worded(attempt: Attempt, what: str) -> Attempt:
    if attempt.status == HTTPStatus.CONFLICT:
        # Somebody updates the stack just now; afterwards this update goes through.
        return replace(attempt, reason=Reason.BUSY, retryable=True, detail=f"cannot {what}: it is in use")
    return replace(attempt, detail=f"cannot {what}: {attempt.detail}")


def _unreadable() -> Attempt:
    return Attempt(reason=Reason.SERVER_ERROR, retryable=True, detail="Heat's answer cannot be read")


def _final(why: str) -> Attempt:
    return Attempt(reason=Reason.INVALID, retryable=False, detail=why)


def _check(target: str, *, policy: TargetPolicy) -> None:
    """Accept anything: what is called is Heat, wherever the catalogue says that it is."""
    del target, policy


PLUGIN = SchemePlugin(options=HeatOptions, build=HeatScheme, check=_check)
