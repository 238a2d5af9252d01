# SPDX-License-Identifier: Apache-2.0
"""`GET /v3/breaker`: whether scale-in is held back in the whole installation, and why."""

from typing import Any

from flask import Blueprint
from pydantic import BaseModel, ConfigDict, Field

from alarmd.alarms.breaker import BreakerStatus, breaker_status
from alarmd.api.access import caller
from alarmd.api.arguments import only_arguments
from alarmd.api.context import context
from alarmd.api.openapi_terms import Part, answer, operation, ref
from alarmd.api.wire import wire_time

blueprint = Blueprint("breaker", __name__)


class TripView(BaseModel):
    """What one evaluator says."""

    model_config = ConfigDict(extra="forbid")

    reason: str
    since: str
    until: str = Field(description="it ends by then unless the evaluator says so again")
    owner: str | None = Field(description="the evaluator; null for all but administrators")


class BreakerView(BaseModel):
    """The breaker of the installation."""

    model_config = ConfigDict(extra="forbid")

    is_open: bool = Field(description="whether actions that make a group smaller are held back")
    held: int | None = Field(description="how many are, of all projects; null for all but administrators")
    trips: list[TripView]


@blueprint.get("/v3/breaker")
def show_breaker() -> dict[str, Any]:
    """Return whether scale-in is held back, and why."""
    only_arguments()
    given = context()
    return _view(breaker_status(given.database, given.policy, caller(), now=given.clock.now())).model_dump()


def breaker_paths() -> Part:
    """Return what the description of the API says of it."""
    return {
        "/v3/breaker": {
            "get": operation(
                "show_breaker",
                "Whether scale-in is held back in the whole installation, and why.",
                {200: answer(ref("BreakerView"))},
            )
        }
    }


def _view(status: BreakerStatus) -> BreakerView:
    return BreakerView(
        is_open=bool(status.trips),
        held=status.held,
        trips=[
            TripView(reason=one.reason, since=wire_time(one.since), until=wire_time(one.until), owner=one.owner or None)
            for one in status.trips
        ],
    )
