# SPDX-License-Identifier: Apache-2.0
"""A process that is a member until it is killed. Run as a file: ``member.py URL MEMBER_ID``."""

import sys
from threading import Event

from alarmd.cluster.tooz_membership import ToozMembership


def main() -> None:
    """Join, and say how many shards are owned whenever that changes."""
    url, member_id = sys.argv[1:]
    membership = ToozMembership(url, member_id, interval_s=0.05)
    said = -1
    while True:
        if said != len(membership.owned()):
            said = len(membership.owned())
            print(said, flush=True)  # noqa: T201  the lines are how it talks to the test
        Event().wait(0.02)


if __name__ == "__main__":
    main()
