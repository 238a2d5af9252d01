# SPDX-License-Identifier: Apache-2.0
import json
import time
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from alarmd.errors import SettingsError
from alarmd.notifiers.signing import Signer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

secrets = st.binary(min_size=24, max_size=64).map(lambda key: f"whsec_{b64encode(key).decode()}")


def test_the_published_vector_is_reproduced() -> None:
    """The signature equals the one that the specification's own tests expect."""
    signature = Signer([SECRET]).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(secret=secrets, event_id=st.uuids(), body=st.dictionaries(st.text(), st.floats(allow_nan=False)))
def test_the_published_library_accepts_what_is_signed(secret: str, event_id: object, body: dict[str, float]) -> None:
    """Whatever is signed with any secret is accepted by the reference library."""
    now_s = int(time.time())
    raw = json.dumps(body).encode()
    headers = {
        "webhook-id": f"{event_id}_1_0",
        "webhook-timestamp": str(now_s),
        "webhook-signature": Signer([secret]).sign(f"{event_id}_1_0", now_s, raw),
    }

    Webhook(secret).verify(raw, headers)


@given(old=secrets, new=secrets, third=secrets)
def test_every_secret_signs_while_they_are_rotated(old: str, new: str, third: str) -> None:
    """A receiver that knows the old or the new secret accepts; one that knows neither does not."""
    now_s = int(time.time())
    headers = {
        "webhook-id": "a_1_0",
        "webhook-timestamp": str(now_s),
        "webhook-signature": Signer([old, new]).sign("a_1_0", now_s, b"{}"),
    }

    Webhook(old).verify(b"{}", headers)
    Webhook(new).verify(b"{}", headers)
    if third not in {old, new}:
        with pytest.raises(WebhookVerificationError):
            Webhook(third).verify(b"{}", headers)


def test_without_secrets_nothing_is_signed() -> None:
    """No secret means no signature, not an empty key."""
    assert Signer().sign("a_1_0", 0, b"{}") == ""


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
