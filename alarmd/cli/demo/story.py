# SPDX-License-Identifier: Apache-2.0
"""The demo's story: a machine gets busy, the group grows; the load goes, the group shrinks."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from queue import Empty
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from alarmd.cli.demo.daemon import DemoDaemon
from alarmd.cli.demo.group import LABELS, ScalingGroup
from alarmd.cli.demo.receiver import Receiver, Webhook
from alarmd.cli.demo.screen import Picture, Screen
from alarmd.clock import Clock
from alarmd.errors import AlarmdError

#: How long any step may take before the demo gives up.
_STEP_TIMEOUT_S = 25.0
_LOOK_EVERY_S = 0.2
#: The rules' period: a few polls long.
_PERIOD_S = 2
_SCALE_OUT, _SCALE_IN = "/scale-out", "/scale-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """How long a step took, in seconds."""

    #: From the sample that decided to the webhook's arrival.
    sample_to_webhook: float
    #: From the change of load to the webhook's arrival.
    load_to_webhook: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What came of it."""

    source: str
    scaled_out: int
    scaled_in: int
    webhooks: int
    #: Of scaling out.
    out: Reaction
    #: Of scaling in.
    back: Reaction

    def as_json(self) -> dict[str, Any]:
        """Return the last line of the demo with `--json`."""
        ok = (self.scaled_out, self.scaled_in, self.webhooks) == (1, 1, 2)
        reaction = {name: round(seconds, 3) for name, seconds in asdict(self.out).items()}
        return {
            "ok": ok,
            "source": self.source,
            "scaled_out": self.scaled_out,
            "scaled_in": self.scaled_in,
            "webhooks": self.webhooks,
            "reaction_s": reaction,
        }


class Story:
    """Runs the demo's steps over a group, an alarmd that watches it, and a receiver that scales it."""

    def __init__(
        self,
        *,
        group: ScalingGroup,
        daemon: DemoDaemon,
        receiver: Receiver,
        screen: Screen,
        clock: Clock,
        start_s: float,
    ) -> None:
        self._group = group
        self._daemon = daemon
        self._receiver = receiver
        self._screen = screen
        self._clock = clock
        self._start_s = start_s
        #: Never set: only waited for.
        self._pause = Event()
        #: When a member was last seen busy, or not at all.
        self._busy_s = clock.monotonic_s()

    def run(self) -> Ending:
        """Run every step. Raises `AlarmdError` when one does not happen in time."""
        self._wait("the group to idle", self._is_idle)
        self._create_alarms()
        out = self._react(
            "The load comes", path=_SCALE_OUT, act=self._group.add, done="The receiver has added {name} to the group"
        )
        self._wait("samples of the new member", self._has_samples)
        self._wait("the scale-in alarm to see the load", lambda: self._states()["scale-in"] == "ok")
        extra = self._watch()
        back = self._react(
            "The load goes",
            path=_SCALE_IN,
            act=self._group.remove,
            done="The receiver has removed {name} from the group",
        )
        extra += self._watch()
        return Ending(
            source=self._group.source,
            scaled_out=1 + sum(webhook.path == _SCALE_OUT for webhook in extra),
            scaled_in=1 + sum(webhook.path == _SCALE_IN for webhook in extra),
            webhooks=2 + len(extra),
            out=out,
            back=back,
        )

    def _create_alarms(self) -> None:
        # A group that idles at its smallest size is where scaling in ends: the second alarm is there to begin with.
        self._create("scale-out", "gt", self._group.busy_percent, _SCALE_OUT, state="insufficient data")
        self._create("scale-in", "lt", self._group.idle_percent, _SCALE_IN, state="alarm")
        self._tell(
            f"Two alarms registered over REST, on the {self._group.statistic} of the group's CPU in {_PERIOD_S} s: "
            f"scale out above {self._group.busy_percent:.0f} %, scale in below {self._group.idle_percent:.0f} %"
        )
        self._wait("the alarms to be evaluated", lambda: self._states()["scale-out"] == "ok")

    def _create(self, name: str, comparison: str, threshold: float, path: str, *, state: str) -> None:
        query = [{"field": f"metadata.{label}", "op": "eq", "value": value} for label, value in LABELS.items()]
        rule = {
            "meter_name": "cpu_util",
            "query": query,
            "statistic": self._group.statistic,
            "period": _PERIOD_S,
            "evaluation_periods": 1,
            "comparison_operator": comparison,
            "threshold": threshold,
        }
        alarm = {
            "name": name,
            "type": "threshold",
            "state": state,
            "alarm_actions": [self._receiver.url(path)],
            "threshold_rule": rule,
        }
        self._daemon.client.post("/v2/alarms", alarm)

    def _react(self, what: str, *, path: str, act: Callable[[], str], done: str) -> Reaction:
        """Change the load, wait for the webhook that it ends in, and scale."""
        changed_s = self._clock.time_s()
        self._group.toggle_load()
        self._tell(f"{what} ({next(iter(self._group.members().values()))})")
        webhook = self._await_webhook(path)
        sampled_s = self._daemon.newest_sample_s("cpu_util", list(self._group.members()), before_s=webhook.arrived_s)
        reaction = Reaction(
            sample_to_webhook=webhook.arrived_s - sampled_s, load_to_webhook=webhook.arrived_s - changed_s
        )
        self._tell(
            f"Webhook {path} received, signature verified: {webhook.body['reason']} "
            f"({reaction.load_to_webhook:.2f} s after the load changed, "
            f"{reaction.sample_to_webhook * 1000:.0f} ms after the sample)"
        )
        self._tell(done.format(name=act()))
        return reaction

    def _await_webhook(self, path: str) -> Webhook:
        found: list[Webhook] = []

        def look() -> bool:
            try:
                found.append(self._receiver.accepted.get(timeout=_LOOK_EVERY_S))
            except Empty:
                return False
            return True

        self._wait(f"the webhook {path}", look)
        if found[0].path != path:
            raise AlarmdError(f"A webhook came to {found[0].path} while one to {path} was due: {found[0].body}")
        return found[0]

    def _watch(self) -> list[Webhook]:
        """Let people see the group settle; return webhooks, none of which should come meanwhile."""
        extra = []
        deadline_s = self._clock.monotonic_s() + _PERIOD_S
        while self._clock.monotonic_s() < deadline_s:
            self._look()
            try:
                extra.append(self._receiver.accepted.get(timeout=_LOOK_EVERY_S))
            except Empty:
                continue
        return extra

    def _has_samples(self) -> bool:
        return self._group.members().keys() <= self._daemon.samples("cpu_util", LABELS).keys()

    def _is_idle(self) -> bool:
        """Whether every member has idled for a period: a machine that boots is busy for a moment."""
        samples = self._daemon.samples("cpu_util", LABELS)
        idle_percent, now_s = self._group.idle_percent, self._clock.monotonic_s()
        if any(samples.get(member, idle_percent) >= idle_percent for member in self._group.members()):
            self._busy_s = now_s
        return now_s - self._busy_s > _PERIOD_S

    def _states(self) -> dict[str, str]:
        return {
            alarm["name"]: alarm["state"] for alarm in self._daemon.client.get("/v2/alarms", [("sort", "name:desc")])
        }

    def _wait(self, what: str, look: Callable[[], bool]) -> None:
        deadline_s = self._clock.monotonic_s() + _STEP_TIMEOUT_S
        while not look():
            if self._clock.monotonic_s() > deadline_s:
                raise AlarmdError(f"Waited {_STEP_TIMEOUT_S:.0f} s in vain for {what}.")
            self._look()
            # Looking costs processor time, which the machines need, and which the host's own load is made of.
            self._pause.wait(_LOOK_EVERY_S)

    def _look(self) -> None:
        """Show what is going on."""
        client = self._daemon.client
        cpu = self._daemon.samples("cpu_util", LABELS)
        deliveries = client.get("/v3/deliveries", [("limit", "6")])["deliveries"]
        self._screen.show(
            Picture(
                cpu_percent={name: cpu.get(resource_id) for resource_id, name in self._group.members().items()},
                alarms=self._states(),
                deliveries=[
                    (one["body"]["alarm_name"], urlsplit(one["target"]).path, one["state"]) for one in deliveries
                ],
            )
        )

    def _tell(self, text: str) -> None:
        self._screen.tell(self._clock.monotonic_s() - self._start_s, text)
