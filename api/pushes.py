# SPDX-License-Identifier: Apache-2.0
"""What pushes have in common: many things in one body, each taken or rejected on its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alarmd.api.errors import error_body
from alarmd.api.json_body import BodyTooLarge


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One thing of a push that was not taken."""

    index: int
    reason: str
    #: ``timestamp``, ``project`` or ``malformed``; what rejections are counted by.
    kind: str


def bound_push(items: Sequence[Any], *, thing: str, maximum: int) -> None:
    """Raise `BodyTooLarge` when there is more in a push than its setting allows."""
    if len(items) > maximum:
        raise BodyTooLarge(
            f"{len(items)} {thing}s are more than the {maximum} allowed in a push "
            f"(setting api.max_{thing}s_per_push): send them in smaller parts."
        )


def answer_push(accepted: int, rejected: Sequence[Rejection], *, thing: str) -> tuple[dict[str, Any], int]:
    """Return what became of a push: 202, or 400 when there was something and nothing of it was taken."""
    body: dict[str, Any] = {
        "accepted": accepted,
        "rejected": [{"index": each.index, "reason": each.reason} for each in rejected],
    }
    if accepted or not rejected:
        return body, 202
    first = rejected[0]
    return {**error_body(f"No {thing} was accepted; {thing} {first.index}: {first.reason}", 400), **body}, 400
