# SPDX-License-Identifier: Apache-2.0
import pytest

from alarmd.clock import ManualClock
from alarmd.errors import InvalidInput, TargetRefused
from alarmd.notifiers.scheme import Reason
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.notifiers.zaqar import PLUGIN, queue_of
from tests.support.notifications import a_notification


@pytest.mark.parametrize(
    "target",
    ["trust+zaqar://?queue_name=a_B-1.c", "trust+zaqar:?queue_name=a_B-1.c", "trust+zaqar://t1@?queue_name=a_B-1.c"],
)
def test_every_spelling_of_a_queue_is_read(target: str) -> None:
    """Heat writes it with two slashes, Aodh gave it back without, and the outbox has the trust in it."""
    assert "a_B-1.c" == queue_of(target).name_for("alarm")


def test_a_topic_names_a_queue_of_the_alarms_own() -> None:
    """With a topic the queue is named after the alarm; the rest is for the subscriptions."""
    queue = queue_of("zaqar://?topic=cpu&subscriber=mailto%3Aops%40example.org&subscriber=http%3A%2F%2Fh%2F&ttl=60")

    assert "alarm-cpu" == queue.name_for("alarm")
    assert (("mailto:ops@example.org", "http://h/"), 60) == (queue.subscribers, queue.ttl_s)
    assert 3600 == queue_of("zaqar://?topic=cpu").ttl_s


def test_what_zaqar_has_signed_becomes_headers() -> None:
    """All that was signed is shown as it is, under Zaqar's names."""
    queue = queue_of("zaqar://?queue_name=q&signature=s&expires=e&methods=GET,POST&paths=/v2/q/m,/x&project_id=p")

    assert {
        "URL-Signature": "s",
        "URL-Expires": "e",
        "URL-Methods": "GET,POST",
        "URL-Paths": "/v2/q/m,/x",
        "X-Project-Id": "p",
    } == queue.signed


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("zaqar://", "neither topic nor queue_name"),
        ("trust+zaqar://?topic=a", "no queue_name"),
        ("zaqar://?queue_name=q&signature=s", "needs expires, methods, paths, project_id too"),
        ("zaqar://?topic=..%2Fx", "letters, digits"),
        ("trust+zaqar://?queue_name=..", "letters, digits"),
        ("trust+zaqar://?queue_name=" + "a" * 65, "letters, digits"),
        ("zaqar://?topic=a&ttl=soon", "cannot be read"),
        ("zaqar://?topic=a&ttl=0", "more than zero"),
        ("zaqar://?topic=a" + "&subscriber=mailto:a" * 11, "more than 10 subscribers"),
        ("zaqar://?" + "a=b&" * 101, "cannot be read"),
        ("zaqar://?topic=a&subscriber=trust%2Bhttps://r.example/", "http, https or mailto"),
        ("zaqar://?topic=a&subscriber=%20http://169.254.169.254/", "http, https or mailto"),
        (
            "zaqar://?queue_name=q&expires=1&methods=m&paths=p&project_id=p&signature=a%0D%0AX-Project-Id:%20b",
            "visible ASCII",
        ),
        ("zaqar://?queue_name=q&expires=1&methods=m&paths=p&project_id=p&signature=%C3%A4", "visible ASCII"),
    ],
)
def test_what_zaqar_could_not_do_is_refused(target: str, message: str) -> None:
    """The refusal says what is missing, in the words that clients know from Aodh and more."""
    with pytest.raises(InvalidInput, match=message) as refusal:
        PLUGIN.check(target, policy=TargetPolicy())

    assert refusal.value.message.startswith(f"Unsupported action {target}")


def test_subscribers_are_checked_as_webhooks_are() -> None:
    """Zaqar would call them from inside the cloud, as alarmd would."""
    PLUGIN.check("zaqar://?topic=a&subscriber=mailto:a@b&subscriber=http://10.0.0.1/", policy=TargetPolicy())
    with pytest.raises(TargetRefused):
        PLUGIN.check("zaqar://?topic=a&subscriber=http://169.254.169.254/", policy=TargetPolicy())


@pytest.mark.parametrize(
    ("target", "reason"), [("zaqar://?topic=a", Reason.TRUST), ("trust+zaqar://t1@", Reason.INVALID)]
)
def test_without_a_keystone_nothing_is_sent(target: str, reason: Reason) -> None:
    """Zaqar is found through Keystone, so without one a delivery is given up at once."""
    scheme = PLUGIN.build(options=PLUGIN.options(), clock=ManualClock(), policy=TargetPolicy(), signer=Signer())
    attempt = scheme.deliver(a_notification(target=target))
    scheme.close()

    assert (reason, False) == (attempt.reason, attempt.retryable)
