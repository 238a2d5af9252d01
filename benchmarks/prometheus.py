# SPDX-License-Identifier: Apache-2.0
"""What Prometheus takes for the same rules over the same samples, on the same machine.

Prometheus scrapes the fleet's last minutes from an exporter, with the moments at which the samples were taken, so its
head holds what it would hold had it run all the while. Then it gets the rules, and tells itself how long a pass takes.
"""

import json
import signal
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from alarmd.clock import Clock
from benchmarks.exporter import Exporter
from benchmarks.fleet import INTERVAL_S, METRIC, Fleet
from benchmarks.loopback import serving
from benchmarks.process import Program, find_program, free_port
from benchmarks.report import tell

_REMEDY = (
    "Debian and Ubuntu have it: `make setup NEEDS=benchmark`, or as root `apt-get install --no-install-recommends "
    "prometheus`. Or measure without --vs-prometheus."
)
#: How much of the past is fed; the rules look back three minutes.
_PAST_S = 600.0
_FEED_INTERVAL_S = 0.4
_SCRAPE_INTERVAL_S = 5.0
_EVALUATION_INTERVAL_S = 5.0
_EVALUATIONS = 5
_FEED_TIMEOUT_S = 120.0
_EVALUATE_TIMEOUT_S = 240.0
_ANSWER_TIMEOUT_S = 30.0
#: An alarm this far from its threshold for all periods is beyond doubt, in percent.
_CLEAR = 4.0
_ALL_SAMPLES = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusResult:
    """What Prometheus has done."""

    version: str
    rules: int
    evaluations: int
    #: Median of the evaluations of all rules.
    evaluation_s: float
    firing: int

    @property
    def ns_per_alarm(self) -> float:
        """What one rule takes, in ns."""
        return self.evaluation_s * 1e9 / self.rules


def find_prometheus() -> Path:
    """Return where the program stands; raises `ClickException` with the remedy."""
    return find_program("prometheus", remedy=_REMEDY)


def measure_prometheus(*, rules: int, series: int, period_s: int, periods: int, clock: Clock) -> PrometheusResult:
    """Measure Prometheus with one alerting rule an alarm; raises `ClickException` when it cannot be measured."""
    program = find_prometheus()
    fleet = Fleet(series=series, start_s=np.floor(clock.time_s()) - _PAST_S)
    thresholds = fleet.thresholds(rules).tolist()
    exporter = Exporter(fleet, clock=clock)
    with tempfile.TemporaryDirectory(prefix="alarmd-bench-") as name, serving(exporter.scrape) as target:
        server = _Prometheus(program, Path(name), target=target, clock=clock)
        with server.process:
            tell(f"feeding Prometheus {_PAST_S:g} s of {series:,} series")
            server.process.wait_until(exporter.is_up_to_date, what="the end of the feed", timeout_s=_FEED_TIMEOUT_S)
            server.load(_alerts(fleet, thresholds, period_s=period_s, periods=periods))
            tell(f"waiting for {_EVALUATIONS} evaluations of {rules:,} rules by Prometheus")
            durations_s = server.evaluations(_EVALUATIONS)
            now_s = clock.time_s()
            firing = server.firing()
            _check_samples(server, series=series, window_s=period_s * periods)
            _check_firing(firing, fleet, np.array(thresholds), now_s=now_s, window_s=period_s * periods)
            return PrometheusResult(
                version=str(server.ask("status/buildinfo")["version"]),
                rules=rules,
                evaluations=len(durations_s),
                evaluation_s=float(np.median(durations_s)),
                firing=len(firing),
            )


def alert(*, number: int, vm: str, threshold: float, period_s: int, periods: int) -> dict[str, Any]:
    """Return an alerting rule that says what alarmd's threshold rule says: each of the last periods is outside."""
    series = f'{METRIC.name}{{vm="{vm}"}}'
    windows = [f"[{period_s}s]" + (f" offset {back * period_s}s" if back else "") for back in range(periods)]
    terms = [f"avg_over_time({series}{window}) > {threshold!r}" for window in windows]
    return {"alert": f"alarm_{number}", "expr": " and ".join(terms), "labels": {"number": str(number)}}


def _alerts(fleet: Fleet, thresholds: Sequence[float], *, period_s: int, periods: int) -> list[dict[str, Any]]:
    return [
        alert(
            number=number,
            vm=fleet.resources[number % len(fleet.resources)].id,
            threshold=threshold,
            period_s=period_s,
            periods=periods,
        )
        for number, threshold in enumerate(thresholds)
    ]


class _Prometheus:
    """A Prometheus of its own in a directory, at first without rules and scraping as quickly as it can."""

    def __init__(self, program: Path, directory: Path, *, target: str, clock: Clock) -> None:
        self._target = target
        self._config, self._rules = directory / "prometheus.yml", directory / "rules.yml"
        self._rules.write_text('{"groups": []}')
        self._configure(_FEED_INTERVAL_S)
        port = free_port()
        self._base = f"http://127.0.0.1:{port}"
        command = [
            str(program),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        self.process = Program(command, output=directory / "prometheus.log", clock=clock)

    def load(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Give it rules, and let it scrape at the usual pace from now on."""
        group = {"name": "alarms", "interval": f"{_EVALUATION_INTERVAL_S:g}s", "rules": alerts}
        # JSON is YAML, and quicker to write.
        self._rules.write_text(json.dumps({"groups": [group]}))
        self._configure(_SCRAPE_INTERVAL_S)
        self.process.signal(signal.SIGHUP)

    def evaluations(self, wanted: int) -> list[float]:
        """Return the durations of so many evaluations, as they come, in s."""
        seen: dict[float, float] = {}

        def look() -> bool:
            told = self._own_metrics()
            if told.get("prometheus_rule_evaluation_failures_total"):
                raise click.ClickException("Prometheus failed to evaluate the rules: this comparison is out of order.")
            duration_s = told.get("prometheus_rule_group_last_duration_seconds")
            if duration_s:  # 0 before the first evaluation
                seen[told["prometheus_rule_group_last_evaluation_timestamp_seconds"]] = duration_s
            return len(seen) >= wanted

        self.process.wait_until(
            look, what=f"{wanted} evaluations", timeout_s=_EVALUATE_TIMEOUT_S, every_s=_EVALUATION_INTERVAL_S / 10
        )
        return list(seen.values())

    def firing(self) -> set[int]:
        """Return the numbers of the alarms that fire."""
        alerts = self.ask("alerts")["alerts"]
        return {int(one["labels"]["number"]) for one in alerts if one["state"] == "firing"}

    def ask(self, path: str, **arguments: str) -> Any:
        """Return what the API answers."""
        query = urllib.parse.urlencode(arguments)
        return json.loads(self._get(f"/api/v1/{path}?{query}"))["data"]

    def _own_metrics(self) -> dict[str, float]:
        """Return what it tells of its rules; there is one group of them, so a name is enough."""
        lines = self._get("/metrics").decode().splitlines()
        wanted = [line.rpartition(" ") for line in lines if line.startswith("prometheus_rule_")]
        return {name.partition("{")[0]: float(value) for name, _, value in wanted}

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._base + path, timeout=_ANSWER_TIMEOUT_S) as answer:  # noqa: S310  # http only
            return bytes(answer.read())

    def _configure(self, interval_s: float) -> None:
        interval = f"{round(interval_s * 1000)}ms"
        job = {
            "job_name": "fleet",
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "honor_timestamps": True,
            "static_configs": [{"targets": [self._target]}],
        }
        self._config.write_text(json.dumps({"rule_files": [str(self._rules)], "scrape_configs": [job]}))


def _check_samples(server: _Prometheus, *, series: int, window_s: int) -> None:
    """Make sure that the rules have had the samples."""
    result = server.ask("query", query=f"sum(count_over_time({METRIC.name}[{window_s}s]))")["result"]
    found = float(result[0]["value"][1]) if result else 0.0
    # The newest round may be under way.
    expected = series * (window_s / INTERVAL_S - 1)
    if found < expected * _ALL_SAMPLES:
        raise click.ClickException(
            f"Prometheus holds {found:,.0f} of {expected:,.0f} samples in the last {window_s} s: its scrapes were cut "
            "off, most likely by a busy machine. Run this again when it is quiet."
        )


def _check_firing(
    firing: set[int], fleet: Fleet, thresholds: NDArray[np.float64], *, now_s: float, window_s: int
) -> None:
    """Make sure that the rules have fired where there is no doubt that they should, and not where they should not."""
    moments = np.arange(now_s - window_s - 3 * INTERVAL_S, now_s, INTERVAL_S)
    load = np.array([fleet.load(moment) for moment in moments])
    machine = np.arange(len(thresholds)) % len(fleet.resources)
    must = set(np.flatnonzero(load.min(axis=0)[machine] > thresholds + _CLEAR).tolist())
    must_not = set(np.flatnonzero(load.max(axis=0)[machine] < thresholds - _CLEAR).tolist())
    if not must <= firing or firing & must_not:
        raise click.ClickException(
            f"Prometheus fires {len(firing)} alarms, but {len(must - firing)} more should fire and "
            f"{len(firing & must_not)} should not: this comparison is out of order."
        )
