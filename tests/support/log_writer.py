# SPDX-License-Identifier: Apache-2.0
"""A process that writes to a sample log and says, a line each, which of its batches have been taken.

Run as a file: ``log_writer.py ENGINE OPTIONS_JSON STATE_DIR WRITER COUNT``. Number n of writer w is of source ``w``,
has the value n, and is two batches: one of a resource in each of several projects, and one of a project by itself.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alarmd import plugins
from alarmd.cache.log import LogLimits, LogPlugin
from alarmd.clock import SystemClock
from alarmd.model.samples import Batch, Metric, Resource

_TOGETHER = ("apple", "birch", "cedar", "doum", "elm", "fir")
_ALONE = ("gum",)
PROJECTS = (*_TOGETHER, *_ALONE)


def main() -> None:
    """Append, and print the number of each batch once it has been taken."""
    engine, options, state_dir, writer, count = sys.argv[1:]
    plugin: LogPlugin = plugins.load("alarmd.logs", engine)
    clock = SystemClock()
    log = plugin.build(
        options=plugin.options(**json.loads(options)),
        state_dir=Path(state_dir),
        limits=LogLimits(retention_s=3600, max_bytes=1 << 30),
        clock=clock,
    )
    for number in range(int(count)):
        log.append([_batch(writer, clock.time_s(), projects, number) for projects in (_TOGETHER, _ALONE)])
        print(number, flush=True)  # noqa: T201  the lines are how it talks to the test
    log.close()


def _batch(writer: str, timestamp_s: float, projects: Sequence[str], number: int) -> Batch:
    return Batch(
        source=writer,
        timestamp_s=timestamp_s,
        metrics=(Metric(name="number"),),
        resources=tuple(Resource(id=project, project_id=project) for project in projects),
        values=np.full((len(projects), 1), float(number)),
        expected=len(projects),
    )


if __name__ == "__main__":
    main()
