# SPDX-License-Identifier: Apache-2.0
"""Python's search for cyclic garbage, kept out of the way of a process that fills its memory with what it will keep."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: A search follows so many objects that were made and not let go of. Python's own 700 have a storm, which makes 300,000
#: that are no garbage, searched hundreds of times: for a sixteenth of the time that it takes.
_MADE = 20_000


def search_rarely() -> None:
    """Have this process search for garbage when there may be some, rather than all the time."""
    gc.set_threshold(_MADE, *gc.get_threshold()[1:])


@contextmanager
def filling() -> Iterator[None]:
    """Search for no garbage within; afterwards once, and from then on pass over what is there.

    A collector that runs each time the heap has grown by a quarter walks all of it again and again, though next to
    none of it is garbage: taking over shards would take a fifth longer, and later each full search would hold up a tick
    while it walks a million objects. Counts of references do their work all the time.
    """
    was_enabled = gc.isenabled()
    # What was filled before may be garbage by now.
    gc.unfreeze()
    gc.collect()
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
