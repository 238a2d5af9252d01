# SPDX-License-Identifier: Apache-2.0
import pytest

from alarmd.clock import ManualClock
from alarmd.errors import TargetRefused
from alarmd.notifiers.scheme import Reason
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.notifiers.trust import PLUGIN, entrusted
from tests.support.notifications import a_notification


@pytest.mark.parametrize(
    ("target", "trust_id", "url"),
    [
        ("trust+http://t1@h:8004/v1/a%2Fb?c=%2B", "t1", "http://h:8004/v1/a%2Fb?c=%2B"),
        ("trust+https://t1@h", "t1", "https://h"),
        ("trust+http://t1@h?who=a@b", "t1", "http://h?who=a@b"),
        ("trust+http://h/who@b", "", "http://h/who@b"),
        ("trust+http://h?who=a@b", "", "http://h?who=a@b"),
        ("TRUST+HTTP://t1@h/", "t1", "HTTP://h/"),
    ],
)
def test_the_trust_is_taken_out_of_the_url(target: str, trust_id: str, url: str) -> None:
    """What is called is the URL without the trust and without `trust+`, otherwise byte for byte."""
    assert (trust_id, url) == (entrusted(target).trust_id, entrusted(target).url)


def test_targets_are_checked_as_webhooks_are() -> None:
    """A trust does not make a forbidden address good."""
    PLUGIN.check("trust+http://heat:8004/v1/signal", policy=TargetPolicy())
    with pytest.raises(TargetRefused):
        PLUGIN.check("trust+http://169.254.169.254/latest", policy=TargetPolicy())
    with pytest.raises(TargetRefused):
        PLUGIN.check("trust+http:h/", policy=TargetPolicy())


def test_without_a_keystone_a_delivery_is_given_up_with_the_reason() -> None:
    """Where no Keystone is set up nothing is sent, and the delivery says why."""
    scheme = PLUGIN.build(options=PLUGIN.options(), clock=ManualClock(), policy=TargetPolicy(), signer=Signer())
    attempt = scheme.deliver(a_notification(target="trust+http://t1@heat/"))
    scheme.close()

    assert (Reason.TRUST, False) == (attempt.reason, attempt.retryable)
    assert "this alarmd has no [keystone] to get a token from" == attempt.detail
