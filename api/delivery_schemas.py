# SPDX-License-Identifier: Apache-2.0
"""The shapes of deliveries and of signing secrets on the wire."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from alarmd.api.wire import LONGEST_S, MomentField
from alarmd.model.direction import Direction
from alarmd.model.notification import DeliveryState

#: How many buried deliveries one request puts back.
MOST_RETRIED = 1_000


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_enum_values=True)


class DeliveryView(_Shape):
    """One action of one transition, and how far it got."""

    event_id: str = Field(description="sent as webhook-id, the same over all tries")
    alarm_id: str
    project_id: str
    sequence: int
    target: str = Field(description="where it goes; what follows ? is a secret and left out")
    origin: str = Field(description="scheme, host and port of the target")
    direction: Direction
    state: DeliveryState
    attempts: int
    created_at: str
    next_attempt_at: str | None
    not_after: str | None = Field(description="when it is too late to send it; null where it never is")
    finished_at: str | None
    last_status: int | None = Field(description="what the receiver answered to the last try")
    last_error: str = Field(description="what went wrong at the last try, or why it ended as it did")
    sampled_at: str | None = Field(description="when the newest sample behind it was taken")
    traceparent: str = Field(description="what brought that sample (W3C); empty when nobody said")
    signing_secret: str = Field(description="the secret that it is to be signed with; empty for the default")
    body: dict[str, Any]


class DeliveryListView(_Shape):
    """Deliveries, newest first."""

    deliveries: list[DeliveryView]


class RetryBody(_Shape):
    """Which buried deliveries to put back. Null means that something does not narrow."""

    alarm_id: str | None = Field(default=None, max_length=255)
    project_id: str | None = Field(default=None, max_length=255, description="of this project (administrators)")
    target: str | None = Field(default=None, max_length=1_000, description="to this host, or scheme, host and port")
    direction: Direction | None = None
    since: MomentField = Field(default=None, description="made then or later")
    until: MomentField = Field(default=None, description="made before")
    limit: int | None = Field(default=MOST_RETRIED, ge=1, le=MOST_RETRIED, description="so many at most, newest first")


class RetryView(_Shape):
    """What was put back."""

    retried: int
    more: bool = Field(description="whether there may be more: ask again")
    event_ids: list[str]
    held: list[str] = Field(description="those of them that the breaker holds back until it closes")


class SecretView(_Shape):
    """A signing secret, without what is secret about it."""

    secret_id: str
    project_id: str
    name: str
    fingerprint: str = Field(description="the first 16 digits of the SHA-256 of its bytes")
    created_at: str
    expires_at: str | None = Field(description="from when on it no longer signs; null: never")
    state: Literal["active", "expired"]


class MadeSecretView(SecretView):
    """A secret that has just been made."""

    secret: str | None = Field(description="what the receiver needs, shown this once; null where the client brought it")


class SecretListView(_Shape):
    """Signing secrets, by name and within it newest first."""

    secrets: list[SecretView]


class _SecretBody(_Shape):
    secret: SecretStr | None = Field(
        default=None, description="whsec_ and 24 to 64 bytes in base64; drawn when it is not given"
    )
    project_id: str | None = Field(
        default=None, max_length=255, description="whose; the caller's own by default (others: administrators)"
    )


class SecretBody(_SecretBody):
    """A secret to be. All that have the same name sign."""

    name: str | None = Field(
        default=None, max_length=64, description="`default` by default, which signs for all alarms"
    )
    expires_in: int | None = Field(default=None, ge=1, le=LONGEST_S, description="seconds; for ever by default")


class RotationBody(_SecretBody):
    """The successor of a secret."""

    grace: int | None = Field(
        default=None, ge=0, le=LONGEST_S, description="seconds for which the old ones still sign; a day by default"
    )
