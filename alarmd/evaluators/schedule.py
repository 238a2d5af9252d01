# SPDX-License-Identifier: Apache-2.0
"""Time constraints: when an alarm is evaluated at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from alarmd.errors import InvalidInput


def normalise_constraints(constraints: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return time constraints complete and in wire form, every default filled in.

    Raises `InvalidInput` in Aodh's words.
    """
    if constraints:
        raise InvalidInput(
            f"Invalid input for field/attribute time_constraints. Value: '{list(constraints)}'. Time constraints are "
            "not supported yet."
        )
    return ()
