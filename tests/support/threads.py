# SPDX-License-Identifier: Apache-2.0
"""Runs things side by side."""

import threading
from collections.abc import Callable


def run_together(*jobs: Callable[[], object], timeout_s: float = 60) -> None:
    """Run jobs in threads that start together, wait for all, and raise what any of them raised."""
    barrier = threading.Barrier(len(jobs))
    failures: list[BaseException] = []

    def guarded(job: Callable[[], object]) -> None:
        try:
            barrier.wait(timeout_s)
            job()
        except BaseException as error:  # noqa: BLE001  # handed on to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout_s)
        assert not thread.is_alive(), "a job did not end in time"
    if failures:
        raise failures[0]
