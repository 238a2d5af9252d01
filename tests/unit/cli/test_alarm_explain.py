# SPDX-License-Identifier: Apache-2.0
"""`alarmd alarm explain`."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from alarmd.evaluators.answers.explaining import Explanations
from alarmd.evaluators.asking.asking import Answer
from alarmd.evaluators.families.prometheus.family import PrometheusFamily
from alarmd.evaluators.families.prometheus.server import Series, SeriesAnswered
from alarmd.evaluators.family import RuleLimits
from tests.support.stock import say_gone
from tests.unit.cli.conftest import Terminal


def an_alarm(terminal: Terminal, *more: str) -> None:
    """Create the alarm cpu_high on the group web, and push two samples."""
    terminal.ok(
        *("alarm", "create", "--name", "cpu_high", "--meter-name", "cpu_util", "--threshold", "80", "--period", "10"),
        *("--comparison", "gt", "--query", "labels.group=web", "--state", "ok", *more),
    )
    for name, moment in (("vm-1", "2025-12-31T23:59:58Z"), ("vm-2", "2025-12-31T23:59:45Z")):
        terminal.ok("samples", "push", "cpu_util", "70", "-r", name, "-l", "group=web", "--timestamp", moment)


def test_one_screen_says_why(terminal: Terminal) -> None:
    """The sentence, the periods, the series that are missing, the constraints."""
    an_alarm(terminal, "--time-constraint", "name=noon;start=0 12 * * *;duration=60")
    lines = terminal.ok("alarm", "explain", "cpu_high").splitlines()

    assert lines[0].endswith(": avg of cpu_util of labels.group=web over 10 s > 80")
    assert lines[1].startswith("It is in ok since 2026-01-01T00:00:00Z because not evaluated yet; its time constraints")
    assert ["2025-12-31T23:59:58", "70", "1", "1", "0.5", "true", ""] == [
        cell.strip() for cell in lines[5].strip("│").split("│")
    ]
    assert [
        "Series: 2 known, 1 reporting in the newest period; missing: vm-2.",
        "Time constraints: closed now; they open at 2026-01-01T11:59:00.",
    ] == lines[-2:]
    assert len(lines) < 24


def test_periods_and_the_whole_answer_are_for_scripts(terminal: Terminal) -> None:
    """As CSV the periods alone; as JSON everything."""
    an_alarm(terminal)
    rows = terminal.ok("alarm", "explain", "cpu_high", "-f", "csv").splitlines()
    answer = terminal.json("alarm", "explain", "cpu_high")

    assert [
        "end,value,samples,reporting,coverage,counts,because",
        "2025-12-31T23:59:58,70,1,1,0.5,true,",
        "2025-12-31T23:59:48,70,1,1,0.5,false,older than what is judged",
    ] == rows
    assert ("ok", "rule1") == (answer["verdict"]["state"], answer["rules"][0]["name"])


def test_a_composite_shows_its_rules(terminal: Terminal) -> None:
    """A row each, with what it counts for."""
    an_alarm(terminal)
    rule = (
        '{"and": [{"type": "threshold", "meter_name": "cpu_util", "threshold": 60, "comparison_operator": "gt", '
        '"period": 10}, {"not": {"type": "threshold", "meter_name": "memory.usage", "threshold": 90}}]}'
    )
    terminal.ok("alarm", "create", "--type", "composite", "--name", "both", "--rule", rule)
    rows = terminal.ok(
        *("alarm", "explain", "both", "-f", "csv", "-c", "name", "-c", "values", "-c", "counts_for", "-c", "missing")
    )
    shown = terminal.ok("alarm", "explain", "both")

    assert [
        "name,values,counts_for,missing",
        "rule1,70,alarm,",
        "not rule2,-,neither,no series that the rule means has samples in the window",
    ] == rows.splitlines()
    assert "(rule1 and not rule2)" in shown.splitlines()[0]


def test_an_alarm_that_is_not_there_ends_with_1(terminal: Terminal) -> None:
    """As with every command."""
    result = terminal.run("alarm", "explain", "nobody")

    assert (1, "") == (result.exit_code, result.stdout)


class Prometheus:
    """A server that knows one series."""

    interval_s, timeout_s, concurrency = 10.0, 5.0, 1

    def ask(self, question: Any, *, now: datetime) -> Answer:
        """Tell it, with labels that fill the screen."""
        evidence = {"query": question.query, "series": [{"labels": {"vm": "x" * 2000}, "values": [3.0]}]}
        return Answer(at=now, values=SeriesAnswered(series=(Series(labels={}, values=(3.0,)),), evidence=evidence))

    def close(self) -> None:
        """Hold nothing."""


def test_what_another_server_says_is_shown(terminal: Terminal) -> None:
    """In one line, cut where it would fill the screen."""
    terminal.ok("alarm", "create", "--name", "load", "--type", "prometheus", "--query", "up", "--threshold", "3")
    limits = RuleLimits(window_s=3600, lateness_s=10, servers=frozenset({"prometheus"}))
    family = PrometheusFamily(limits, lambda _name: None)
    context = terminal.door.context
    explanations = Explanations(
        replace(context.previews._around, families={"prometheus": family}), servers={"prometheus": Prometheus()}
    )
    terminal.door.app.extensions["alarmd.context"] = replace(context, explanations=explanations)
    [line] = [line for line in terminal.ok("alarm", "explain", "load").splitlines() if line.startswith("What ")]

    assert line.startswith('What prometheus says: {"query": "up", "series": [{"labels": {"vm": "xxx')
    assert line.endswith("xxx… (--format json shows all)")


def test_actions_that_are_not_taken_any_more_are_told(terminal: Terminal) -> None:
    """In a line each, with what the receiver said."""
    arguments = ("--name", "gone", "--alarm-action", "http://h/gone", "--alarm-action", "http://h/other")
    terminal.ok("alarm", "create", "--type", "event", *arguments)
    terminal.ok("events", "push", "--type", "x")
    say_gone(terminal.door.database, "http://h/gone", at=terminal.door.clock.now())
    told = [line for line in terminal.ok("alarm", "explain", "gone").splitlines() if "Not taken" in line]

    assert 1 == len(told)
    assert told[0].startswith(
        "Not taken any more on alarm, since 2026-01-01T00:00:00: http://h/gone (gone: HTTP 410 Gone)."
    )
