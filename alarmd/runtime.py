# SPDX-License-Identifier: Apache-2.0
"""The one place that names implementations: builds what a role works with out of the settings.

A `Runtime` itself holds nothing but settings, so it may be made before a fork. What its methods return holds files,
connections and threads, and belongs to the process that asked.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any

from alarmd import plugins
from alarmd.alarms import AlarmService, DeliveryService, Drafting, NoTrusts, QuotaService, ResultService, TrustKeeper
from alarmd.alarms import assembly as asked
from alarmd.alarms.actions import ActionRules
from alarmd.alarms.secrets import SecretService
from alarmd.alarms.silences import SilenceService
from alarmd.cache.log import LogLimits, LogPlugin, SampleLog
from alarmd.clock import Clock, SystemClock
from alarmd.cluster.doorbell import Doorbell
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.cluster.membership import Membership
from alarmd.cluster.solo import SoloMembership
from alarmd.errors import AlarmdError, SettingsError
from alarmd.evaluators import assembly as evaluators
from alarmd.evaluators import servers
from alarmd.evaluators.answers.explaining import Explanations
from alarmd.evaluators.answers.previews import Previews
from alarmd.evaluators.answers.surroundings import Surroundings, plan_options, window_limits
from alarmd.evaluators.asking.asker import Asker
from alarmd.evaluators.event_evaluation import EventEvaluation
from alarmd.evaluators.family import RuleFamily, RuleLimits
from alarmd.evaluators.safety import Release
from alarmd.evaluators.schedules.hours import read_hours
from alarmd.evaluators.schedules.schedule import normalise_constraints
from alarmd.evaluators.schedules.unreadable import Unreadable
from alarmd.evaluators.tick import Evaluation, TakingOver
from alarmd.importing import AodhSource, Conversion, ImportRun
from alarmd.notifiers import assembly
from alarmd.notifiers.probe import Outcome
from alarmd.notifiers.probe import run as run_probe
from alarmd.notifiers.round import DeliveryRound
from alarmd.notifiers.scheme import Scheme, target_check
from alarmd.notifiers.secret_book import SecretBook
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.plugins import parse_options
from alarmd.policy import Policy, TablePolicy
from alarmd.pollers.round import PollRound
from alarmd.pollers.source import SourcePlugin
from alarmd.settings import Role, Settings, SourceSettings
from alarmd.store.database import Database, parse_url
from alarmd.telemetry import Exposition

#: How long after its last snapshot a process is taken for stuck or gone.
_SILENCE_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Builds the parts of one daemon."""

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)

    # --- checked before anything starts --------------------------------------------------------------------------

    def check(self) -> None:
        """Look at everything that settings and plugins say to each other, without opening anything.

        Raises `SettingsError` or `PluginError`.
        """
        parse_url(self.settings.store_url)
        self._log_plugin()
        if "poller" in self.settings.roles:  # another role's host need not have a source's libraries
            self._check_sources()
        assembly.check_schemes(self.settings)
        if "notifier" in self.settings.roles:  # the files that are named have to be on its host only
            for scheme in self.schemes().values():
                scheme.close()
        if self.settings.cluster.doorbell == "redis" and self.settings.cluster.doorbell_url is None:
            raise SettingsError('cluster.doorbell = "redis" needs cluster.doorbell_url, e.g. "redis://host:6379/0".')
        if self.settings.api.requests_per_second_per_project:
            _need("limits", extra="ratelimit", setting="api.requests_per_second_per_project")
        if self.settings.keystone.auth_url is not None:
            _need("keystoneauth1", extra="openstack", setting="keystone.auth_url")
        if self.settings.api.auth == "keystone":
            _need("keystonemiddleware", extra="keystone", setting="api.auth")
        _ = self.policy, self.families

    def _check_sources(self) -> None:
        for number, source in enumerate(self.settings.poller.sources):
            self._source_plugin(source, number=number)
        names = [self._source_name(source) for source in self.settings.poller.sources]
        for name in names:
            if names.count(name) > 1:
                raise SettingsError(f"poller.sources: {name!r} is there {names.count(name)} times; give each its name.")

    # --- what every role shares ----------------------------------------------------------------------------------

    @property
    def metrics_dir(self) -> Path:
        """Where processes leave their metrics for each other."""
        return self.settings.state_dir / "metrics"

    @property
    def processes(self) -> dict[str, Role]:
        """The names of this daemon's processes, each with its role."""
        counts: dict[Role, int] = {
            "api": self.settings.api.workers,
            "evaluator": self.settings.evaluator.workers,
            "notifier": self.settings.notifier.workers,
        }
        return {f"{role}[{number}]": role for role in self.settings.roles for number in range(counts.get(role, 1))}

    def exposition(self, process: str) -> Exposition:
        """Return the metrics as one process sees them."""
        return Exposition(self.metrics_dir, process=process)

    def database(self) -> Database:
        """Return a pool of connections to the database."""
        return Database.connect(self.settings.store_url)

    def log(self) -> SampleLog:
        """Return the sample log. Raises `LogUnavailable`."""
        plugin, options = self._log_plugin()
        limits = LogLimits(retention_s=self.settings.log.retention_s, max_bytes=self.settings.log.max_bytes)
        return plugin.build(options=options, state_dir=self.settings.state_dir, limits=limits, clock=self.clock)

    def doorbell(self) -> Doorbell:
        """Return the doorbell."""
        cluster = self.settings.cluster
        if cluster.doorbell == "redis" and cluster.doorbell_url is not None:
            from alarmd.cluster.redis_doorbell import RedisDoorbell  # noqa: PLC0415  # its library is an extra

            return RedisDoorbell(cluster.doorbell_url.get_secret_value())
        return LocalDoorbell(self.settings.state_dir / "bells")

    @cached_property
    def families(self) -> Mapping[str, RuleFamily]:
        """Every rule family by the type of its alarms."""
        window = self.settings.window
        limits = RuleLimits(
            window_s=window.length_s,
            lateness_s=window.lateness_s,
            periods=self.settings.api.max_rule_periods,
            composite_depth=self.settings.api.max_composite_depth,
            composite_leaves=self.settings.api.max_composite_leaves,
            gnocchi_is_strict=self.settings.gnocchi.strict,
            servers=servers.configured(self.settings),
            prometheus_project_label=self.settings.prometheus.project_label,
            check_promql=servers.promql_check(self.settings, clock=self.clock),
        )
        built: dict[str, RuleFamily] = {}
        for name in plugins.names("alarmd.evaluators"):
            built[name] = plugins.load("alarmd.evaluators", name)(limits, built.get)
        return built

    @cached_property
    def target_policy(self) -> TargetPolicy:
        """Where notifications may go."""
        return assembly.target_policy(self.settings)

    # --- a role each ---------------------------------------------------------------------------------------------

    @cached_property
    def policy(self) -> Policy:
        """Who may do what. Raises `SettingsError` for a policy file that cannot be used."""
        if self.settings.api.policy_file is None:
            return TablePolicy()
        _need("oslo_policy", extra="policy", setting="api.policy_file")
        from alarmd.policy_file import FilePolicy  # noqa: PLC0415  # its library is an extra

        return FilePolicy(self.settings.api.policy_file)

    def alarm_service(self, *, database: Database, doorbell: Doorbell) -> AlarmService:
        """Return what decides about alarms."""
        schemes = assembly.scheme_plugins()
        actions = ActionRules(
            schemes=frozenset(schemes),
            check_target=target_check(schemes, policy=self.target_policy),
            max_actions=self.settings.api.max_actions,
            policy=self.policy,
        )
        drafting = Drafting(
            rule_types=self.families,
            normalise_constraints=normalise_constraints,
            actions=actions,
            policy=self.policy,
            least_repeat_s=max(1, ceil(self.settings.evaluator.tick_s)),
        )
        return AlarmService(
            database=database,
            drafting=drafting,
            quotas=self.quota_service(database=database),
            trusts=self._trusts(),
            policy=self.policy,
            doorbell=doorbell,
            clock=self.clock,
        )

    def _trusts(self) -> TrustKeeper:
        """Return what makes trusts: nothing does where callers are not Keystone's."""
        if self.settings.api.auth != "keystone":
            return NoTrusts()
        # Its libraries are an extra.
        from alarmd.keystone.client import KeystoneClient  # noqa: PLC0415
        from alarmd.keystone.trusts import KeystoneTrusts  # noqa: PLC0415

        return KeystoneTrusts(KeystoneClient(self.settings.keystone))

    def quota_service(self, *, database: Database) -> QuotaService:
        """Return what knows and holds quotas."""
        return QuotaService(database=database, policy=self.policy, defaults=asked.quota_defaults(self.settings))

    def import_run(self, source: AodhSource, *, database: Database, **how: Any) -> ImportRun:
        """Return what brings the alarms of an Aodh over; `how` are more fields of `ImportRun`."""
        conversion = Conversion(
            rule_types=self.families,
            normalise_constraints=normalise_constraints,
            schemes=frozenset(assembly.scheme_plugins()),
            shows_confinement=source.shows_confinement,
        )
        return ImportRun(
            source=source,
            database=database,
            conversion=conversion,
            clock=self.clock,
            history_retention_s=self.settings.store.history_retention_s,
            **how,
        )

    def result_service(self, *, database: Database) -> ResultService:
        """Return what shows how often evaluations led to which state."""
        is_enabled = self.settings.evaluator.count_results
        return ResultService(database=database, policy=self.policy, is_enabled=is_enabled)

    def secret_service(self, *, database: Database) -> SecretService:
        """Return what makes, shows and ends signing secrets."""
        return SecretService(database=database, policy=self.policy, clock=self.clock)

    def silence_service(self, *, database: Database) -> SilenceService:
        """Return what begins, shows and ends silences."""
        return SilenceService(
            database=database,
            policy=self.policy,
            normalise_constraints=normalise_constraints,
            read_hours=read_hours,
            limits=asked.silence_limits(self.settings),
            clock=self.clock,
        )

    def delivery_service(self, *, database: Database, doorbell: Doorbell) -> DeliveryService:
        """Return what shows deliveries."""
        return DeliveryService(database=database, policy=self.policy, doorbell=doorbell, clock=self.clock)

    def readiness(self, *, database: Database, log: SampleLog) -> dict[str, str | None]:
        """Return each check by its name: None when it is fine, else what is wrong."""
        checks: dict[str, str | None] = {}
        for name, ask in (("database", database.check), ("log", log.stats)):
            try:
                ask()
            except AlarmdError as error:
                checks[name] = error.message
            else:
                checks[name] = None
        seen = self.exposition("").ages_s(now_s=self.clock.time_s())
        for process in self.processes:
            age_s = seen.get(process)
            if age_s is None:
                checks[process] = "is still starting"
            else:
                checks[process] = f"has not been heard of for {age_s:.0f} s" if age_s > _SILENCE_S else None
        return checks

    def poll_round(self, source: SourceSettings, *, log: SampleLog, doorbell: Doorbell) -> PollRound:
        """Return the round that polls one source."""
        plugin, options = self._source_plugin(source, number=self.settings.poller.sources.index(source))
        built = plugin.build(name=self._source_name(source), options=options, clock=self.clock)
        return PollRound(source=built, log=log, doorbell=doorbell, clock=self.clock)

    def membership(self, *, worker: int) -> Membership:
        """Return which shards an evaluator worker of this daemon evaluates."""
        evaluator = self.settings.evaluator
        if evaluator.membership_url is not None:
            from alarmd.cluster.tooz_membership import ToozMembership  # noqa: PLC0415  # its library is an extra

            return ToozMembership(
                evaluator.membership_url.get_secret_value(), f"{socket.gethostname()}:{worker}:{os.getpid()}"
            )
        return SoloMembership(index=worker, count=evaluator.workers)

    def evaluation(
        self,
        *,
        database: Database,
        log: SampleLog,
        doorbell: Doorbell,
        membership: Membership,
        owner: str,
        taking_over: TakingOver = nullcontext,
    ) -> Evaluation:
        """Return what evaluates the alarms of a worker's shards; no other worker anywhere has this owner's name."""
        return Evaluation(
            database=database,
            log=log,
            doorbell=doorbell,
            membership=membership,
            families=self.families,
            window=window_limits(self.settings),
            plan=plan_options(self.settings, count_results=self.settings.evaluator.count_results),
            clock=self.clock,
            count_interval_s=self.settings.evaluator.count_interval_s,
            asker=Asker(servers.servers(self.settings, clock=self.clock), clock=self.clock),
            taking_over=taking_over,
            gate=evaluators.gate_limits(self.settings),
            watch=evaluators.watch(self.settings, owner=owner, database=database, clock=self.clock),
        )

    def release(self, *, database: Database, doorbell: Doorbell) -> Release:
        """Return what lets go of actions that were held back."""
        return Release(database=database, doorbell=doorbell, clock=self.clock)

    def unreadable(self, *, database: Database) -> Unreadable:
        """Return what tells of silences whose hours cannot be read here."""
        return Unreadable(database=database, clock=self.clock)

    def previews(self, *, database: Database, log: SampleLog) -> Previews:
        """Return what says what rules would have done."""
        return Previews(self._surroundings(database, log))

    def explanations(self, *, database: Database, log: SampleLog) -> Explanations:
        """Return what explains alarms; to be called after a fork."""
        return Explanations(self._surroundings(database, log), servers=servers.servers(self.settings, clock=self.clock))

    def _surroundings(self, database: Database, log: SampleLog) -> Surroundings:
        return Surroundings.of(self.settings, database=database, log=log, families=self.families, clock=self.clock)

    def event_evaluation(self, *, database: Database, doorbell: Doorbell) -> EventEvaluation:
        """Return what holds events against alarms, in whichever process they arrive."""
        gate = evaluators.gate_limits(self.settings)
        return EventEvaluation(database=database, doorbell=doorbell, clock=self.clock, gate=gate)

    def schemes(self, *, secrets: SecretBook | None = None) -> dict[str, Scheme]:
        """Return a notifier for each URL scheme; without secrets of projects, the installation's sign.

        Raises `SettingsError`.
        """
        return assembly.build_schemes(self.settings, clock=self.clock, secrets=secrets)

    def probe(self, target: str, *, project_id: str, secret: str | None) -> Outcome:
        """Send a probe once and return how that went (`probe.run`)."""
        return run_probe(self.settings, target, project_id=project_id, secret=secret, clock=self.clock)

    def delivery_round(
        self, *, database: Database, schemes: Mapping[str, Scheme], secrets: SecretBook, owner: str
    ) -> DeliveryRound:
        """Return what drains the outbox, in the name of an owner; the schemes are those that sign from the secrets."""
        return assembly.build_round(
            self.settings, database=database, schemes=schemes, secrets=secrets, clock=self.clock, owner=owner
        )

    # --- plugins -------------------------------------------------------------------------------------------------

    def _log_plugin(self) -> tuple[LogPlugin, Any]:
        plugin: LogPlugin = plugins.load("alarmd.logs", self.settings.log.engine)
        return plugin, parse_options(plugin.options, self.settings.log.options, where="log.options")

    def _source_plugin(self, source: SourceSettings, *, number: int) -> tuple[SourcePlugin, Any]:
        plugin: SourcePlugin = plugins.load("alarmd.pollers", source.type)
        return plugin, parse_options(plugin.options, source.options, where=f"poller.sources.{number}")

    @staticmethod
    def _source_name(source: SourceSettings) -> str:
        return source.name or source.type


def _need(module: str, *, extra: str, setting: str) -> None:
    """Raise `SettingsError` unless the library that a setting takes is installed."""
    if find_spec(module) is None:
        raise SettingsError(f"{setting} needs a library that is not installed: pip install 'alarmd[{extra}]'.")
