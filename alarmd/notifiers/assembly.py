# SPDX-License-Identifier: Apache-2.0
"""From the settings to the notifiers: which schemes there are, where they may send, what they sign with."""

from collections.abc import Mapping
from typing import Any

from alarmd import plugins
from alarmd.clock import Clock
from alarmd.notifiers.circuit import CircuitPolicy
from alarmd.notifiers.fairness import Shares
from alarmd.notifiers.retry import RetryPolicy
from alarmd.notifiers.round import DeliveryRound
from alarmd.notifiers.scheme import Scheme, SchemePlugin
from alarmd.notifiers.secret_book import SecretBook
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy, TargetRules
from alarmd.plugins import parse_options
from alarmd.settings import Settings
from alarmd.settings.schema import NotifierSettings
from alarmd.settings.target_rules import ProjectTargets
from alarmd.store.database import Database

_GROUP = "alarmd.notifiers"
#: How much longer than two attempts a notification is leased: the time it may wait for a free thread.
_LEASE_SPARE_S = 15.0


def scheme_plugins() -> dict[str, SchemePlugin]:
    """Return what there is for each URL scheme. Raises `PluginError`."""
    return {name: plugins.load(_GROUP, name) for name in plugins.names(_GROUP)}


def check_schemes(settings: Settings) -> None:
    """Raise `SettingsError` or `PluginError` for options and secrets that no notifier could work with."""
    for name in settings.notifier.schemes:
        plugins.load(_GROUP, name)
    for name, plugin in scheme_plugins().items():
        _options(name, plugin, settings)
    Signer(settings.notifier.signing_secrets)


def target_policy(settings: Settings) -> TargetPolicy:
    """Return where notifications may go.

    Loopback by default only where this daemon's own API listens there: only then are those who name receivers people of
    this machine. The address of an API that does not run here says nothing.
    """
    notifier = settings.notifier
    return TargetPolicy(
        _target_rules(notifier),
        projects={project_id: _target_rules(said) for project_id, said in notifier.projects.items()},
        allow_loopback="api" in settings.roles and settings.api.is_loopback,
    )


def shares_of(settings: Settings) -> Shares:
    """Return what one receiver, and one project, may have of a notifier's threads."""
    notifier = settings.notifier
    return Shares.of(
        notifier.threads, per_receiver=notifier.threads_per_receiver, per_project=notifier.threads_per_project
    )


def build_schemes(settings: Settings, *, clock: Clock, secrets: SecretBook | None) -> dict[str, Scheme]:
    """Return a notifier for each URL scheme. Raises `SettingsError`."""
    policy = target_policy(settings)
    signer = Signer(settings.notifier.signing_secrets, keys=secrets)
    return {
        name: plugin.build(options=_options(name, plugin, settings), clock=clock, policy=policy, signer=signer)
        for name, plugin in scheme_plugins().items()
    }


def build_round(
    settings: Settings,
    *,
    database: Database,
    schemes: Mapping[str, Scheme],
    secrets: SecretBook,
    clock: Clock,
    owner: str,
) -> DeliveryRound:
    """Return what drains the outbox; the schemes are those that sign from the secrets."""
    notifier = settings.notifier
    longest_s = max((scheme.deadline_s for scheme in schemes.values()), default=0.0)
    return DeliveryRound(
        database=database,
        schemes=schemes,
        policy=RetryPolicy(
            first_delay_s=notifier.retry_first_delay_s,
            factor=notifier.retry_factor,
            max_delay_s=notifier.retry_max_delay_s,
            give_up_after_s=notifier.retry_give_up_after_s,
            jitter=notifier.retry_jitter,
        ),
        clock=clock,
        owner=owner,
        shares=shares_of(settings),
        circuits=CircuitPolicy(
            failures=notifier.circuit_failures,
            first_pause_s=notifier.circuit_first_pause_s,
            max_pause_s=notifier.circuit_max_pause_s,
        ),
        lease_s=2 * longest_s + _LEASE_SPARE_S,
        batch=8 * notifier.threads,
        secrets=secrets,
    )


def _options(name: str, plugin: SchemePlugin, settings: Settings) -> Any:
    notifier = settings.notifier
    shared = {
        "connect_timeout_s": notifier.connect_timeout_s,
        "read_timeout_s": notifier.timeout_s,
        "deadline_s": notifier.timeout_s,
        "keystone": settings.keystone,
    }
    known = {key: value for key, value in shared.items() if key in plugin.options.model_fields}
    return parse_options(plugin.options, known | notifier.schemes.get(name, {}), where=f"notifier.schemes.{name}")


def _target_rules(said: NotifierSettings | ProjectTargets) -> TargetRules:
    return TargetRules(
        allow_networks=said.allow_networks,
        allow_hosts=said.allow_hosts,
        deny_networks=said.deny_networks,
        deny_hosts=said.deny_hosts,
    )
