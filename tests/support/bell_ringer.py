# SPDX-License-Identifier: Apache-2.0
"""A process that rings a bell, or that listens until it is killed.

Run as a file: ``bell_ringer.py local|redis PLACE ring|listen BELL``. It says ``ready`` once it is about to.
"""

import sys
from pathlib import Path

from alarmd.cluster.doorbell import Bell, Doorbell
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.cluster.redis_doorbell import RedisDoorbell


def main() -> None:
    """Ring for every line of the standard input, or print a line for every ring."""
    kind, place, task, name = sys.argv[1:]
    doorbell: Doorbell = LocalDoorbell(Path(place)) if kind == "local" else RedisDoorbell(place)
    bell = Bell(name)
    if task == "ring":
        print("ready", flush=True)  # noqa: T201  the lines are how it talks to the test
        for _ in sys.stdin:
            doorbell.ring(bell)
    else:
        listener = doorbell.listen(bell)
        print("ready", flush=True)  # noqa: T201  the lines are how it talks to the test
        while True:
            if listener.wait(60.0):
                print("rung", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
