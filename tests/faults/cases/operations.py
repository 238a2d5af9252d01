# SPDX-License-Identifier: Apache-2.0
"""What operators do at the wrong moment: a reload with a broken file, a deletion, an upgrade, a hand in the rows."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from tests.faults import behaviours
from tests.faults.case import Case, Outcome
from tests.faults.old_schema import go_back
from tests.faults.outage import outages, pause
from tests.faults.scene import SQLITE, Scene, Stage
from tests.support.daemon import DEADLINE_S, wait_until

#: Settings that cannot be used, and what has to be said of them.
_BROKEN = {
    "[evaluator\ntick_s = 1.0\n": "not valid TOML",
    "[evaluator]\ntick_s = 'often'\n": "evaluator.tick_s",
    "[evaluator]\ntikc_s = 1.0\n": "did you mean evaluator.tick_s?",
    "[evaluator]\nworkers = 0\n": "evaluator.workers",
    "[api]\npolicy_file = 'none.yaml'\n": "none.yaml",
}

#: How long it may take at most until settings are read and every process is replaced, beside other cases.
_REACTS_S = 3 * DEADLINE_S

#: What no rule ever is.
_POISONS = ("{}", "[]", "null", '"rule"', '{"meter_name": null}', '{"threshold": "NaN", "query": {"or": [1]}}')


def _reload(stage: Stage) -> Outcome:
    """Break the file of settings and tell alarmd to read it; later mend it, with something changed, and do so again."""
    file = stage.folder / "alarmd.toml"
    file.write_text(_settings(1), encoding="utf-8")
    times = 1 if stage.short else 2 * len(_BROKEN)
    return outages(
        stage, _broken_settings, what="reload with an error", lasts_s=3.0, times=times, options=["--config", str(file)]
    )


@contextmanager
def _broken_settings(stage: Stage, scene: Scene) -> Iterator[None]:
    file = stage.folder / "alarmd.toml"
    before = scene.alarmd.children("evaluator")
    text, said = stage.random.choice(list(_BROKEN.items()))
    file.write_text(text, encoding="utf-8")
    known = len(scene.alarmd.log)
    os.kill(scene.alarmd.process.pid, signal.SIGHUP)
    refused = wait_until(
        lambda: _line_of("settings_refused", scene.alarmd.log[known:]), deadline_s=_REACTS_S, what="a refusal"
    )
    assert said in refused, f"{text!r} was refused with {refused}"
    yield
    assert scene.alarmd.children("evaluator") == before, "processes were replaced although the settings were refused"
    workers = 3 - len(before)
    file.write_text(_settings(workers), encoding="utf-8")
    os.kill(scene.alarmd.process.pid, signal.SIGHUP)

    def is_in_force() -> bool:
        now = scene.alarmd.children("evaluator")
        return len(now) == workers and set(now).isdisjoint(before)

    wait_until(is_in_force, deadline_s=_REACTS_S, what=f"{workers} new evaluators")


def _settings(workers: int) -> str:
    return f"[evaluator]\ntick_s = 1.0\nworkers = {workers}\n"


def _line_of(event: str, log: str) -> str:
    return next((line for line in log.splitlines() if event in line), "")


def _deletion(stage: Stage) -> Outcome:
    """Delete alarms whose webhooks wait for a receiver that is out of order."""
    count = 3 if stage.short else 30
    with stage.scene() as scene, scene.receiver("broken") as broken:
        scene.watch_all()
        doomed = [scene.watch(f"doomed-{number}", "vm-0", url=broken.url) for number in range(count)]
        with scene.running():
            scene.load.stop_flipping()
            scene.await_quiet()
            broken.choose = lambda _entry: behaviours.status(503)
            came = len(broken.entries)
            scene.load.turn("vm-0")
            # The receiver is left alone after some, so not each has been tried in vain.
            wait_until(lambda: len({each.alarm_id for each in broken.refused}) >= 3, what="vain tries")
            wait_until(lambda: _waiting(scene, count), what="webhooks of all of them to wait")
            for each in doomed:
                scene.alarmd.request("DELETE", f"/v2/alarms/{each.alarm_id}")
                scene.watches.remove(each)
                scene.load.watches.remove(each)
                scene.others.add(each.alarm_id)
            broken.choose = broken.linger
            scene.load.start_flipping()
            pause(3.0)
            findings = scene.findings()
            ends = wait_until(lambda: _ends(scene), what="deliveries of deleted alarms to end")
            # Each may go out while it is being deleted; afterwards none may, and every one has an end on record.
            if len(broken.entries) - came > 2 * count:
                findings.complaints.append(f"{len(broken.entries) - came} webhooks came of {count} deleted alarms")
            if not set(ends) <= {"delivered", "buried", "superseded", "dropped"}:
                findings.complaints.append(f"deliveries of deleted alarms are {sorted(set(ends))}")
    return Outcome(injections=count, findings=findings)


def _ends(scene: Scene) -> list[str]:
    mine = [each["state"] for each in scene.deliveries() if each["alarm_id"] in scene.others]
    return [] if "pending" in mine else mine


def _poison(stage: Stage) -> Outcome:
    """Put rules that cannot be read into the database, with the evaluator dead, and have the next one find them."""
    with stage.scene() as scene:
        scene.watch_all()
        poisoned = [scene.watch(f"poisoned-{number}", "vm-0") for number in range(len(_POISONS))]
        with scene.running():
            pause(1.0)
            for each in poisoned:
                scene.watches.remove(each)
                scene.load.watches.remove(each)
                scene.others.add(each.alarm_id)
            for each, rule in zip(poisoned, _POISONS, strict=True):
                _write_rule(stage, scene, each.alarm_id, rule)
            scene.faults.note("rules poisoned, evaluator killed")
            pid = scene.alarmd.kill("evaluator")
            scene.alarmd.await_successor("evaluator", of=pid)
            pause(4.0)
            findings = scene.findings()
    return Outcome(injections=len(_POISONS), findings=findings)


def _write_rule(stage: Stage, scene: Scene, alarm_id: str, rule: str) -> None:
    if stage.database == SQLITE:
        connection = sqlite3.connect(scene.alarmd.state_dir / "alarmd.db", timeout=30)
        with connection:
            connection.execute("UPDATE alarms SET rule = ? WHERE alarm_id = ?", (rule, alarm_id))
        connection.close()
        return
    with psycopg.connect(scene.store_url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute("UPDATE alarms SET rule = %s WHERE alarm_id = %s", (rule, alarm_id))


def _upgrade(stage: Stage) -> Outcome:
    """Fill an outbox, put it into a database of the schema before, and bring that up to date as an operator does."""
    machines = [f"vm-{number}" for number in range(3 if stage.short else 50)]
    with stage.store() as store, stage.scene(machines=machines, deadline_s=120.0, store=store) as scene:
        scene.watch_all()
        with scene.running():
            pause(2.0)
            scene.load.stop_flipping()
            scene.await_quiet()
            scene.journal.choose = lambda _entry: behaviours.status(503)
            for machine in scene.machines:
                scene.load.turn(machine)
            waiting = wait_until(lambda: _waiting(scene, 3 * len(scene.machines)), what="an outbox that is full")
            with scene.faults.during("upgrade"):
                status = scene.alarmd.stop()
                go_back(scene.alarmd.state_dir / "alarmd.db", scene.store_url)
                _alarmd("db", "upgrade", environ={**store[0], "ALARMD_STATE_DIR": str(scene.alarmd.state_dir)})
                scene.journal.choose = scene.journal.linger
                scene.alarmd.restart(deadline_s=3 * DEADLINE_S)
            findings = scene.findings()
        if status != 0:
            findings.complaints.append(f"alarmd ended with status {status}")
        came = {entry.webhook_id for entry in scene.journal.entries}
        missing = waiting - came
        if missing:
            findings.complaints.append(f"{len(missing)} of {len(waiting)} that waited in the old database never came")
    return Outcome(injections=len(waiting), findings=findings)


def _waiting(scene: Scene, least: int) -> set[str]:
    pending = scene.alarmd.request("GET", "/v3/deliveries?state=pending&limit=1000")["deliveries"]
    return {each["event_id"] for each in pending} if len(pending) >= least else set()


def _alarmd(*arguments: str, environ: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "alarmd", *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environ})


CASES = (
    Case(name="reload", title="a reload with an error in the settings", play=_reload),
    Case(name="delete", title="alarms are deleted while their webhooks wait", play=_deletion),
    Case(name="poison", title="rules in the database that cannot be read", play=_poison),
    Case(name="upgrade", title="an upgrade with a full outbox", play=_upgrade),
)
