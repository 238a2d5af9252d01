# SPDX-License-Identifier: Apache-2.0
"""The mode in which callers are known by tokens."""

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from alarmd.api.context import Access
from alarmd.model.token import Token, digest_of, new_secret
from tests.support.rest import ADMIN, Door, error_of

_SECRET = new_secret()
_ALARM = {"name": "x", "type": "threshold", "threshold_rule": {"meter_name": "m", "threshold": 1}}


@pytest.fixture
def door(open_a_door: Callable[..., Door]) -> Door:
    """A door that asks for tokens; one is stored, which holds for a minute."""
    door = open_a_door(access=Access.TOKENS)
    now = door.clock.now()
    with door.database.write() as unit:
        unit.tokens.add(
            Token(
                token_id="t1",
                digest=digest_of(_SECRET),
                description="",
                project_id="p1",
                user_id="ann",
                roles=("member", "reader"),
                created_at=now,
                expires_at=now + timedelta(minutes=1),
            )
        )
    return door


def test_a_secret_is_random_and_says_what_it_is() -> None:
    """256 bits behind a prefix that scanners of repositories can look for."""
    secrets = {new_secret() for _ in range(100)}

    assert 100 == len(secrets)
    assert {("alarmd_", 50)} == {(secret[:7], len(secret)) for secret in secrets}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Auth-Token": _SECRET},
        {"Authorization": f"Bearer {_SECRET}"},
        {"Authorization": f"bearer {_SECRET}"},
        {"X-Auth-Token": _SECRET, "Authorization": "Bearer other"},
        {"X-Auth-Token": "", "Authorization": f"Bearer {_SECRET}"},
    ],
)
def test_a_token_lets_its_owner_in(door: Door, headers: dict[str, str]) -> None:
    """The caller is whom the token was made for, wherever the token stands."""
    made = door.post("/v2/alarms", _ALARM, headers=headers)

    assert 201 == made.status_code
    assert ("p1", "ann") == (made.get_json()["project_id"], made.get_json()["user_id"])


def test_headers_that_name_somebody_are_passed_over(door: Door) -> None:
    """What a caller says of itself counts for nothing, with a token and without."""
    with_token = door.get("/v2/alarms?q.field=all_projects&q.value=true", headers={"X-Auth-Token": _SECRET, **ADMIN})
    made = door.post("/v2/alarms", _ALARM, headers={"X-Auth-Token": _SECRET, **ADMIN})

    assert 403 == with_token.status_code
    assert ("p1", "ann") == (made.get_json()["project_id"], made.get_json()["user_id"])
    assert 401 == door.get("/v2/alarms", headers=ADMIN).status_code


_WRONG = [
    "x",
    "alarmd_",
    _SECRET[:-1],
    f"{_SECRET}x",
    _SECRET.upper(),
    digest_of(_SECRET),
    "ä\x7f",
    "a" * 10_000,
]


@pytest.mark.parametrize("wrong", _WRONG, ids=["short", "bare", "cut", "longer", "upper", "digest", "odd", "long"])
def test_a_wrong_token_is_refused(door: Door, wrong: str) -> None:
    """Every wrong token gets the same answer, which says how to get a right one."""
    answers = [door.get("/v2/alarms", headers={"X-Auth-Token": wrong}), _expired(door)]

    assert [401, 401] == [answer.status_code for answer in answers]
    assert 1 == len({error_of(answer) for answer in answers})
    assert "alarmd token create" in error_of(answers[0])
    assert ["Bearer", "Bearer"] == [answer.headers["WWW-Authenticate"] for answer in answers]
    assert not any("Retry-After" in answer.headers for answer in answers)
    assert all(answer.headers["x-openstack-request-id"].startswith("req-") for answer in answers)


def _expired(door: Door) -> TestResponse:
    door.clock.advance(60)
    return door.get("/v2/alarms", headers={"X-Auth-Token": _SECRET})


def test_a_token_ends_when_it_says(door: Door) -> None:
    """It holds to the very end and no longer."""
    door.clock.advance(59.999)
    before = door.get("/v2/alarms", headers={"X-Auth-Token": _SECRET}).status_code
    door.clock.advance(0.001)
    after = door.get("/v2/alarms", headers={"X-Auth-Token": _SECRET}).status_code

    assert [200, 401] == [before, after]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Auth-Token": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {b64encode(_SECRET.encode()).decode()}"},
        {"Authorization": _SECRET},
    ],
)
@pytest.mark.parametrize("path", ["/v2/alarms", "/v3/series", "/v2/none", "/none"])
def test_no_token_is_refused_with_the_way_to_one(door: Door, headers: dict[str, str], path: str) -> None:
    """Without a token nothing is told, not even what exists; the text says what to send and where to get it."""
    answer = door.get(path, headers=headers)

    assert 401 == answer.status_code
    assert "This needs a token. Send one as `X-Auth-Token: …`" in error_of(answer)
    assert "Bearer" == answer.headers["WWW-Authenticate"]


def test_revoking_counts_from_the_next_request_on(door: Door) -> None:
    """Nothing remembers a token that the database no longer has."""
    before = door.get("/v2/alarms", headers={"X-Auth-Token": _SECRET}).status_code
    with door.database.write() as unit:
        unit.tokens.remove("t1")
    after = door.get("/v2/alarms", headers={"X-Auth-Token": _SECRET}).status_code

    assert [200, 401] == [before, after]


@pytest.mark.parametrize("path", ["/", "/healthcheck", "/healthz", "/readyz", "/metrics", "/openapi.json"])
def test_open_paths_need_no_token(door: Door, path: str) -> None:
    """Probes, scrapers and clients that look around have none."""
    assert 200 == door.get(path).status_code
