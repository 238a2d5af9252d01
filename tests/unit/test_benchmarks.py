# SPDX-License-Identifier: Apache-2.0
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from alarmd.clock import ManualClock
from alarmd.model.rule import CompositeRule, Leaf, Node, WindowRule
from benchmarks.__main__ import main
from benchmarks.exporter import Exporter
from benchmarks.fleet import INTERVAL_S, JITTER_S, TURNS, Fleet
from benchmarks.mix import Machines, Mix, Sort
from benchmarks.prometheus import alert
from benchmarks.receiver import Receiver
from benchmarks.report import Bar, Report
from benchmarks.slope import slope

START = datetime(2026, 1, 1, tzinfo=UTC)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def figures(result: Result) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told


def test_a_tick_is_told_as_json() -> None:
    """The last line of the output holds every figure of a tick with its ratio, and what was demanded."""
    result = run("tick", "--alarms", "60", "--series", "20", "--passes", "2", "--json")

    told = figures(result)
    assert ("tick", 60, 20, 2) == (told["benchmark"], told["alarms"], told["series"], told["passes"])
    measured = ("tick_ms", "tick_p95_ms", "tick_cpu_ms", "first_tick_ms", "ns_per_alarm", "floor_ms", "floor_ratio")
    assert all(told[key] > 0 for key in measured)
    assert {"flips_per_tick", "memory_mib", "bytes_per_alarm", "bytes_per_sample"} <= told.keys()
    bars = {"tick_ms <= 50", "bytes_per_alarm <= 1536", "bytes_per_sample <= 12"}
    assert bars | {"add_ms <= 5", "change_ms <= 5", "delete_ms <= 5"} == told["bars"].keys()
    assert told["ns_per_alarm"] == pytest.approx(told["tick_ms"] * 1e6 / 60, rel=1e-2)


def test_the_slope_of_a_tick_is_told() -> None:
    """A tenth and a third of the alarms are measured as well, and a line through all three is told."""
    told = figures(run("tick", "--alarms", "90", "--series", "30", "--passes", "1", "--slope", "--json"))

    assert all(told[key] > 0 for key in ("tick_ms_at_9", "tick_ms_at_30", "tick_ms_at_90"))
    assert told["tick_ms"] == told["tick_ms_at_90"]
    assert {"slope_ns_per_alarm", "base_ms", "linearity"} <= told.keys()


def test_a_line_is_found_and_what_bends_it_told() -> None:
    """Points on a line have its slope and no distance from it; one beside it is told as a share of itself."""
    straight = slope([(10_000, 2.0), (30_000, 4.0), (100_000, 11.0)])
    bent = slope([(10_000, 2.0), (30_000, 4.0), (100_000, 22.0)])

    assert 100 == pytest.approx(straight["slope_ns_per_alarm"])
    assert 1.0 == pytest.approx(straight["base_ms"])
    assert 0.0 == pytest.approx(straight["linearity"], abs=1e-9)
    assert 0.05 < bent["linearity"] < 1.0


def test_a_mix_of_alarms_is_told_as_json() -> None:
    """Alarms of every sort are evaluated together and each sort alone, after whole rounds and second by second."""
    result = run("tick", "--mix", "--alarms", "100", "--series", "300", "--passes", "1", "--json")

    told = figures(result)
    assert ("mix", 100, 300, 1) == (told["benchmark"], told["alarms"], told["series"], told["passes"])
    sorts = ("series_ms", "groups_ms", "composites_ms", "percentiles_ms")
    assert all(told[key] > 0 for key in ("tick_ms", "second_ms", "second_p95_ms", "floor_ratio", *sorts))
    assert 10 <= told["members_mean"] <= told["largest_group"] <= 300
    assert told["combinations"] <= told["readings"]
    assert {"tick_ms <= 250", "add_ms <= 5", "change_ms <= 5", "delete_ms <= 5"} == told["bars"].keys()


def test_only_alarms_on_single_series_are_held_against_prometheus() -> None:
    """A mix has no counterpart there, and that is said before anything is measured."""
    result = run("tick", "--mix", "--vs-prometheus")

    assert 2 == result.exit_code
    assert "leave out --mix" in result.stderr


def test_a_mix_is_what_it_is_said_to_be() -> None:
    """Shares, sizes of groups and composites are as documented; a group has all that carry its label, on many hosts."""
    machines = Machines(20_000)
    mix = Mix(machines)

    rules = [(sort, mix.rule(sort)[1]) for sort in map(mix.sort, range(2_000))]
    composites = [rule for sort, rule in rules if sort is Sort.COMPOSITE]
    grouped = [rule.reading.selector for sort, rule in rules if sort is Sort.GROUP and isinstance(rule, WindowRule)]

    assert {Sort.SERIES: 1200, Sort.GROUP: 500, Sort.COMPOSITE: 200, Sort.PERCENTILE: 100} == Counter(
        sort for sort, _ in rules
    )
    assert all(3 <= len(leaves(rule.root)) <= 5 for rule in composites if isinstance(rule, CompositeRule))
    sizes = [len(machines.members(selector)) for selector in grouped]
    assert 10 <= min(sizes) < 30
    assert 300 < max(sizes) <= 500
    for selector in grouped[:20]:
        members = machines.members(selector)
        meant = [
            number
            for number, one in enumerate(machines.resources)
            if one.project_id == selector.project_id and set(selector.labels) <= set(one.labels)
        ]
        assert meant == sorted(members)
        assert len({number // 100 for number in members}) > len(members) / 3


def leaves(node: Node) -> list[Leaf]:
    return [node] if isinstance(node, Leaf) else [leaf for one in node.nodes for leaf in leaves(one)]


def test_memory_is_told_as_json() -> None:
    """What alarms, composites and samples take is measured in processes of their own, and told with its bars."""
    told = figures(
        run("memory", "--alarms", "500", "--more-alarms", "600", "--composites", "100", "--series", "200", "--json")
    )

    assert ("memory", 500, 600, 100, 200) == tuple(
        told[key] for key in ("benchmark", "alarms", "more_alarms", "composites", "series")
    )
    assert all(told[f"bytes_per_{key}"] > 0 for key in ("alarm", "alarm_of_more", "composite", "alarm_of_mix"))
    assert 200 * 360 <= told["samples"]
    held_to = {"bytes_per_alarm", "bytes_per_alarm_of_more", "bytes_per_alarm_of_mix"}
    assert {*(f"{key} <= 1536" for key in held_to), "bytes_per_sample <= 12"} == told["bars"].keys()


def test_a_restart_is_measured_through_a_real_daemon() -> None:
    """A daemon starts with what the log and the database hold, and the one alarm that must change has changed."""
    told = figures(run("restart", "--hosts", "1", "--minutes", "2", "--alarms", "20", "--projects", "3", "--json"))

    assert ("restart", 100, 10, 3, 20) == tuple(
        told[key] for key in ("benchmark", "machines", "metrics", "projects", "alarms")
    )
    assert told["samples"] >= 12 * 100 * 10
    assert told["entries"] == 3 * told["samples"] / 1000
    measured = ("ready_s", "ready_cpu_s", "first_verdict_s", "floor_s", "floor_ratio", "held_mib")
    assert all(told[key] > 0 for key in measured)
    assert {"ready_s <= 10"} == told["bars"].keys()


def test_without_json_there_is_a_table() -> None:
    """People get a line for each figure, and progress does not get in between."""
    result = run("tick", "--alarms", "6", "--series", "2", "--passes", "1")

    lines = result.stdout.splitlines()
    assert "tick" == lines[0]
    assert ["alarms", "6"] == lines[1].split()
    assert "measuring 1 passes" in result.stderr


def test_a_storm_is_told_as_json() -> None:
    """Every alarm of a real daemon is flipped by one push, and all that follows is told with its floors."""
    told = figures(run("storm", "--alarms", "5", "--database", "sqlite", "--json"))

    assert ("storm", 5, "sqlite", 0, 0) == tuple(
        told[key] for key in ("benchmark", "alarms", "database", "lost", "repeated")
    )
    # Where there are so few, the last may have come before the push is answered.
    assert isinstance(told["received_s"], float)
    assert all(told[key] > 0 for key in ("committed_s", "api_p99_ms", "committed_ratio", "api_requests"))
    assert {"committed_s <= 1", "received_s <= 8", "api_p99_ms <= 200", "lost <= 0"} == told["bars"].keys()


def test_deliveries_are_told_as_json() -> None:
    """A real notifier drains an outbox and keeps up with flips, with every receiver well and with one that hangs."""
    paces = ("--rate", "60", "--calm-rate", "40", "--trials", "1", "--seconds", "0.5")
    result = run("deliver", "--notifications", "50", *paces, "--database", "sqlite", "--json")

    told = figures(result)
    assert ("deliver", 50, "sqlite") == (told["benchmark"], told["notifications"], told["database"])
    assert (60, 40) == (told["rate"], told["calm_rate"])
    measured = ("p99_ms", "hanging_p99_ms", "first_p99_ms", "cpu_ms", "steady_per_s", "made_per_s")
    assert all(told[f"{prefix}{key}"] > 0 for key in measured for prefix in ("", "calm_"))
    assert all(told[key] > 0 for key in ("per_s", "floor_per_s", "ratio"))
    assert [0] * 4 == [told[key] for key in ("lost", "doubled", "calm_lost", "calm_doubled")]
    bars = {"per_s >= 1000", "steady_per_s >= 59.4", "depth_slope_per_s <= 0.6"}
    bars |= {f"{key} <= 0" for key in ("lost", "doubled", "calm_lost", "calm_doubled")}
    assert bars | {"calm_p99_change <= 0.2", "calm_first_p99_change <= 0.2"} == told["bars"].keys()


def test_a_reaction_is_told_as_json() -> None:
    """A real daemon's webhooks come back, none is lost or repeated, and the figures are told."""
    told = figures(run("reaction", "--alarms", "3", "--rounds", "4", "--json"))

    assert ("reaction", 3, 4, "sqlite") == (told["benchmark"], told["alarms"], told["rounds"], told["database"])
    assert (0, 0) == (told["lost"], told["repeated"])
    measured = ("p50_ms", "p99_ms", "max_ms", "floor_ms", "ratio", "created_per_s", "storm_s")
    assert all(told[key] > 0 for key in measured)
    assert told["stored_p50_ms"] >= 0
    assert {"p50_ms <= 150", "p99_ms <= 500", "lost <= 0"} == told["bars"].keys()


def test_the_api_is_measured_through_a_real_daemon() -> None:
    """Every kind of request is answered as it should be, and its figures come with their bars."""
    result = run("api", "--alarms", "200", "--seconds", "0.2", "--database", "sqlite", "--json")

    assert 0 == result.exit_code, result.output
    told = json.loads(result.stdout)
    assert ("api", 200, "sqlite") == (told["benchmark"], told["alarms"], told["database"])
    assert all(told[f"{name}_ratio"] > 0 for name in ("create", "get", "list", "query"))
    assert {"create_per_s >= 500", "get_per_s >= 1500", "list_p99_ms <= 50", "query_p99_ms <= 20"} == told[
        "bars"
    ].keys()


def test_a_missing_prometheus_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants the comparison without having Prometheus is told how to get it, before anything is measured."""
    monkeypatch.setenv("PATH", "")

    result = run("tick", "--alarms", "5", "--vs-prometheus")

    assert 1 == result.exit_code
    assert "prometheus is not installed" in result.stderr
    assert "apt-get install" in result.stderr
    assert "compiled" not in result.stderr


def test_bars_tell_whether_they_were_met() -> None:
    """A value at its bar meets it; one on the wrong side of it, or none at all, does not."""
    bars = (Bar(key="a", at_most=1.0), Bar(key="b", at_most=1.0), Bar(key="c", at_most=1.0), Bar(key="d", at_least=2.0))
    report = Report(name="some", values={"a": 1.0, "b": 1.5, "c": None, "d": 2.0}, bars=bars)

    told = json.loads(report.as_json())["bars"]
    assert {"a <= 1": True, "b <= 1": False, "c <= 1": False, "d >= 2": True} == told
    assert ["met", "MISSED", "MISSED", "met"] == [line.split()[-1] for line in report.as_table().splitlines()[1:]]


def test_a_fleet_reports_as_pollers_do() -> None:
    """A round holds every machine once, each host at a moment of its own near the round's, and can be had again."""
    fleet, again = (Fleet(series=250, start_s=1000.0) for _ in range(2))

    for number in range(3):
        batches = list(fleet.report(number))
        assert [100, 100, 50] == [len(batch.resources) for batch in batches]
        assert all(abs(batch.timestamp_s - 1000.0 - number * INTERVAL_S) <= JITTER_S for batch in batches)
        assert 3 == len({batch.timestamp_s for batch in batches})
        for batch, same in zip(batches, again.report(number), strict=True):
            assert batch.timestamp_s == same.timestamp_s
            assert np.array_equal(batch.values, same.values)


def test_a_staggered_fleet_reports_a_tenth_of_its_hosts_each_second() -> None:
    """Every host has its turn in a round, at about the second of the turn, and no host has two."""
    fleet = Fleet(series=2_000, start_s=1000.0, staggered=True)

    turns = [list(fleet.report(0, turn)) for turn in range(TURNS)]

    assert [2] * TURNS == [len(batches) for batches in turns]
    assert 20 == len({batch.source for batches in turns for batch in batches})
    for turn, batches in enumerate(turns):
        assert all(abs(batch.timestamp_s - 1000.0 - turn) <= JITTER_S for batch in batches)
        assert all(batch.timestamp_s <= fleet.moment_s(0, turn) for batch in batches)


def test_an_exporter_hands_out_a_round_a_scrape_until_it_has_caught_up() -> None:
    """Rounds whose time has come are served one by one; the last of them is served again until the next has come."""
    clock = ManualClock(START)
    exporter = Exporter(Fleet(series=2, start_s=START.timestamp()), clock=clock)

    assert b"" == exporter.scrape()
    clock.advance(INTERVAL_S + JITTER_S)
    assert not exporter.is_up_to_date()
    first, second, third = exporter.scrape(), exporter.scrape(), exporter.scrape()

    assert exporter.is_up_to_date()
    assert first != second == third
    assert b'cpu_util{project="project-1",vm="vm-0000001"} ' in second
    times_s = [int(line.rsplit(b" ")[-1]) / 1000 for line in second.splitlines()[1:]]
    assert all(abs(time_s - START.timestamp() - INTERVAL_S) <= JITTER_S for time_s in times_s)


def test_prometheus_gets_the_rule_that_alarmd_has() -> None:
    """Each period becomes one term, and all of them have to hold."""
    rule = alert(number=7, vm="vm-1", threshold=80.5, period_s=60, periods=2)

    terms = [
        'avg_over_time(cpu_util{vm="vm-1"}[60s]) > 80.5',
        'avg_over_time(cpu_util{vm="vm-1"}[60s] offset 60s) > 80.5',
    ]
    assert {"alert": "alarm_7", "expr": " and ".join(terms), "labels": {"number": "7"}} == rule


def test_a_receiver_knows_what_came_when() -> None:
    """Webhooks are kept by alarm, in order, with the moment of their arrival; one that does not come is None."""
    clock = ManualClock(START)
    receiver = Receiver(clock)

    for state in ("alarm", "ok"):
        clock.advance(1.0)
        receiver.take(json.dumps({"alarm_id": "a", "current": state}).encode())

    assert (2, 2, 0) == (receiver.count, receiver.held("a"), receiver.held("b"))
    arrival = receiver.wait("a", 1, timeout_s=0.0)
    assert arrival is not None
    assert ("ok", 2.0) == (arrival.current, arrival.at_s)
    assert receiver.wait("a", 2, timeout_s=0.0) is None
    assert receiver.wait_for(2, timeout_s=0.0)
