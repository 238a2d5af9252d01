# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from alarmd import plugins
from alarmd.clock import ManualClock
from alarmd.errors import SettingsError
from alarmd.model.samples import Batch
from alarmd.pollers.host import HostOptions, HostSource


def a_source(clock: ManualClock) -> HostSource:
    options = HostOptions(resource_id="here", project_id="acme", labels={"group": "desks"})
    return HostSource(name="host", options=options, clock=clock)


def value(batch: Batch, metric: str) -> float:
    return float(batch.values[0, [entry.name for entry in batch.metrics].index(metric)])


def names(batch: Batch) -> set[str]:
    return {metric.name for metric in batch.metrics}


def test_this_machine_is_reported() -> None:
    """The machine's CPU, memory and load are there at once, its utilisation from the second poll on."""
    clock = ManualClock()
    source = a_source(clock)
    first, *_ = source.poll()
    sum(range(2_000_000))  # some work, so that the machine's CPU time moves
    clock.advance(1)
    second, *_ = source.poll()

    assert [resource.id for resource in first.resources] == ["here"]
    assert first.resources[0].project_id == "acme"
    assert dict(first.resources[0].labels) == {"group": "desks", "host": "here"}
    assert "cpu_util" not in names(first)
    assert 0 <= value(second, "cpu_util") <= 100
    assert 0 < value(second, "memory.usage") < value(second, "memory")
    assert 0 < value(second, "memory.util") < 100
    assert value(second, "load.1m") >= 0
    assert second.timestamp_s - first.timestamp_s == pytest.approx(1)


def test_interfaces_have_counters_and_rates() -> None:
    """Each interface is a resource with the machine's labels; rates come with the second poll and are not negative."""
    clock = ManualClock()
    source = a_source(clock)
    source.poll()
    clock.advance(1)
    nics = source.poll()[-1]

    assert "here-lo" in {resource.id for resource in nics.resources}
    assert all(("group", "desks") in resource.labels for resource in nics.resources)
    assert {"network.incoming.bytes", "network.incoming.bytes.rate"} <= names(nics)
    assert np.all(nics.values >= 0)


def test_a_restart_costs_no_rate() -> None:
    """A source that is given its predecessor's batches has rates in its first poll."""
    clock = ManualClock()
    before = a_source(clock).poll()
    sum(range(2_000_000))
    clock.advance(5)
    source = a_source(clock)
    source.resume(before)
    machine, *_ = source.poll()

    assert 0 <= value(machine, "cpu_util") <= 100


def test_a_wrong_option_is_explained() -> None:
    """A key that does not exist is refused with the nearest that does."""
    with pytest.raises(SettingsError, match="project_id"):
        plugins.parse_options(HostOptions, {"projectid": "x"}, where="poller.sources.0")
