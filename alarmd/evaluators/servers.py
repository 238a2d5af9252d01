# SPDX-License-Identifier: Apache-2.0
"""Who can be asked: builds the clients of other people's servers out of the settings."""

from collections.abc import Callable, Mapping

from alarmd.clock import Clock
from alarmd.evaluators.asking.asking import Server
from alarmd.evaluators.asking.json_client import JsonClient
from alarmd.evaluators.families.gnocchi import question as gnocchi_question
from alarmd.evaluators.families.gnocchi.server import GnocchiServer, Identity
from alarmd.evaluators.families.loadbalancer import octavia
from alarmd.evaluators.families.loadbalancer.octavia import OctaviaServer, Tokens
from alarmd.evaluators.families.prometheus import server as prometheus_server
from alarmd.evaluators.families.prometheus.server import PrometheusServer, PromqlChecker
from alarmd.settings import Settings
from alarmd.settings.servers import PrometheusSettings


def configured(settings: Settings) -> frozenset[str]:
    """Return the names of those that the settings name; opens nothing."""
    named = {
        prometheus_server.SERVER: settings.prometheus.url is not None,
        octavia.SERVER: settings.octavia.is_asked,
        gnocchi_question.SERVER: settings.gnocchi.url is not None,
    }
    return frozenset(name for name, is_named in named.items() if is_named)


def servers(settings: Settings, *, clock: Clock) -> Mapping[str, Server]:
    """Return those that are configured by their names; to be called after a fork."""
    built: dict[str, Server] = {}
    if settings.prometheus.url is not None:
        asked = settings.prometheus
        built[prometheus_server.SERVER] = PrometheusServer(
            _prometheus_client(asked, asked.url or "", clock=clock),
            interval_s=asked.interval_s,
            timeout_s=asked.timeout_s,
            concurrency=asked.concurrency,
            member_memory_s=settings.evaluator.member_memory_s,
        )
    if settings.octavia.is_asked:
        built[octavia.SERVER] = _octavia(settings, clock=clock)
    if settings.gnocchi.url is not None:
        built[gnocchi_question.SERVER] = _gnocchi(settings, settings.gnocchi.url, clock=clock)
    return built


def promql_check(settings: Settings, *, clock: Clock) -> Callable[[str], None] | None:
    """Return what tells PromQL from other texts, if there is anybody who can; opens nothing before it is called."""
    url = settings.prometheus.url
    if url is None:
        return None
    return PromqlChecker(_prometheus_client(settings.prometheus, url, clock=clock), clock=clock).check


def _prometheus_client(settings: PrometheusSettings, url: str, *, clock: Clock) -> JsonClient:
    token, password = settings.bearer_token, settings.password
    return JsonClient(
        url,
        name="Prometheus",
        timeout_s=settings.timeout_s,
        connections=settings.concurrency,
        clock=clock,
        headers={"Authorization": f"Bearer {token.get_secret_value()}"} if token else {},
        auth=(settings.username, password.get_secret_value()) if password else None,
        verify=str(settings.cafile) if settings.cafile else True,
    )


def _octavia(settings: Settings, *, clock: Clock) -> OctaviaServer:
    asked, keystone = settings.octavia, settings.keystone
    tokens: Tokens | None = None
    verify: bool | str = True
    if keystone.auth_url is not None:
        from alarmd.keystone.client import KeystoneClient  # noqa: PLC0415  # its library is an extra

        tokens, verify = KeystoneClient(keystone), not keystone.insecure
    if verify and (cafile := asked.cafile or keystone.cafile):
        verify = str(cafile)
    client = JsonClient(
        asked.url or "",
        name="Octavia",
        timeout_s=asked.timeout_s,
        connections=asked.concurrency,
        clock=clock,
        verify=verify,
    )
    return OctaviaServer(
        client,
        tokens=tokens,
        url=asked.url,
        interval_s=asked.interval_s,
        timeout_s=asked.timeout_s,
        concurrency=asked.concurrency,
        member_creation_time_s=asked.member_creation_time_s,
    )


def _gnocchi(settings: Settings, url: str, *, clock: Clock) -> GnocchiServer:
    asked, keystone = settings.gnocchi, settings.keystone
    identity: Identity | None = None
    if keystone.auth_url is not None:
        from alarmd.keystone.client import KeystoneClient  # noqa: PLC0415  # its library is an extra

        identity = KeystoneClient(keystone)
    client = JsonClient(
        url,
        name="Gnocchi",
        timeout_s=asked.timeout_s,
        connections=asked.concurrency,
        clock=clock,
        auth=None if identity else (asked.user, ""),
        verify=str(asked.cafile) if asked.cafile else True,
    )
    return GnocchiServer(client, identity=identity, settings=asked)
