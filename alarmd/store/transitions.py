# SPDX-License-Identifier: Apache-2.0
"""Transitions: state, history and outgoing notifications of a whole tick in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from alarmd.model.alarm import AlarmId
from alarmd.model.transition import Transition
from alarmd.store.database import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedTransition:
    """A transition that took effect, and what the alarm's counters are now."""

    alarm_id: AlarmId
    state_version: int
    sequence: int
    #: How many notifications were put in the outbox.
    notifications: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of the transitions of a tick."""

    applied: list[AppliedTransition]
    #: Alarms that are gone, disabled, edited or moved on meanwhile: to be read again.
    stale: list[AlarmId]


def apply(unit: UnitOfWork, transitions: Sequence[Transition]) -> Applied:
    """Make transitions true where the alarm still is what they were decided on; leave the others alone."""
