# SPDX-License-Identifier: Apache-2.0
"""How projects share what one tick has room for, so that a storm in one of them holds nobody else up."""

from collections.abc import Callable, Sequence

from alarmd.model.alarm import AlarmId
from alarmd.model.transition import Transition


def shared_out(
    transitions: Sequence[Transition], project_of: Callable[[AlarmId], str], *, limit: int
) -> Sequence[Transition]:
    """Return at most `limit` transitions: all of the projects that want few, an equal share of those that want many."""
    if len(transitions) <= limit:
        return transitions
    by_project: dict[str, list[Transition]] = {}
    for one in transitions:
        by_project.setdefault(project_of(one.alarm_id), []).append(one)
    chosen: list[Transition] = []
    # Those that want least come first: what they leave of their shares is for the others.
    for served, wanted in enumerate(sorted(by_project.values(), key=len)):
        share = (limit - len(chosen)) // (len(by_project) - served)
        chosen += wanted[:share]
    return chosen
