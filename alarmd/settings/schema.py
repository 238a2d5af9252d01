# SPDX-License-Identifier: Apache-2.0
"""Every key that the daemon understands, its default, and what is allowed. `docs/settings.md` explains each."""

import json
import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from alarmd.settings.safety import SafetySettings, Share
from alarmd.settings.section import HttpUrl, Seconds, SecondsOrZero, Section, words
from alarmd.settings.servers import OctaviaSettings, PrometheusSettings
from alarmd.settings.target_rules import HostPatterns, Networks, ProjectTargets

PREFIX = "ALARMD_"
DELIMITER = "__"

Role: TypeAlias = Literal["api", "poller", "evaluator", "notifier"]
ROLES: tuple[Role, ...] = ("api", "poller", "evaluator", "notifier")


def _tables(value: Any) -> Any:
    """Read a list of tables out of a variable: JSON."""
    return json.loads(value) if isinstance(value, str) else value


def _host_and_port(value: str) -> str:
    """Check an address."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError('must be "HOST:PORT", e.g. "127.0.0.1:8042" or "[::1]:8042"')
    return value


def _origin(value: str) -> str:
    """Check an origin as browsers send it."""
    if value != "*" and not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?", value):
        raise ValueError('must be an origin without a path, e.g. "https://horizon.example", or "*"')
    return value


class ApiSettings(Section):
    """The REST door."""

    listen: Annotated[str, AfterValidator(_host_and_port)] = "127.0.0.1:8042"
    auth: Literal["loopback", "trusted-headers", "tokens", "keystone"] = "loopback"
    policy_file: Path | None = None
    workers: PositiveInt = 2
    threads: PositiveInt = 16
    max_body_bytes: PositiveInt = 16 * 1024 * 1024
    page_limit: PositiveInt = 10_000
    series_limit: PositiveInt = 10_000
    max_samples_per_push: PositiveInt = 100_000
    sample_future_s: Seconds = 60.0
    max_events_per_push: PositiveInt = 1_000
    max_event_bytes: PositiveInt = 65_536
    requests_per_second_per_project: NonNegativeInt = 0
    preview_timeout_s: Seconds = 20.0
    max_actions: NonNegativeInt = 100
    # Aodh's clients may say 100 periods, and bodies no more than 1,000.
    max_rule_periods: Annotated[int, Field(ge=1, le=1000)] = 360
    # A tree is read, and compiled, from the root down.
    max_composite_depth: Annotated[int, Field(ge=1, le=64)] = 8
    max_composite_leaves: PositiveInt = 100
    project_alarm_quota: Annotated[int, Field(ge=-1)] = -1
    user_alarm_quota: Annotated[int, Field(ge=-1)] = -1
    # Read by every tick that has something to tell, so there is always a bound.
    project_silence_quota: PositiveInt = 100
    max_silence_s: Seconds = 30 * 86400.0
    proxy_headers: bool = False
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(words)] = ()

    @property
    def host(self) -> str:
        """Name or address to bind, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Port to bind; 0 lets the kernel choose."""
        return int(self.listen.rpartition(":")[2])

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the API."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @model_validator(mode="after")
    def _open_doors_need_a_lock(self) -> Self:
        if self.auth == "loopback" and not self.is_loopback:
            raise ValueError(
                f'{self.listen} can be reached by other machines, and api.auth = "loopback" trusts whoever gets there. '
                'Listen on 127.0.0.1, or set api.auth to "tokens" (made with `alarmd token create`), to "keystone", '
                'or to "trusted-headers" if a proxy in front authenticates callers and sets X-User-Id, X-Project-Id '
                "and X-Roles itself"
            )
        return self


class StoreSettings(Section):
    """The database of alarms, history and outbox."""

    url: SecretStr | None = None
    url_file: Path | None = None
    history_retention_s: Seconds = 30 * 86400.0
    silence_retention_s: Seconds = 30 * 86400.0


class LogSettings(Section):
    """The sample log."""

    engine: str = "sqlite"
    retention_s: Seconds = 7200.0
    max_bytes: PositiveInt = 1024**3
    trim_interval_s: Seconds = 30.0
    options: dict[str, Any] = Field(default_factory=dict)


class WindowSettings(Section):
    """The columnar window of each evaluator."""

    length_s: Seconds = 3600.0
    lateness_s: SecondsOrZero = 10.0
    max_series: PositiveInt = 1_000_000


class SourceSettings(BaseModel):
    """One source; keys beyond these are its own options."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    type: str
    name: str | None = None
    interval_s: Seconds | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What the source itself is told."""
        return dict(self.model_extra or {})


class PollerSettings(Section):
    """Where samples come from."""

    interval_s: Seconds = 10.0
    jitter_s: SecondsOrZero = 1.0
    sources: Annotated[tuple[SourceSettings, ...], BeforeValidator(_tables)] = (SourceSettings(type="host"),)


class EvaluatorSettings(Section):
    """The evaluation of rules."""

    tick_s: Seconds = 1.0
    workers: PositiveInt = 1
    repeat_interval_s: Seconds = 60.0
    member_memory_s: SecondsOrZero = 600.0
    scale_in_coverage: Share = 0.9
    count_results: bool = False
    count_interval_s: Seconds = 10.0
    membership_url: SecretStr | None = None
    membership_url_file: Path | None = None


class NotifierSettings(Section):
    """The delivery of actions."""

    workers: PositiveInt = 1
    threads: PositiveInt = 32
    threads_per_receiver: NonNegativeInt = 0
    threads_per_project: NonNegativeInt = 0
    secret: SecretStr | None = None
    secret_file: Path | None = None
    secrets: Annotated[tuple[SecretStr, ...], BeforeValidator(words)] = ()
    secrets_file: Path | None = None
    connect_timeout_s: Seconds = 3.0
    timeout_s: Seconds = 15.0
    allow_networks: Networks = ()
    allow_hosts: HostPatterns = ()
    deny_networks: Networks = ()
    deny_hosts: HostPatterns = ()
    projects: Annotated[dict[str, ProjectTargets], BeforeValidator(_tables)] = Field(default_factory=dict)
    retry_first_delay_s: Seconds = 1.0
    retry_factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    retry_max_delay_s: Seconds = 60.0
    retry_give_up_after_s: SecondsOrZero = 3600.0
    retry_jitter: Annotated[float, Field(ge=0, le=1)] = 0.2
    circuit_failures: NonNegativeInt = 5
    circuit_first_pause_s: Seconds = 1.0
    circuit_max_pause_s: Seconds = 30.0
    expire_out_s: SecondsOrZero = 0.0
    expire_in_s: SecondsOrZero = 300.0
    expire_neutral_s: SecondsOrZero = 0.0
    schemes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    outbox_retention_s: Seconds = 7 * 86400.0

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """Secrets to sign with; more than one while they are being rotated."""
        every = ((self.secret,) if self.secret else ()) + self.secrets
        return tuple(secret.get_secret_value() for secret in every)


class LoggingSettings(Section):
    """The daemon's own log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class ClusterSettings(Section):
    """How processes wake each other."""

    doorbell: Literal["local", "redis"] = "local"
    doorbell_url: SecretStr | None = None
    doorbell_url_file: Path | None = None


class KeystoneSettings(Section):
    """The identity service of OpenStack, and who alarmd is there."""

    auth_url: str | None = None
    www_authenticate_uri: str | None = None
    username: str = "alarmd"
    password: SecretStr | None = None
    password_file: Path | None = None
    project_name: str = "service"
    user_domain_name: str = "Default"
    project_domain_name: str = "Default"
    region: str | None = None
    interface: Literal["internal", "public", "admin"] = "internal"
    cafile: Path | None = None
    insecure: bool = False
    token_cache_s: SecondsOrZero = 300.0
    timeout_s: Annotated[float, Field(ge=1, le=60)] = 5.0

    @model_validator(mode="after")
    def _nobody_comes_in_without_a_password(self) -> Self:
        if self.auth_url is not None and self.password is None:
            raise ValueError("keystone.auth_url needs keystone.password (or password_file), that of alarmd's own user")
        return self


class GnocchiSettings(Section):
    """Rules of the gnocchi types, and the Gnocchi that may be asked for their values."""

    url: HttpUrl | None = None
    strict: bool = False
    interval_s: Seconds = 10.0
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    concurrency: Annotated[int, Field(ge=1, le=100)] = 8
    user: str = "admin"
    service_project_id: str | None = None
    cafile: Path | None = None


class Settings(BaseSettings):
    """Everything the daemon can be told."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    state_dir: Path = Path("alarmd-state")
    roles: Annotated[tuple[Role, ...], BeforeValidator(words), Field(min_length=1)] = ROLES
    drain_timeout_s: PositiveInt = 30
    api: ApiSettings = ApiSettings()
    store: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()
    window: WindowSettings = WindowSettings()
    poller: PollerSettings = PollerSettings()
    evaluator: EvaluatorSettings = EvaluatorSettings()
    notifier: NotifierSettings = NotifierSettings()
    safety: SafetySettings = SafetySettings()
    logging: LoggingSettings = LoggingSettings()
    cluster: ClusterSettings = ClusterSettings()
    keystone: KeystoneSettings = KeystoneSettings()
    gnocchi: GnocchiSettings = GnocchiSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    octavia: OctaviaSettings = OctaviaSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the library calls with all five by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` has gathered, and nothing from the process's surroundings behind its back."""
        return (init_settings,)

    @model_validator(mode="after")
    def _log_outlives_window(self) -> Self:
        if self.window.length_s > self.log.retention_s:
            raise ValueError(
                f"window.length_s ({self.window.length_s:g}) must not be longer than log.retention_s "
                f"({self.log.retention_s:g}): a restart could not fill the window again"
            )
        return self

    @model_validator(mode="after")
    def _ticks_are_closer_than_silence(self) -> Self:
        if self.evaluator.tick_s > max(self.window.lateness_s, 1.0):
            raise ValueError(
                f"evaluator.tick_s ({self.evaluator.tick_s:g}) must not be longer than window.lateness_s "
                f"({self.window.lateness_s:g}): an evaluator that looks that rarely cannot tell silence from its own "
                "pauses"
            )
        return self

    @model_validator(mode="after")
    def _keystone_is_somewhere(self) -> Self:
        if self.api.auth == "keystone" and self.keystone.auth_url is None:
            raise ValueError(
                'api.auth = "keystone" needs keystone.auth_url, e.g. "http://controller:5000/v3", and keystone.password'
            )
        return self

    @model_validator(mode="after")
    def _catalogues_are_keystones(self) -> Self:
        if self.octavia.from_catalogue and self.keystone.auth_url is None:
            raise ValueError(
                "octavia.from_catalogue needs keystone.auth_url and keystone.password; without, set octavia.url"
            )
        return self

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a SQLite file, alarmd's own."""
        return self.store_url.startswith("sqlite")

    @property
    def store_url(self) -> str:
        """The database's URL as SQLAlchemy wants it; may hold a password."""
        if self.store.url is not None:
            return self.store.url.get_secret_value()
        return f"sqlite:///{self.state_dir / 'alarmd.db'}"


def keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key and its default, dotted, in the order they are declared."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, Section):
            yield from keys(type(default), f"{name}.")
        else:
            yield f"{prefix}{name}", default


def value_of(settings: Settings, key: str) -> Any:
    """Return the value of a dotted key."""
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def variable_of(key: str) -> str:
    """Return the environment variable of a dotted key."""
    return PREFIX + key.upper().replace(".", DELIMITER)


def _secret_keys() -> frozenset[str]:
    every = {key for key, _ in keys()}
    return frozenset(key for key in every if f"{key}_file" in every)


#: Keys whose values must not be shown.
SECRETS = _secret_keys()
