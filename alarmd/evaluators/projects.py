# SPDX-License-Identifier: Apache-2.0
"""Projects: whose alarms there are, and how many each has."""

from collections.abc import Mapping

from alarmd.model.alarm import AlarmId


class Projects:
    """The projects of alarms. Each name is held once, however many alarms a project has."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._of: dict[AlarmId, str] = {}
        self._sizes: dict[str, int] = {}

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many alarms each project has; projects without any are not there."""
        return self._sizes

    def of(self, alarm_id: AlarmId) -> str:
        """Return the project of an alarm, which must be there."""
        return self._of[alarm_id]

    def join(self, alarm_id: AlarmId, project_id: str) -> None:
        """Add an alarm that is not there."""
        name = self._names.setdefault(project_id, project_id)
        self._of[alarm_id] = name
        self._sizes[name] = self._sizes.get(name, 0) + 1

    def leave(self, alarm_id: AlarmId) -> None:
        """Take an alarm away, if it is there."""
        name = self._of.pop(alarm_id, None)
        if name is None:
            return
        self._sizes[name] -= 1
        if not self._sizes[name]:
            del self._sizes[name], self._names[name]
