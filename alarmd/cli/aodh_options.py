# SPDX-License-Identifier: Apache-2.0
"""What each option of aodh.conf becomes here: settings, or the reason why it becomes none."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from alarmd.cli.aodh_conf import AodhOption
from alarmd.settings import ROLES

#: Settings by their dotted keys, or why there are none. Raises `ValueError` for a value that cannot be.
Outcome: TypeAlias = Mapping[str, Any] | str
_Translate: TypeAlias = Callable[[AodhOption], Outcome]

#: A hundred years: what alarmd takes for "for ever".
_FOR_EVER_S = 100 * 365 * 86400.0
_TLS = "notifier.schemes.https"


def translate(option: AodhOption) -> Outcome:
    """Return what an option becomes. Raises `ValueError` for a value that cannot be."""
    group = "cors" if option.group.startswith("cors.") else option.group
    known = _OPTIONS.get((group, option.name))
    if group in _AT_KEYSTONE:
        known = _KEYSTONE.get(option.name)
    if known is not None:
        return known if isinstance(known, str) else known(option)
    return _GROUPS.get(group, "neither Aodh nor alarmd knows it")


# --- values --------------------------------------------------------------------------------------------------------
def _text(key: str) -> _Translate:
    return lambda option: {key: option.value} if option.value else {}


def _integer(key: str) -> _Translate:
    return lambda option: {key: int(option.value)}


def _seconds(key: str) -> _Translate:
    return lambda option: {key: max(float(option.value), 0.0)}


def _boolean(key: str) -> _Translate:
    return lambda option: {key: _truth(option.value)}


def _path(key: str, *, must_exist: bool = False) -> _Translate:
    def translated(option: AodhOption) -> Outcome:
        path = option.directory / option.value
        if must_exist and not path.is_file():
            return f"there is no file {path} on this machine; set {key} where there is one"
        return {key: str(path)} if option.value else {}

    return translated


def _words(key: str) -> _Translate:
    def translated(option: AodhOption) -> Outcome:
        words = [word.strip() for value in option.values for word in value.split(",")]
        return {key: [word for word in words if word]}

    return translated


def _truth(value: str) -> bool:
    if value.lower() in {"true", "1", "yes", "on"}:
        return True
    if value.lower() in {"false", "0", "no", "off"}:
        return False
    raise ValueError("it is neither true nor false")


# --- options that need a thought -----------------------------------------------------------------------------------
def _auth_mode(option: AodhOption) -> Outcome:
    modes = {"keystone": "keystone", "noauth": "trusted-headers"}
    if option.value not in modes:
        raise ValueError("Aodh knows keystone and noauth")
    return {"api.auth": modes[option.value]}


def _max_actions(option: AodhOption) -> Outcome:
    return {"api.max_actions": max(int(option.value), 0)}


def _history(option: AodhOption) -> Outcome:
    lifetime_s = float(option.value)
    return {"store.history_retention_s": lifetime_s if lifetime_s > 0 else _FOR_EVER_S}


def _connection(option: AodhOption) -> Outcome:
    try:
        url = make_url(option.value)
    except ArgumentError as error:
        raise ValueError("it is no URL of a database") from error
    if url.get_backend_name() == "postgresql":
        # Both keep a table alarm_history, so they must not share a database.
        name = url.database or "aodh"
        own = name.replace("aodh", "alarmd") if "aodh" in name else f"{name}_alarmd"
        renamed = url.set(drivername="postgresql+psycopg", database=own)
        return {"store.url": renamed.render_as_string(hide_password=False)}
    kind = {"sqlite": "a SQLite file", "mysql": "MySQL or MariaDB"}.get(url.get_backend_name(), "a database")
    return (
        f"Aodh keeps its alarms in {kind}, and alarmd keeps its own in a SQLite file in state_dir, or in PostgreSQL "
        "(store.url). `alarmd import aodh --from-db` brings the alarms over"
    )


def _membership(option: AodhOption) -> Outcome:
    engine = option.value.partition(":")[0].partition("+")[0]
    if engine in {"mysql", "postgresql", "ipc"}:
        return f"{engine} can lock, but not tell who is there: give evaluator.membership_url a Redis or etcd"
    return {"evaluator.membership_url": option.value} if option.value else {}


def _logging_level(option: AodhOption) -> Outcome:
    return {"logging.level": "debug"} if _truth(option.value) else {}


def _log_format(option: AodhOption) -> Outcome:
    return {"logging.format": "json"} if _truth(option.value) else {}


def _record_history(option: AodhOption) -> Outcome:
    if _truth(option.value):
        return {}
    return "alarmd always keeps history, because a state and its history are stored together"


def _ssl_verify(option: AodhOption) -> Outcome:
    if _truth(option.value):
        return {}
    return (
        f"alarmd always checks receivers' certificates; name who vouches for them in {_TLS}.ca_file, or exceptions in "
        f"{_TLS}.unverified_networks"
    )


def _interface(option: AodhOption) -> Outcome:
    interface = option.value.removesuffix("URL")
    if interface not in {"public", "internal", "admin"}:
        raise ValueError("it is none of public, internal, admin")
    return {"keystone.interface": interface}


def _auth_type(option: AodhOption) -> Outcome:
    if option.value in {"password", "v3password"}:
        return {}
    return f"alarmd shows Keystone a user and a password, and knows no auth_type {option.value!r}"


def _domain(key: str) -> _Translate:
    def translated(option: AodhOption) -> Outcome:
        # The one domain whose id says its name.
        return {key: "Default"} if option.value == "default" else f"domains go by their names here: set {key}"

    return translated


def _timeout(option: AodhOption) -> Outcome:
    return {"keystone.timeout_s": min(max(float(option.value), 1.0), 60.0)}


_BY_NAME = (
    "alarmd names its user and project at Keystone by their names: set keystone.username and keystone.project_name"
)
_NO_QUEUE = "alarmd has no queue between evaluation and notification: what is to be sent stands in the database"
_NO_CERTIFICATE = "alarmd shows Keystone no certificate of its own"

#: Sections that say who Aodh is at Keystone.
_AT_KEYSTONE = frozenset({"keystone_authtoken", "service_credentials"})
_KEYSTONE: Mapping[str, _Translate | str] = {
    "auth_url": _text("keystone.auth_url"),
    "www_authenticate_uri": _text("keystone.www_authenticate_uri"),
    "auth_uri": _text("keystone.www_authenticate_uri"),
    "username": _text("keystone.username"),
    "password": _text("keystone.password"),
    "project_name": _text("keystone.project_name"),
    "tenant_name": _text("keystone.project_name"),
    "user_domain_name": _text("keystone.user_domain_name"),
    "project_domain_name": _text("keystone.project_domain_name"),
    "user_domain_id": _domain("keystone.user_domain_name"),
    "project_domain_id": _domain("keystone.project_domain_name"),
    "region_name": _text("keystone.region"),
    "interface": _interface,
    "cafile": _path("keystone.cafile"),
    "insecure": _boolean("keystone.insecure"),
    "token_cache_time": _seconds("keystone.token_cache_s"),
    "timeout": _timeout,
    "http_connect_timeout": _timeout,
    "auth_type": _auth_type,
    "auth_plugin": _auth_type,
    "user_id": _BY_NAME,
    "project_id": _BY_NAME,
    "tenant_id": _BY_NAME,
    "trust_id": _BY_NAME,
    "certfile": _NO_CERTIFICATE,
    "keyfile": _NO_CERTIFICATE,
    "memcached_servers": "alarmd remembers tokens in its own memory (keystone.token_cache_s)",
}

_SERVICE_PROJECT = "the project is named by its id here: gnocchi.service_project_id"

_OPTIONS: Mapping[tuple[str, str], _Translate | str] = {
    ("DEFAULT", "record_history"): _record_history,
    ("DEFAULT", "event_alarm_cache_ttl"): "changes of alarms count at once here",
    ("DEFAULT", "prometheus_disable_rbac"): "Aodh ignores it too",
    ("DEFAULT", "prometheus_project_label_name"): _text("prometheus.project_label"),
    ("DEFAULT", "member_creation_time"): _seconds("octavia.member_creation_time_s"),
    ("DEFAULT", "additional_ingestion_lag"): "how late samples may come is window.lateness_s here",
    ("DEFAULT", "rest_notifier_certificate_file"): _path(f"{_TLS}.client_cert_file"),
    ("DEFAULT", "rest_notifier_certificate_key"): _path(f"{_TLS}.client_key_file"),
    ("DEFAULT", "rest_notifier_ca_bundle_certificate_path"): _path(f"{_TLS}.ca_file"),
    ("DEFAULT", "rest_notifier_ssl_verify"): _ssl_verify,
    ("DEFAULT", "rest_notifier_max_retries"): "retries go by time and with pauses here: notifier.retry_give_up_after_s",
    ("DEFAULT", "notifier_topic"): _NO_QUEUE,
    ("DEFAULT", "enable_evaluation_results_metrics"): _boolean("evaluator.count_results"),
    ("DEFAULT", "evaluation_interval"): _seconds("evaluator.repeat_interval_s"),
    ("DEFAULT", "transport_url"): _NO_QUEUE,
    ("DEFAULT", "rpc_response_timeout"): _NO_QUEUE,
    ("DEFAULT", "executor_thread_pool_size"): _integer("notifier.threads"),
    ("DEFAULT", "graceful_shutdown_timeout"): _integer("drain_timeout_s"),
    ("DEFAULT", "log_options"): "`alarmd config show` prints the settings",
    ("DEFAULT", "debug"): _logging_level,
    ("DEFAULT", "use_json"): _log_format,
    ("api", "auth_mode"): _auth_mode,
    ("api", "paste_config"): "there is no paste pipeline here; who may come in is api.auth",
    ("api", "user_alarm_quota"): _integer("api.user_alarm_quota"),
    ("api", "project_alarm_quota"): _integer("api.project_alarm_quota"),
    ("api", "alarm_max_actions"): _max_actions,
    ("api", "gnocchi_external_project_owner"): _SERVICE_PROJECT,
    ("api", "gnocchi_external_domain_name"): _SERVICE_PROJECT,
    ("coordination", "backend_url"): _membership,
    ("database", "connection"): _connection,
    ("database", "alarm_history_time_to_live"): _history,
    ("database", "alarm_histories_delete_batch_size"): "alarmd drops old history by itself, a little at a time",
    ("evaluator", "workers"): _integer("evaluator.workers"),
    ("evaluator", "evaluation_interval"): _seconds("evaluator.repeat_interval_s"),
    ("notifier", "workers"): _integer("notifier.workers"),
    ("cors", "allowed_origin"): _words("api.cors_origins"),
    ("oslo_policy", "policy_file"): _path("api.policy_file", must_exist=True),
    ("oslo_middleware", "enable_proxy_headers_parsing"): _boolean("api.proxy_headers"),
}

_GROUPS: Mapping[str, str] = {
    "DEFAULT": f"alarmd has nothing like it (its log goes to standard error; its roles are {', '.join(ROLES)})",
    "api": "alarmd has nothing like it",
    "coordination": "the library that speaks to the server has its own pauses",
    "database": "alarmd bounds its connections itself",
    "evaluator": "alarmd has nothing like it",
    "listener": "events do not come over a message bus here",
    "notifier": _NO_QUEUE,
    "service_types": "alarmd has nothing like it",
    "keystone_authtoken": "alarmd sees to it by itself when it checks tokens",
    "service_credentials": "alarmd has nothing like it",
    "cors": "methods and headers that browsers may use are fixed here: those of the API",
    "oslo_policy": "alarmd reads one policy file; it always holds callers to their project",
    "oslo_middleware": "alarmd has nothing like it",
    "oslo_messaging_notifications": _NO_QUEUE,
    "oslo_messaging_rabbit": _NO_QUEUE,
    "oslo_messaging_kafka": _NO_QUEUE,
    "oslo_messaging_amqp": _NO_QUEUE,
    "healthcheck": "/healthz and /readyz are always there",
    "oslo_reports": "look at /metrics instead",
    "oslo_concurrency": "alarmd has nothing like it",
    "profiler": "alarmd has nothing like it",
}
