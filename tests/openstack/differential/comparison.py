# SPDX-License-Identifier: Apache-2.0
"""One conversation held with one server, and what two of them differ in."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import requests

from tests.openstack.differential.request import NO_BODY, Step, body_of, fill, names_of, part

TIMEOUT_S: Final = 30.0

#: Headers of an answer that clients read; of the request id only whether it is there, for it is never the same.
HEADERS: Final = ("Content-Type", "Allow", "Location", "Retry-After", "WWW-Authenticate")
REQUEST_ID: Final = "x-openstack-request-id"

#: Refusals whose wording known clients or Aodh's own tests compare. The part that is matched must stand in alarmd's
#: text too, whatever that adds; of any other refusal only status and shape are compared, for people read its text.
WIRE_TEXTS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"^Alarm .+ not found$",
        r"^RBAC Authorization Failed$",
        r"^Not Authorized to access (project|user) .+$",
        r"^Alarm quota exceeded for user .+ on project .+$",
        r"^Unsupported action .+$",
        r"^Unable to parse action .+$",
        r"^You are not authorized to create action: .+$",
        r"\w+_actions count exceeds maximum value \d+",
        r"\w+ must be set for \w+ type alarm",
        r" cannot be set at the same time",
        r"Unknown attribute for argument data: \w+",
        r"Unknown attribute for argument data\.\w+_rule: \w+",
        r'Unknown argument: "[^"]+"',
        r"Invalid input for field/attribute \w+\. Value: '[^']*'\. Mandatory field missing\.",
        r"Invalid input for field/attribute \w+\. Value: '[^']*'\. Value should be one of: ",
        r"Value should be (lower|greater) or equal to [\d.]+",
        r"^Time constraint names must be unique for a given alarm\.$",
        r"Timezone .+ is not valid",
        r"Query value or traits invalid: ",
        r"Unable to convert the value .+ to the expected data type \w+\.",
        r"aggregation_method should be in ",
        r"type must be set in every rule",
        r"Threshold rules should be combined with \"and\" or \"or\"",
        r"^state invalid",
        r"^Limit should be positive",
        r"metrics endpoint is disabled",
    )
)

#: The moments an alarm or a record carries.
_MOMENTS: Final = {"timestamp", "state_timestamp", "evaluate_timestamp"}
_FRESH: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one server said to one step, with everything taken out that cannot be the same twice."""

    status: int
    headers: dict[str, str]
    body: Any
    text: str


class Conversation:
    """Holds one case's conversation with one server."""

    def __init__(self, url: str, *, case: str) -> None:
        self._url = url
        self._kept = names_of(case)
        self._symbols: dict[str, str] = {}

    def say(self, step: Step) -> Answer:
        """Send one step and return the answer."""
        headers = {**fill(step.who, self._kept), **step.headers}
        data: bytes | None = None
        if step.raw is not None:
            data = step.raw.encode()
            headers.setdefault("Content-Type", "application/json")
        elif step.body is not NO_BODY:
            data = json.dumps(body_of(step, self._kept)).encode()
            headers.setdefault("Content-Type", "application/json")
        url = self._url + fill(step.path, self._kept)
        answer = requests.request(
            step.method, url, data=data, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
        )
        body = _decoded(answer)
        for name, path in step.keep.items():
            self._kept[name] = part(body, path)
        self._learn(body)
        return Answer(
            status=answer.status_code, headers=self._headers(answer), body=self._normal(body), text=answer.text
        )

    def _headers(self, answer: requests.Response) -> dict[str, str]:
        found = {name: self._word(answer.headers[name]) for name in HEADERS if name in answer.headers}
        if "Allow" in found:
            found["Allow"] = ", ".join(sorted(word.strip() for word in found["Allow"].split(",")))
        if re.fullmatch(r"req-[0-9a-f-]{36}", answer.headers.get(REQUEST_ID, "")):
            found[REQUEST_ID] = "<a fresh one>"
        return found

    def _learn(self, value: Any) -> None:
        """Give a symbol to every id in the order of appearance."""
        for key, item in _pairs(value):
            if key in {"alarm_id", "event_id"} and isinstance(item, str) and item not in self._symbols:
                count = sum(1 for symbol in self._symbols.values() if key in symbol)
                self._symbols[item] = f"<{key} {count + 1}>"

    def _normal(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._normal(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self._normal(item) for item in value]
        if not isinstance(value, str):
            return value
        if key == "detail":
            # A text that holds JSON: its meaning counts, not the order of its keys.
            return {"as text": self._normal(json.loads(value))}
        if key in _MOMENTS and _is_fresh(value):
            return "<now>"
        return self._word(value)

    def _word(self, text: str) -> str:
        for known, symbol in self._symbols.items():
            text = text.replace(known, symbol)
        return text.replace(self._url, "<server>")


def differences(aodh: Answer, alarmd: Answer) -> list[str]:
    """Return what two answers differ in: the statuses, or else each header and each place in the body."""
    if aodh.status != alarmd.status:
        return [f"{aodh.status} → {alarmd.status}"]
    found = [
        f"{name}: {aodh.headers.get(name)} → {alarmd.headers.get(name)}"
        for name in (*HEADERS, REQUEST_ID)
        if aodh.headers.get(name) != alarmd.headers.get(name)
    ]
    if _is_of_routing(aodh.body) and _is_refusal(alarmd.body):
        return [*found, "error_message: Aodh's form for errors of routing → the one form"]
    return found + list(_unlike(aodh.body, alarmd.body, ""))


def _unlike(left: Any, right: Any, place: str) -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in dict.fromkeys((*left, *right)):
            inner = f"{place}.{key}".lstrip(".")
            if key not in left or key not in right:
                yield f"{inner}: {'only in alarmd' if key in right else 'only in Aodh'}"
            else:
                yield from _unlike(left[key], right[key], inner)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for number, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _unlike(one, other, f"{place}.{number}".lstrip("."))
    elif place.endswith("faultstring") and isinstance(left, str) and isinstance(right, str):
        if not _says(right, left):
            yield f"{place}: {left!r} → {right!r}"
    elif left != right or isinstance(left, bool) is not isinstance(right, bool):
        yield f"{place or 'body'}: {_short(left)} → {_short(right)}"


def _says(text: str, model: str) -> bool:
    """Tell whether a refusal is worded as a model where that matters, and at all."""
    wanted = [found[0] for pattern in WIRE_TEXTS if (found := pattern.search(model))]
    return bool(text) and all(words in text for words in wanted)


def _is_refusal(body: Any) -> bool:
    """Tell whether a body is the object that aodhclient reads."""
    error = body.get("error_message") if isinstance(body, dict) else None
    return isinstance(error, dict) and set(error) == {"faultcode", "faultstring", "debuginfo"}


def _is_of_routing(body: Any) -> bool:
    """Tell whether a body is what Aodh says when it finds no handler: a page in a text, or another kind of object."""
    return isinstance(body, dict) and "error_message" in body and not _is_refusal(body)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from _pairs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _pairs(item)


def _decoded(answer: requests.Response) -> Any:
    if not answer.text:
        return None
    if "json" not in answer.headers.get("Content-Type", ""):
        return {"as text": answer.text}
    return answer.json()


def _is_fresh(text: str) -> bool:
    """Tell whether a text is a moment as Aodh writes them (naive, UTC, microseconds) and lies about now."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?", text):
        return False
    return abs(datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime.now(tz=UTC)) < _FRESH


def hold(case: str, steps: Sequence[Step], *, aodh_url: str, alarmd_url: str) -> list[tuple[str, Answer, Answer]]:
    """Hold a conversation with both servers, step by step; return each step's name and both answers."""
    with_aodh = Conversation(aodh_url, case=case)
    with_alarmd = Conversation(alarmd_url, case=case)
    return [(f"{step.method} {step.path}", with_aodh.say(step), with_alarmd.say(step)) for step in steps]
