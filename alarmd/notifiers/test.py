# SPDX-License-Identifier: Apache-2.0
"""The `test` scheme: sent to nobody. What was to be sent, and when, stands in the list of deliveries."""

from alarmd.clock import Clock
from alarmd.model.notification import Notification
from alarmd.notifiers.scheme import Attempt, Reason, SchemePlugin
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.plugins import Options


class TestOptions(Options):
    """There is nothing to say about it."""


class TestScheme:
    """Takes every notification and does nothing with it; the outbox keeps it as delivered."""

    #: Nothing is waited for.
    deadline_s = 1.0

    def __init__(self, *, options: TestOptions, clock: Clock, policy: TargetPolicy, signer: Signer) -> None:
        del options, clock, policy, signer  # What the seam offers and this has no use for.

    def deliver(self, notification: Notification) -> Attempt:
        del notification
        return Attempt(reason=Reason.OK, retryable=False)

    def close(self) -> None:
        pass


def _check(target: str, *, policy: TargetPolicy) -> None:
    """Accept anything: `test:` and `test://whatever` mean the same."""
    del target, policy


PLUGIN = SchemePlugin(options=TestOptions, build=TestScheme, check=_check)
