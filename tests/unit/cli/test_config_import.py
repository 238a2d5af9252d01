# SPDX-License-Identifier: Apache-2.0
"""`alarmd config import`: what an aodh.conf becomes."""

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alarmd.cli.aodh_conf import read_aodh_conf
from alarmd.cli.main import main
from alarmd.errors import SettingsError
from alarmd.settings import keys, load
from tests.support.receivers import make_certificate

CONF = """
# Aodh as a distribution ships it, and as somebody went on from there.
[DEFAULT]
debug = True
transport_url = rabbit://openstack:bunnies@controller
executor_thread_pool_size = 48
rest_notifier_certificate_file = /etc/aodh/client.crt
rest_notifier_certificate_key = /etc/aodh/client.key
rest_notifier_ca_bundle_certificate_path =
    /etc/ssl/ca.pem
rest_notifier_ssl_verify = false
record_history = yes
enable_evaluation_results_metrics = true

[api]
auth-mode = keystone
project_alarm_quota: 100
user_alarm_quota = 20
alarm_max_actions = -1

[coordination]
backend_url = redis://:sesame@controller:6379

[database]
connection = mysql+pymysql://aodh:first@controller/aodh
connection = "postgresql://aodh:hunter2$$@controller/aodh?sslmode=require"
alarm_history_time_to_live = -1
max_pool_size = 10

[evaluator]
workers = 4
evaluation_interval = 30

[keystone_authtoken]
www_authenticate_uri = http://controller:5000
auth_url = http://controller:5000/v3
auth_type = password
username = checker
password = opensesame
memcached_servers = controller:11211
token_cache_time = -1

[notifier]
workers = two

[service_credentials]
auth_url = http://controller:5000/v3
auth_type = password
username = aodh
password = opensesame
project_name = service
user_domain_id = default
interface = internalURL
region_name = RegionOne

[oslo_policy]
policy_file = policy.yaml

[oslo_middleware]
enable_proxy_headers_parsing = true

[cors]
allowed_origin = https://horizon, https://grafana
max_age = 60

[cors.partner]
allowed_origin = https://partner

[colours]
sky = blue
"""


def run(tmp_path: Path, conf: str, *options: str) -> Result:
    """Translate a file of this content."""
    source = tmp_path / "aodh.conf"
    source.write_text(conf)
    return CliRunner().invoke(main, ["config", "import", str(source), "-o", str(tmp_path / "alarmd.toml"), *options])


def translated(tmp_path: Path, conf: str) -> dict[str, Any]:
    """Return the settings that a file becomes, those that differ from the defaults by their dotted keys."""
    result = run(tmp_path, conf)
    assert result.exit_code == 0, result.output
    settings = load(tmp_path / "alarmd.toml", {})
    found: dict[str, Any] = {}
    for key, default in keys():
        value: Any = settings
        for part in key.split("."):
            value = getattr(value, part)
        if value != default and key != "state_dir":
            found[key] = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    return found


def test_every_option_with_a_counterpart_becomes_a_setting(tmp_path: Path) -> None:
    """The file that comes out is one that `alarmd run` takes."""
    (tmp_path / "policy.yaml").write_text("{}")
    made = str(make_certificate(tmp_path))
    conf = CONF
    for named in ("/etc/ssl/ca.pem", "/etc/aodh/client.crt", "/etc/aodh/client.key"):
        conf = conf.replace(named, made)

    assert {
        "api.auth": "keystone",
        "api.proxy_headers": True,
        "api.cors_origins": ("https://horizon", "https://grafana", "https://partner"),
        "evaluator.count_results": True,
        "api.policy_file": tmp_path / "policy.yaml",
        "api.max_actions": 0,
        "api.project_alarm_quota": 100,
        "api.user_alarm_quota": 20,
        "store.url": "postgresql+psycopg://aodh:hunter2%24@controller/alarmd?sslmode=require",
        "store.history_retention_s": 3153600000.0,
        "evaluator.workers": 4,
        "evaluator.repeat_interval_s": 30.0,
        "evaluator.membership_url": "redis://:sesame@controller:6379",
        "notifier.threads": 48,
        "notifier.schemes": {
            "https": {"ca_file": made, "client_cert_file": made, "client_key_file": made},
        },
        "logging.level": "debug",
        "keystone.auth_url": "http://controller:5000/v3",
        "keystone.www_authenticate_uri": "http://controller:5000",
        "keystone.username": "aodh",
        "keystone.password": "opensesame",
        "keystone.region": "RegionOne",
        "keystone.token_cache_s": 0.0,
    } == translated(tmp_path, conf)
    assert 0 == CliRunner().invoke(main, ["config", "check", str(tmp_path / "alarmd.toml")]).exit_code


def test_what_has_no_counterpart_is_listed_with_the_reason(tmp_path: Path) -> None:
    """Nothing is dropped in silence, and what people must do next is said."""
    told = run(tmp_path, CONF).stderr

    for line in (
        "[DEFAULT] transport_url (line 5): alarmd has no queue",
        "[DEFAULT] rest_notifier_ssl_verify (line 11): alarmd always checks receivers' certificates",
        "[database] max_pool_size (line 28): alarmd bounds its connections itself",
        "[keystone_authtoken] memcached_servers (line 40): alarmd remembers tokens in its own memory",
        "[notifier] workers (line 44): its value cannot be read",
        f"[oslo_policy] policy_file (line 57): there is no file {tmp_path / 'policy.yaml'} on this machine",
        "[colours] sky (line 70): neither Aodh nor alarmd knows it",
        "[keystone_authtoken] username, line 38 is not used, because [service_credentials] username",
        "store.url names a database of alarmd's own, alarmd: create it",
    ):
        assert line in told


@pytest.mark.parametrize("options", [(), ("-o", "-")])
def test_no_password_reaches_the_terminal(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The file holds them and belongs to its owner alone; the terminal never sees one."""
    result = run(tmp_path, CONF, *options)

    assert not any(secret in result.output for secret in ("bunnies", "hunter2", "opensesame", "first", "sesame"))


def test_the_file_says_where_each_setting_comes_from_and_is_its_owners(tmp_path: Path) -> None:
    """Whoever reads it later finds the way back to the old file."""
    run(tmp_path, CONF)
    target = tmp_path / "alarmd.toml"

    assert "workers = 4  # [evaluator] workers, line 31" in target.read_text()
    assert 0o600 == stat.S_IMODE(target.stat().st_mode)


def test_a_file_that_is_there_is_replaced_by_force_only(tmp_path: Path) -> None:
    """What somebody has written is not lost by accident."""
    target = tmp_path / "alarmd.toml"
    target.write_text("# mine\n")
    refused = run(tmp_path, "[api]\nauth_mode = noauth\n")
    kept = target.read_text()
    forced = run(tmp_path, "[api]\nauth_mode = noauth\n", "--force")

    assert (1, "# mine\n", 0) == (refused.exit_code, kept, forced.exit_code)
    assert "--force" in refused.stderr
    assert {"api": {"auth": "trusted-headers"}} == tomllib.loads(target.read_text())
    assert 0o600 == stat.S_IMODE(target.stat().st_mode)


def test_an_empty_file_means_aodhs_defaults(tmp_path: Path) -> None:
    """Aodh's default is Keystone; where the file does not say which one, a person has to."""
    result = run(tmp_path, "")

    assert (0, {}) == (result.exit_code, tomllib.loads((tmp_path / "alarmd.toml").read_text()))
    assert 'api.auth is not set to "keystone" (Aodh\'s default)' in result.stderr


@pytest.mark.parametrize(
    ("connection", "text"),
    [
        ("sqlite:////var/lib/aodh/aodh.sqlite", "keeps its alarms in a SQLite file"),
        ("mysql+pymysql://aodh:secret@h/aodh?charset=utf8", "keeps its alarms in MySQL or MariaDB"),
        ("nonsense", "it is no URL of a database"),
    ],
)
def test_a_database_that_alarmd_cannot_share_is_explained(tmp_path: Path, connection: str, text: str) -> None:
    """The alarms come over by another command, which is named."""
    result = run(tmp_path, f"[api]\nauth_mode = noauth\n[database]\nconnection = {connection}\n")

    assert 0 == result.exit_code
    assert text in result.stderr
    assert "store" not in tomllib.loads((tmp_path / "alarmd.toml").read_text())


def test_what_cannot_work_is_written_and_named(tmp_path: Path) -> None:
    """A value that alarmd does not allow fails the check, which says which one it is."""
    result = run(tmp_path, "[api]\nauth_mode = noauth\n[evaluator]\nworkers = 0\n")

    assert 1 == result.exit_code
    assert "evaluator.workers" in result.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a = b\n", "line 1, cannot be read: it stands in no [section]"),
        ("[a]\nhunter2\n", "line 2, cannot be read: an option is written NAME = VALUE"),
        ("[a]\n  b\n", "line 2, cannot be read: nothing stands before it"),
    ],
)
def test_a_file_that_cannot_be_read_is_explained_by_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    """Its line is named and not shown: it may hold a password."""
    path = tmp_path / "aodh.conf"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_aodh_conf(path)

    assert complaint in caught.value.message
    assert "hunter2" not in caught.value.message
