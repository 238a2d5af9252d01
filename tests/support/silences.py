# SPDX-License-Identifier: Apache-2.0
"""Builds silences for tests: complete, and different only in what the test is about."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from alarmd.model.silence import Silence, SilenceId
from tests.support.alarms import MORNING


def a_silence(**changes: Any) -> Silence:
    """Return a silence of all alarms of project ``p1``, in force for a day from the morning on, with a new id."""
    values: dict[str, Any] = {
        "silence_id": SilenceId(str(uuid4())),
        "project_id": "p1",
        "author": "ann",
        "comment": "moving racks",
        "starts_at": MORNING,
        "ends_at": MORNING + timedelta(days=1),
        "created_at": MORNING,
    }
    return Silence(**(values | changes))


def a_window(start: str, *, duration: int, timezone: str = "") -> dict[str, Any]:
    """Return a normalised time constraint."""
    return {"name": start, "description": "", "start": start, "duration": duration, "timezone": timezone}
