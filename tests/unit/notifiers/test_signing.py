# SPDX-License-Identifier: Apache-2.0
"""Signatures, held against the published library and the vector of its own tests."""

import json
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from alarmd.errors import SettingsError
from alarmd.model.notification import EventId, Notification
from alarmd.model.secret import key_of, new_value
from alarmd.notifiers.signing import Signer, signature_of
from tests.support.notifications import a_notification

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

secrets = st.binary(min_size=24, max_size=64).map(lambda key: f"whsec_{b64encode(key).decode()}")


@dataclass(frozen=True)
class Keys:
    """A project with these keys, whatever the notification names."""

    values: Sequence[str]

    def of(self, notification: Notification, now: datetime) -> Sequence[bytes]:
        del notification, now
        return [key_of(value) for value in self.values]


def headers_of(signer: Signer, body: bytes, *, event_id: str = "a_1_0") -> dict[str, str]:
    """Return the headers of a webhook that a signer has signed now."""
    now_s = int(time.time())
    notification = a_notification(event_id=EventId(event_id))
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": signer.sign(notification, now_s, body),
    }


def accepts(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether a receiver with this secret and the published library takes a webhook."""
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_the_published_vector_is_reproduced() -> None:
    """The signature equals the one that the specification's own tests expect."""
    notification = a_notification(event_id=EventId("msg_p5jXN8AQM9LWM0D4loKWxJek"))
    signature = Signer([SECRET]).sign(notification, 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(secret=secrets, event_id=st.uuids(), body=st.dictionaries(st.text(), st.floats(allow_nan=False)))
def test_the_published_library_accepts_what_is_signed(secret: str, event_id: object, body: dict[str, float]) -> None:
    """Whatever is signed with any secret is accepted by the reference library."""
    raw = json.dumps(body).encode()

    assert accepts(secret, headers_of(Signer([secret]), raw, event_id=f"{event_id}_1_0"), raw)


@pytest.mark.parametrize("whose", ["installation", "project"])
@given(old=secrets, new=secrets, third=secrets)
def test_every_secret_signs_while_they_are_rotated(whose: str, old: str, new: str, third: str) -> None:
    """A receiver that knows the old or the new secret accepts; one that knows neither does not."""
    signer = Signer([old, new]) if whose == "installation" else Signer(keys=Keys([old, new]))
    headers = headers_of(signer, b"{}")

    assert [True, True] == [accepts(secret, headers, b"{}") for secret in (old, new)]
    assert accepts(third, headers, b"{}") == (third in {old, new})


def test_the_secrets_of_the_project_take_the_place_of_the_installations() -> None:
    """Who holds the installation's secret cannot vouch for a project that has its own."""
    of_project = new_value()
    headers = headers_of(Signer([SECRET], keys=Keys([of_project])), b"{}")

    assert [True, False] == [accepts(secret, headers, b"{}") for secret in (of_project, SECRET)]


def test_without_secrets_of_its_own_a_project_is_signed_for_by_the_installation() -> None:
    """Nothing changes for those that have never made one."""
    assert accepts(SECRET, headers_of(Signer([SECRET], keys=Keys([])), b"{}"), b"{}")


def test_without_secrets_nothing_is_signed() -> None:
    """No secret means no signature, not an empty key."""
    assert Signer().sign(a_notification(), 0, b"{}") == ""
    assert signature_of([], "a_1_0", 0, b"{}") == ""


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "hunter2",
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_***",
        f"whsec_{b64encode(bytes(65)).decode()}",
        f"{SECRET}é",
    ],
)
def test_what_is_no_secret_is_refused_without_repeating_it(secret: str) -> None:
    """A wrong secret is refused at start, with the remedy and without the secret in the message."""
    with pytest.raises(SettingsError, match="Make one with") as refusal:
        Signer([SECRET, secret])

    assert "number 2" in refusal.value.message
    assert not secret.removeprefix("whsec_") or secret not in refusal.value.message
