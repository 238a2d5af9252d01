# SPDX-License-Identifier: Apache-2.0
"""A time of day that can be set for single processes while they run, as an operator or NTP would set the machine's."""

import os
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_SOURCE = Path(__file__).with_suffix(".c")


class SkewedClock:
    """What processes with its environment take for the time of day: the machine's, and so many seconds."""

    def __init__(self, folder: Path, *, skew_s: float = 0.0) -> None:
        library, self._file = folder / "skewed_clock.so", folder / "skew"
        self.set(skew_s)
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl", "-lm"]
        subprocess.run(command, check=True, capture_output=True)
        self.environ: Mapping[str, str] = {"LD_PRELOAD": str(library), "SKEWED_CLOCK": str(self._file)}

    def set(self, skew_s: float) -> None:
        """Set the clock, at once and for everybody; what runs by a clock that nobody can set takes no notice."""
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            # Eight bytes in place: nobody ever reads half of them.
            os.pwrite(file, struct.pack("d", skew_s), 0)
        finally:
            os.close(file)

    @contextmanager
    def wrong(self, skew_s: float) -> Iterator[None]:
        """Have the clock wrong for as long as the block lasts."""
        self.set(skew_s)
        try:
            yield
        finally:
            self.set(0.0)
