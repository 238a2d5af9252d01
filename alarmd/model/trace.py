# SPDX-License-Identifier: Apache-2.0
"""W3C trace context: the thread from whoever pushed a sample to whoever receives the webhook that came of it."""

import re
from functools import lru_cache
from hashlib import blake2b
from random import getrandbits
from secrets import token_hex
from typing import Final

#: Trace and span in small hex digits, neither of them all zeros; of a later version more may follow behind a dash.
_TRACEPARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-"
    r"(?P<flags>[0-9a-f]{2})(?P<more>-.*)?",
    re.ASCII,
)
_SAMPLED: Final = 0x01
#: What the ids of our own traces begin with; nobody but alarmd ever sees them.
_OWN: Final = "a1a24d00"


def read_traceparent(text: str | None) -> str:
    """Return a `traceparent` in version 00 with no flag but "sampled"; empty for one that does not hold to W3C's rules.

    What cannot be read is as good as none, as the standard has it: nobody's samples are refused for that.
    """
    parts = _TRACEPARENT.fullmatch(text or "")
    if parts is None or (parts["version"] == "00" and parts["more"] is not None):
        return ""
    return f"00-{parts['trace']}-{parts['span']}-{int(parts['flags'], 16) & _SAMPLED:02x}"


def new_traceparent() -> str:
    """Return the beginning of a trace of our own, which nobody is asked to record."""
    return f"00-{_OWN}{token_hex(12)}-{token_hex(8)}-00"


@lru_cache(maxsize=1024)  # a push, or a poll, reaches thousands of alarms of some projects
def of_project(traceparent: str, project_id: str) -> str:
    """Return the trace as a project sees it: one of its own where it is of ours, else the same.

    Tenants must not find out from a poll's trace who else is on the same host.
    """
    is_ours = traceparent.startswith(f"00-{_OWN}") and traceparent.endswith("-00")
    if not is_ours:
        return traceparent
    drawn = blake2b(f"{traceparent}\n{project_id}".encode(), digest_size=24).hexdigest()
    return f"00-{drawn[:32]}-{drawn[32:]}-{traceparent[53:]}"


def span_id() -> str:
    """Return the id of a new span."""
    # Without asking the system, where a thread loses its turn: it has to differ from others, not to be hard to guess.
    return f"{getrandbits(64):016x}"


def next_traceparent(traceparent: str) -> str:
    """Return a new span of the same trace, recorded if the one before was."""
    return f"{traceparent[:36]}{span_id()}{traceparent[52:]}"


def trace_id_of(traceparent: str) -> str:
    """Return which trace a span belongs to."""
    return traceparent[3:35]
