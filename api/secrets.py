# SPDX-License-Identifier: Apache-2.0
"""`/v3/secrets`: what webhooks of a project are signed with. A secret is shown once, when alarmd has drawn it."""

from datetime import datetime, timedelta
from typing import Any, TypeVar

from flask import Blueprint, Response, request
from pydantic import BaseModel, SecretStr, ValidationError

from alarmd.alarms.secrets import MadeSecret
from alarmd.api.access import caller
from alarmd.api.arguments import boolean_argument, only_arguments, text_argument
from alarmd.api.context import context
from alarmd.api.delivery_schemas import MadeSecretView, RotationBody, SecretBody, SecretListView, SecretView
from alarmd.api.json_body import read_json, refuse_unstorable
from alarmd.api.wire import wire_time
from alarmd.complaints import complaint
from alarmd.errors import InvalidInput
from alarmd.model.secret import DEFAULT_NAME, NAME_FORM, SECRET_FORM, SigningSecret

blueprint = Blueprint("secrets", __name__)

_DAY_S = 86_400

_Body = TypeVar("_Body", bound=BaseModel)


@blueprint.post("/v3/secrets")
def create_secret() -> tuple[dict[str, Any], int]:
    """Add a secret, beside those of the same name; drawn where the body brings none, and then shown this once."""
    only_arguments()
    body = _read(SecretBody)
    made = context().secrets.create(
        body.name or DEFAULT_NAME,
        caller(),
        value=_value(body.secret),
        expires_in=None if body.expires_in is None else timedelta(seconds=body.expires_in),
        project_id=body.project_id,
    )
    return _made_view(made), 201


@blueprint.get("/v3/secrets")
def list_secrets() -> dict[str, Any]:
    """List the secrets of a project, without what is secret about them."""
    only_arguments("project_id", "name")
    given = context()
    found = given.secrets.find(caller(), name=text_argument("name"), project_id=text_argument("project_id"))
    now = given.clock.now()
    return SecretListView(secrets=[SecretView(**_facts(one, now)) for one in found]).model_dump()


@blueprint.post("/v3/secrets/<name>/rotate")
def rotate_secret(name: str) -> tuple[dict[str, Any], int]:
    """Add a successor and let the old ones of this name end after the grace."""
    only_arguments()
    body = _read(RotationBody)
    made = context().secrets.rotate(
        name,
        caller(),
        grace=timedelta(seconds=_DAY_S if body.grace is None else body.grace),
        value=_value(body.secret),
        project_id=body.project_id,
    )
    return _made_view(made), 201


@blueprint.delete("/v3/secrets/<name>")
def delete_secret(name: str) -> Response:
    """End the secrets of a name at once, or the one that is named by its id."""
    only_arguments("secret_id", "project_id", "force")
    context().secrets.delete(
        name,
        caller(),
        secret_id=text_argument("secret_id"),
        force=boolean_argument("force", default=False),
        project_id=text_argument("project_id"),
    )
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def _read(shape: type[_Body]) -> _Body:
    data = read_json(request, max_bytes=context().limits.max_body_bytes)
    if not isinstance(data, dict):
        raise InvalidInput("Invalid input for field/attribute data. The body should be an object with a secret")
    refuse_unstorable(data)
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        if any(problem["loc"][:1] == ("secret",) for problem in error.errors()):
            # Whatever was sent there stays out of the message: it would end up in a log.
            raise InvalidInput(f"Invalid input for field/attribute secret: it has to be {SECRET_FORM}") from None
        if any(problem["loc"][:1] == ("name",) for problem in error.errors()):
            # It may be a secret that went into the wrong field.
            raise InvalidInput(f"Invalid input for field/attribute name: it has to be {NAME_FORM}") from None
        raise complaint(error) from error


def _value(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _made_view(made: MadeSecret) -> dict[str, Any]:
    view = MadeSecretView(**_facts(made.secret, made.secret.created_at), secret=made.drawn)
    return view.model_dump()


def _facts(secret: SigningSecret, now: datetime) -> dict[str, Any]:
    return {
        "secret_id": secret.secret_id,
        "project_id": secret.project_id,
        "name": secret.name,
        "fingerprint": secret.fingerprint,
        "created_at": wire_time(secret.created_at),
        "expires_at": None if secret.expires_at is None else wire_time(secret.expires_at),
        "state": "expired" if secret.is_expired(now) else "active",
    }
