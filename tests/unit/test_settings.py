# SPDX-License-Identifier: Apache-2.0
import json
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alarmd.errors import SettingsError
from alarmd.notifiers.http import HttpOptions
from alarmd.settings import ROLES, SECRETS, Settings, keys, load, load_with_origins, variable_of

ROOT = Path(__file__).parents[2]


def a_file(folder: Path, text: str) -> Path:
    path = folder / "alarmd.toml"
    path.write_text(text)
    return path


def complaint(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, environ, overrides)
    return caught.value.message


def test_nothing_has_to_be_set() -> None:
    """Without a file, a variable or an option there are settings to run with."""
    settings = load(None, {})

    assert ("127.0.0.1", 8042) == (settings.api.host, settings.api.port)
    assert ROLES == settings.roles
    assert Path.cwd() / "alarmd-state" == settings.state_dir
    assert f"sqlite:///{settings.state_dir}/alarmd.db" == settings.store_url
    assert ["host"] == [source.type for source in settings.poller.sources]


def test_settings_cannot_be_changed() -> None:
    """Settings are read once; whoever holds them holds the same for ever."""
    settings = load(None, {})

    with pytest.raises(ValidationError, match="frozen"):
        settings.api.threads = 1


def test_durations_fit_into_the_calendar() -> None:
    """A duration that no moment could be moved by is refused; a hundred years will do for ever."""
    longest = {"notifier.retry_give_up_after_s": 3_153_600_000}

    assert 3_153_600_000 == load(None, {}, longest).notifier.retry_give_up_after_s
    assert "less than or equal to 3153600000" in complaint(None, {}, {"notifier.retry_give_up_after_s": 1e12})


def test_later_places_win(tmp_path: Path) -> None:
    """The file beats the default, a variable beats the file, an option beats the variable."""
    path = a_file(tmp_path, "[evaluator]\ntick_s = 2\nworkers = 2\nrepeat_interval_s = 2\n")
    environ = {"ALARMD_EVALUATOR__WORKERS": "3", "ALARMD_EVALUATOR__REPEAT_INTERVAL_S": "3"}
    effective = load_with_origins(path, environ, {"evaluator.repeat_interval_s": 4})
    evaluator = effective.settings.evaluator

    assert (2, 3, 4) == (evaluator.tick_s, evaluator.workers, evaluator.repeat_interval_s)
    assert {
        "evaluator.tick_s": f"{path}: evaluator.tick_s",
        "evaluator.workers": "ALARMD_EVALUATOR__WORKERS",
        "evaluator.repeat_interval_s": "--repeat-interval-s",
    } == effective.origins


def test_state_directory_of_systemd() -> None:
    """The directory that systemd made is the default, and anything said on purpose beats it."""
    environ = {"STATE_DIRECTORY": "/var/lib/alarmd:/var/lib/other"}

    assert Path("/var/lib/alarmd") == load(None, environ).state_dir
    assert Path("/srv/a") == load(None, {**environ, "ALARMD_STATE_DIR": "/srv/a"}).state_dir


def test_lists_in_variables() -> None:
    """A variable holds a list as words, or as JSON where the items are tables."""
    settings = load(
        None,
        {
            "ALARMD_ROLES": "api, poller",
            "ALARMD_NOTIFIER__ALLOW_NETWORKS": '["10.0.0.0/8"]',
            "ALARMD_POLLER__SOURCES": '[{"type": "libvirt", "uri": "qemu:///system"}]',
            "ALARMD_LOG__OPTIONS__URL": "redis://h",
        },
    )

    assert ("api", "poller") == settings.roles
    assert (ip_network("10.0.0.0/8"),) == settings.notifier.allow_networks
    assert [{"uri": "qemu:///system"}] == [source.options for source in settings.poller.sources]
    assert {"url": "redis://h"} == settings.log.options


@pytest.mark.parametrize(
    ("toml", "environ", "said"),
    [
        ("[api]\nlissten = 'x'", {}, "api.lissten: unknown key; did you mean api.listen?"),
        ("[nottifier]\nx = 1", {}, "nottifier.x: unknown key; did you mean notifier?"),
        ("", {"ALARMD_API__THREDS": "3"}, "ALARMD_API__THREDS: unknown key; did you mean ALARMD_API__THREADS?"),
        ("", {"ALARMD_STATEDIR": "x"}, "ALARMD_STATEDIR: unknown key; did you mean ALARMD_STATE_DIR?"),
        (
            "[poller]\nsources = ['libvirt']",
            {},
            "poller.sources.0: must be a table, [[poller.sources]] (got 'libvirt')",
        ),
        ("evaluator = 5", {}, "evaluator: must be a table, [evaluator] (got 5)"),
        ("[api]\nthreads = 'many'", {}, "api.threads: Input should be a valid integer"),
        ("[api]\nthreads = 0", {}, "api.threads: Input should be greater than 0 (got 0)"),
        (
            "",
            {"ALARMD_ROLES": "api,poler"},
            "ALARMD_ROLES.1: Input should be 'api', 'poller', 'evaluator' or 'notifier'",
        ),
        ("", {"ALARMD_LOGGING__LEVEL": "loud"}, "ALARMD_LOGGING__LEVEL: Input should be 'debug', 'info'"),
        ("", {"ALARMD_API__LISTEN": "8042"}, 'ALARMD_API__LISTEN: must be "HOST:PORT"'),
        ("", {"ALARMD_API": "x", "ALARMD_API__LISTEN": "h:1"}, "'api' is given as a value and as a section"),
        ("", {"ALARMD_POLLER__SOURCES": "[{"}, "ALARMD_POLLER__SOURCES: "),
        ("[api]\ncors_origins = ['https://a.example/']", {}, "api.cors_origins.0: must be an origin without a path"),
        ("", {"ALARMD_API__CORS_ORIGINS": "*,.*"}, "ALARMD_API__CORS_ORIGINS.1: must be an origin"),
        ("[evaluator]\ntick_s = nan", {}, "evaluator.tick_s: Input should be"),
        ("[window]\nlength_s = 9000", {}, "window.length_s (9000) must not be longer than log.retention_s (7200)"),
        (
            "[safety]\nbreaker_calm_s = 300",
            {"ALARMD_SAFETY__BREAKER_LEASE_S": "200"},
            "safety.breaker_lease_s (200) must not be shorter than safety.breaker_calm_s (300)",
        ),
        ("[safety]\nbreaker_lease_s = 30", {}, "Raise safety.breaker_lease_s or lower safety.breaker_calm_s"),
        ("= 1", {}, "is not valid TOML"),
        pytest.param(f"a = {'[' * 100_000}", {}, "is not valid TOML", id="nested without end"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, toml: str, environ: dict[str, str], said: str) -> None:
    """A complaint names the place, the value, and what is allowed or the nearest known key."""
    assert said in complaint(a_file(tmp_path, toml), environ)


def test_every_complaint_comes_at_once(tmp_path: Path) -> None:
    """Somebody with two mistakes is told of both."""
    said = complaint(a_file(tmp_path, "[api]\nthreads = 'x'\nlissten = 1"), {"ALARMD_LOGGING__LEVEL": "loud"})

    assert 3 == len(said.splitlines())


def test_missing_file(tmp_path: Path) -> None:
    """A settings file that is not there is an error, not a default."""
    assert "cannot be read: No such file" in complaint(tmp_path / "none.toml", {})


@pytest.mark.parametrize("origin", ["*", "https://a.example", "http://a.example:8080", "http://[::1]:80", "http://x_y"])
def test_origins_of_web_pages(origin: str) -> None:
    """As browsers send them, or a star for any."""
    assert (origin, "http://b") == load(None, {"ALARMD_API__CORS_ORIGINS": f"{origin}, http://b"}).api.cors_origins


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1"])
def test_loopback_needs_no_auth(listen: str) -> None:
    """Whoever can only be reached from this machine trusts whoever gets there."""
    assert load(None, {}, {"api.listen": listen}).api.is_loopback


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1"])
def test_open_doors_need_a_lock(listen: str) -> None:
    """An address that other machines can reach is refused unless somebody else authenticates callers."""
    told = complaint(None, {}, {"api.listen": listen})

    assert all(f'"{mode}"' in told for mode in ("tokens", "keystone", "trusted-headers"))
    assert not load(None, {"ALARMD_API__AUTH": "trusted-headers"}, {"api.listen": listen}).api.is_loopback


@pytest.mark.parametrize("key", sorted(SECRETS))
def test_every_secret_may_stand_in_a_file(tmp_path: Path, key: str) -> None:
    """The key with `_file` names a file that holds the secret, relative to the settings; repr never shows it."""
    (tmp_path / "secret").write_text("hidden\n")
    section, _, name = key.rpartition(".")
    settings = load(a_file(tmp_path, f"[{section}]\n{name}_file = 'secret'"), {})
    found = getattr(getattr(settings, section), name)
    values = [each.get_secret_value() for each in (found if isinstance(found, tuple) else (found,))]

    assert ["hidden"] == values
    assert "hidden" not in repr(settings)


def test_secret_option_of_the_log_may_stand_in_a_file(tmp_path: Path) -> None:
    """Where the Redis of the log is, with its password, may stand in a file too."""
    (tmp_path / "url").write_text("redis://:hidden@h\n")

    assert {"url": "redis://:hidden@h"} == load(
        None, {"ALARMD_LOG__OPTIONS__URL_FILE": str(tmp_path / "url")}
    ).log.options


def test_secret_and_its_file_together(tmp_path: Path) -> None:
    """One place cannot give a secret twice, but a later place may replace what an earlier one gave."""
    (tmp_path / "secret").write_text("from-file")
    both = a_file(tmp_path, "[notifier]\nsecret = 'a'\nsecret_file = 'secret'")

    assert "'secret' is given as well; keep one of the two" in complaint(both, {})
    only_file = a_file(tmp_path, "[notifier]\nsecret_file = 'secret'")
    assert ("plain",) == load(only_file, {"ALARMD_NOTIFIER__SECRET": "plain"}).notifier.signing_secrets


def test_missing_secret_file(tmp_path: Path) -> None:
    """A secret's file that is not there is named with the key that asks for it."""
    said = complaint(None, {"ALARMD_STORE__URL_FILE": str(tmp_path / "none")})

    assert said.startswith("ALARMD_STORE__URL_FILE: the file ")


def test_wrong_secret_is_not_repeated() -> None:
    """A complaint about a secret does not show it."""
    assert "hidden" not in complaint(None, {"ALARMD_NOTIFIER__SECRET__X": "hidden"})


def test_variables_of_the_commands_are_no_settings() -> None:
    """What the client commands read from the environment does not stop a daemon."""
    assert load(None, {}) == load(None, {"ALARMD_URL": "http://h", "ALARMD_TOKEN": "t", "ALARMD_PROJECT": "p"})


def test_environment_is_read_only_where_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that was passed in counts, not that of the process."""
    monkeypatch.setenv("ALARMD_API__THREADS", "3")
    monkeypatch.setenv("API", '{"threads": 3}')

    assert 16 == load(None, {}).api.threads


def test_every_key_is_documented() -> None:
    """docs/settings.md has a row for each key, with its default, and for no other."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.*?) \| \S", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    defaults = dict(rows)

    assert [key for key, _ in keys()] == [key for key, _ in rows]
    numbers = {key: default for key, default in keys() if isinstance(default, int | float | str)}
    assert {key: f"`{json.dumps(default)}`" for key, default in numbers.items()} == {
        key: defaults[key] for key in numbers
    }


def test_a_file_is_found_beside_the_settings(tmp_path: Path) -> None:
    """The settings file names the policy file relative to itself, a variable relative to where one is."""
    path = tmp_path / "alarmd.toml"
    path.write_text('[api]\npolicy_file = "policy.yaml"')

    assert tmp_path / "policy.yaml" == load(path, {}).api.policy_file
    assert Path("policy.yaml").absolute() == load(None, {"ALARMD_API__POLICY_FILE": "policy.yaml"}).api.policy_file


def test_example_is_valid() -> None:
    """The example settings can be used as they are."""
    assert isinstance(load(ROOT / "examples/alarmd.toml", {}), Settings)


def test_example_names_known_keys_only() -> None:
    """What stands commented out in the example works once the comment sign is gone."""
    lines = (ROOT / "examples/alarmd.toml").read_text().splitlines()
    # Settings are commented out with `#` right before the key, prose with `# `.
    said = {line.removeprefix("#").partition(" =")[0] for line in lines if re.match(r"#?[a-z_]+ = ", line)}

    options = {"type", "uri", *HttpOptions.model_fields}
    assert said <= {key.rpartition(".")[2] for key, _ in keys()} | options


def test_variable_names() -> None:
    """A key's variable is its path in capitals."""
    assert "ALARMD_STORE__URL_FILE" == variable_of("store.url_file")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"ALARMD_API__AUTH": "keystone"}, "needs keystone.auth_url"),
        ({"ALARMD_KEYSTONE__AUTH_URL": "http://k:5000/v3"}, "needs keystone.password"),
    ],
)
def test_keystone_needs_an_address_and_a_password(environ: dict[str, str], message: str) -> None:
    """Half of what Keystone takes is refused when alarmd starts, not when the first caller comes."""
    with pytest.raises(SettingsError, match=message):
        load(None, environ)
