# SPDX-License-Identifier: Apache-2.0
import io
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.parser import text_string_to_metric_families

from alarmd import telemetry
from alarmd.telemetry import Exposition, LogFormat, LogLevel, configure_logging


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what a test does to the log."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def an_exposition(folder: Path | None, process: str, *, count: float) -> Exposition:
    """Return the metrics of a process that has counted so far, and nothing else."""
    registry = CollectorRegistry()
    Counter("alarmd_things_total", "Things.", ["kind"], registry=registry).labels("a").inc(count)
    return Exposition(folder, process=process, registry=registry)


def values(page: bytes) -> dict[tuple[str, str], float]:
    """Return each value of a page by its name and process."""
    return {
        (sample.name, sample.labels.get("process", "")): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_one_page_for_all_processes(tmp_path: Path) -> None:
    """A process shows its own numbers as they are now and the others' as they last published them."""
    an_exposition(tmp_path, "evaluator[0]", count=1).publish()
    an_exposition(tmp_path, "evaluator[1]", count=2).publish()
    own = an_exposition(tmp_path, "api[0]", count=3)
    own.publish()

    assert {
        ("alarmd_things_total", "evaluator[0]"): 1.0,
        ("alarmd_things_total", "evaluator[1]"): 2.0,
        ("alarmd_things_total", "api[0]"): 3.0,
    } == values(own.render())


def test_each_family_is_described_once(tmp_path: Path) -> None:
    """Prometheus refuses a page that describes a metric twice."""
    an_exposition(tmp_path, "evaluator[0]", count=1).publish()
    page = an_exposition(tmp_path, "api[0]", count=3).render().decode()

    assert 1 == page.count("# TYPE alarmd_things_total counter")


def test_successor_takes_the_place_of_the_dead(tmp_path: Path) -> None:
    """A process that comes back replaces the numbers of the one that died; nothing piles up."""
    an_exposition(tmp_path, "evaluator[0]", count=5).publish()
    an_exposition(tmp_path, "evaluator[0]", count=1).publish()

    assert {("alarmd_things_total", "evaluator[0]"): 1.0} == values(
        an_exposition(tmp_path, "evaluator[0]", count=1).render()
    )
    assert ["evaluator[0].prom"] == [path.name for path in tmp_path.iterdir()]


def test_earlier_life_is_cleared(tmp_path: Path) -> None:
    """A daemon does not show the numbers of processes that it does not have any more."""
    exposition = an_exposition(tmp_path, "evaluator[7]", count=5)
    exposition.publish()
    exposition.clear()

    assert {} == exposition.ages_s(now_s=0.0)


def test_age_of_a_snapshot(tmp_path: Path) -> None:
    """How long a process has been silent can be seen by the others."""
    exposition = an_exposition(tmp_path, "poller[0]", count=1)
    exposition.publish()
    os.utime(tmp_path / "poller[0].prom", (1000.0, 1000.0))

    assert {"poller[0]": 20.0} == exposition.ages_s(now_s=1020.0)


def test_nothing_needs_to_be_set_up() -> None:
    """Without a directory metrics are counted all the same, and publishing does nothing."""
    exposition = an_exposition(None, "", count=1)
    exposition.publish()
    exposition.clear()

    assert {("alarmd_things_total", ""): 1.0} == values(exposition.render())


def test_gauge_is_shown_by_those_who_set_it() -> None:
    """A process that knows nothing of a gauge does not report a zero for it."""
    registry = CollectorRegistry()
    gauge = Gauge("alarmd_level", "Level.", registry=registry)
    gauge.set(float("nan"))
    before = values(Exposition(registry=registry).render())
    gauge.set(3)

    assert {} == before
    assert {("alarmd_level", ""): 3.0} == values(Exposition(registry=registry).render())


def test_names_of_metrics() -> None:
    """Every metric bears the project's name, and counts end in `_total`, times in `_seconds`."""
    names = set()
    for registry in (telemetry.REGISTRY, telemetry.SUPERVISOR_REGISTRY):
        for family in registry.collect():
            suffix = "_total" if family.type == "counter" else ""
            names.add(f"{family.name}{suffix}")
            assert family.type != "histogram" or family.name.endswith("_seconds")
    ours = {name for name in names if not name.startswith("process_")}

    assert [] == [name for name in ours if not re.fullmatch(r"alarmd_[a-z_]+", name)]


def test_json_lines() -> None:
    """Events of alarmd and messages of libraries come as one JSON object a line, with level and time."""
    stream = io.StringIO()
    configure_logging(level=LogLevel.INFO, log_format=LogFormat.JSON, stream=stream)
    structlog.get_logger().info("batch_appended", shard=3)
    logging.getLogger("some.library").warning("odd: %s", 1)
    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())

    assert ("batch_appended", 3, "info") == (ours["event"], ours["shard"], ours["level"])
    assert ("odd: 1", "some.library", "warning") == (theirs["event"], theirs["logger"], theirs["level"])
    assert ours["timestamp"].endswith("Z")


def test_level_is_a_floor() -> None:
    """What is less severe than the level is not written."""
    stream = io.StringIO()
    configure_logging(level=LogLevel.WARNING, log_format=LogFormat.JSON, stream=stream)
    structlog.get_logger().info("unheard")
    logging.getLogger("some.library").info("unheard")

    assert "" == stream.getvalue()


def test_traceback_holds_no_variables() -> None:
    """A traceback tells where, and never the values of variables, which may be secrets."""
    stream = io.StringIO()
    configure_logging(level=LogLevel.INFO, log_format=LogFormat.JSON, stream=stream)
    try:
        target = "0123hidden"
        int(target)
    except ValueError:
        structlog.get_logger().exception("broken")

    assert "test_traceback_holds_no_variables" in stream.getvalue()


def test_console_lines() -> None:
    """For people an event is a line that begins with the time and names the event."""
    stream = io.StringIO()
    configure_logging(level=LogLevel.INFO, log_format=LogFormat.CONSOLE, stream=stream)
    structlog.get_logger().info("batch_appended", shard=3)

    assert "batch_appended" in stream.getvalue()
    assert "shard=3" in stream.getvalue()


def test_every_metric_is_documented() -> None:
    """docs/operations.md has a row for each metric, and for no other."""
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    documented = re.findall(r"^\| `(alarmd_[a-z_]+)` \|", page, re.MULTILINE)
    known = [
        f"{family.name}{'_total' if family.type == 'counter' else ''}"
        for registry in (telemetry.REGISTRY, telemetry.SUPERVISOR_REGISTRY)
        for family in registry.collect()
        if not family.name.startswith("process_")
    ]

    assert known == documented


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    """On a full disk events are lost, and nothing else: whoever logs goes on."""
    full = Path("/dev/full").open("w", encoding="utf-8", buffering=1)  # noqa: SIM115  # closing it fails as well
    configure_logging(level=LogLevel.INFO, log_format=LogFormat.JSON, stream=full)
    structlog.get_logger().info("thing_happened")
    logging.getLogger("library").warning("something happened")

    with pytest.raises(OSError, match="No space left"):
        full.close()
