# SPDX-License-Identifier: Apache-2.0
"""The breaker of the installation: why scale-in is held back everywhere, and until when."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What one evaluator says of it; scale-in is held back while any of them says so."""

    #: The evaluator.
    owner: str
    #: In words.
    reason: str
    since: datetime
    #: It ends by then unless the evaluator says so again, so one that dies holds nothing back for longer.
    until: datetime
