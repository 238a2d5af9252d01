# SPDX-License-Identifier: Apache-2.0
"""Files of samples: JSON lines, a sample a line."""

import json
from collections.abc import Iterator
from typing import Any, TextIO


class BrokenLine:
    """A line that is no JSON."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def lines_of(source: TextIO) -> Iterator[tuple[int, Any]]:
    """Yield the samples of JSON lines with the number of their line; empty lines are passed over."""
    for number, line in enumerate(source, start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line, parse_constant=_refuse_constant)
        except ValueError as error:
            yield number, BrokenLine(f"not JSON: {error}")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
