# SPDX-License-Identifier: Apache-2.0
"""A fleet of virtual machines that report their processor load, the same for every benchmark.

Hosts have 100 machines each and report all of them at one moment, every ten seconds, a second early or late. The load
of a machine rises and falls within two hours or so, with noise, and the alarms on it have thresholds near the top of
the swing. So few alarms are in state alarm at a time, and one in a thousand changes from one round to the next.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from alarmd.model.samples import Batch, Metric, Resource

METRIC = Metric(name="cpu_util", unit="%")
INTERVAL_S = 10.0
#: How far a host's moment lies from its round, or from its turn in it, at most.
JITTER_S = 1.0
#: Hosts that report at moments of their own take turns: so many in a round.
TURNS = 10

_VMS_A_HOST = 100
_PROJECTS = 1000
_MEAN, _SWING, _NOISE = 50.0, 30.0, 2.0
_CYCLE_S = 8_000.0
_THRESHOLDS = (75.0, 85.0)


class Fleet:
    """As many machines as there are series; round k is reported around `start_s` + k · `INTERVAL_S`.

    A `staggered` fleet's hosts take turns: a tenth of them reports each second.
    """

    def __init__(
        self, *, series: int, start_s: float, resources: Sequence[Resource] | None = None, staggered: bool = False
    ) -> None:
        self.start_s = start_s
        self.resources = list(resources) if resources is not None else [_machine(number) for number in range(series)]
        self._hosts = [tuple(self.resources[first : first + _VMS_A_HOST]) for first in range(0, series, _VMS_A_HOST)]
        self._turn_s = INTERVAL_S / TURNS if staggered else 0.0
        # One seed for all: two fleets of one size and start report the same.
        self._random = np.random.default_rng(1)
        self._phase = self._random.uniform(0, 1, series)
        self._metrics = (METRIC,)

    def moment_s(self, number: int, turn: int = TURNS - 1) -> float:
        """Return when all samples of a round have been reported, or those up to a turn."""
        return self.start_s + number * INTERVAL_S + turn * self._turn_s + JITTER_S

    def report(self, number: int, turn: int | None = None) -> Iterator[Batch]:
        """Yield the batches of a round, one a host, or those of one turn."""
        for host, resources in enumerate(self._hosts):
            if turn is not None and host % TURNS != turn:
                continue
            moment_s = self.start_s + number * INTERVAL_S + host % TURNS * self._turn_s
            timestamp_s = moment_s + self._random.uniform(-JITTER_S, JITTER_S)
            machines = slice(host * _VMS_A_HOST, host * _VMS_A_HOST + len(resources))
            values = self.load(timestamp_s, machines) + self._random.normal(0, _NOISE, len(resources))
            yield Batch(
                source=f"host-{host}",
                timestamp_s=round(timestamp_s, 3),
                metrics=self._metrics,
                resources=resources,
                values=values[:, None],
                expected=len(resources),
            )

    def load(self, time_s: float, machines: slice = slice(None)) -> NDArray[np.float64]:
        """Return the load of some machines, or all of them, at a moment, without noise, in percent."""
        return _MEAN + _SWING * np.sin(2 * np.pi * (time_s / _CYCLE_S + self._phase[machines]))

    @staticmethod
    def thresholds(alarms: int) -> NDArray[np.float64]:
        """Return a threshold for each alarm; alarm i watches machine i modulo the number of machines."""
        return np.random.default_rng(2).uniform(*_THRESHOLDS, alarms)


def _machine(number: int) -> Resource:
    return Resource(id=f"vm-{number:07d}", project_id=f"project-{number % _PROJECTS}")
