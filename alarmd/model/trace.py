# SPDX-License-Identifier: Apache-2.0
"""W3C trace context: the thread from whoever pushed a sample to whoever receives the webhook that came of it."""

import re
from secrets import token_hex
from typing import Final

#: Trace and span in small hex digits, neither of them all zeros; of a later version more may follow behind a dash.
_TRACEPARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-"
    r"(?P<flags>[0-9a-f]{2})(?P<more>-.*)?",
    re.ASCII,
)
_SAMPLED: Final = 0x01


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
    return f"00-{token_hex(16)}-{token_hex(8)}-00"


def next_traceparent(traceparent: str) -> str:
    """Return a new span of the same trace, recorded if the one before was."""
    return f"{traceparent[:36]}{token_hex(8)}{traceparent[52:]}"


def trace_id_of(traceparent: str) -> str:
    """Return which trace a span belongs to."""
    return traceparent[3:35]
