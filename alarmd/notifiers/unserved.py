# SPDX-License-Identifier: Apache-2.0
"""Schemes that clients write into alarms and alarmd does not serve: taken, kept, and given up with a reason.

Heat's templates hold such actions among others. Refusing them would keep whole stacks from being made; taking them in
silence would hide that nobody is told.
"""

from alarmd.clock import Clock
from alarmd.model.notification import Notification
from alarmd.notifiers.scheme import Attempt, Reason, SchemePlugin, scheme_of
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.plugins import Options


class UnservedOptions(Options):
    """There is nothing to say about it."""


class UnservedScheme:
    """Gives up every notification at once."""

    #: Nothing is waited for.
    deadline_s = 1.0

    def __init__(self, *, options: UnservedOptions, clock: Clock, policy: TargetPolicy, signer: Signer) -> None:
        del options, clock, policy, signer  # What the seam offers and nobody is told with.

    def deliver(self, notification: Notification) -> Attempt:
        name = scheme_of(notification.target)
        return Attempt(reason=Reason.INVALID, retryable=False, detail=f"alarmd cannot send to {name}:// yet")

    def close(self) -> None:
        pass


def _check(target: str, *, policy: TargetPolicy) -> None:
    """Accept anything: nothing is connected to."""
    del target, policy


PLUGIN = SchemePlugin(options=UnservedOptions, build=UnservedScheme, check=_check)
