# SPDX-License-Identifier: Apache-2.0
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alarmd.cli.main import main
from alarmd.settings import MASK, keys


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment of whoever runs the tests out of them."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("ALARMD_CONFIG", raising=False)


def invoke(*arguments: str, environ: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["config", *arguments], env=environ)


def shown(*arguments: str, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    result = invoke("show", "--format", "json", *arguments, environ=environ)
    assert result.exit_code == 0, result.output
    table: dict[str, Any] = json.loads(result.output)
    return table


def test_every_key_is_shown() -> None:
    """What is shown is complete, and says that nothing was set."""
    table = shown()

    assert [key for key, _ in keys()] == list(table)
    assert {"default"} == {entry["origin"] for entry in table.values()}


def test_origins_are_shown(tmp_path: Path) -> None:
    """Each value says which file, variable or option it comes from."""
    path = tmp_path / "a.toml"
    path.write_text("[api]\nthreads = 3\n")
    table = shown("--config", str(path), "--state-dir", "/srv/a", environ={"ALARMD_NOTIFIER__SECRET_FILE": __file__})

    assert f"{path}: api.threads" == table["api.threads"]["origin"]
    assert "--state-dir" == table["state_dir"]["origin"]
    assert "ALARMD_NOTIFIER__SECRET_FILE" == table["notifier.secret"]["origin"]


@pytest.mark.parametrize("form", ["json", "toml"])
def test_no_secret_is_shown(form: str) -> None:
    """Secrets, passwords within URLs and secret options of plugins are masked wherever they stand."""
    environ = {
        "ALARMD_STORE__URL": "postgresql://user:hidden@host/name",
        "ALARMD_NOTIFIER__SECRET": "hidden",
        "ALARMD_NOTIFIER__SECRETS": "hidden,hidden2",
        "ALARMD_CLUSTER__DOORBELL_URL": "redis://:hidden@host",
        "ALARMD_LOG__OPTIONS__URL": "unix:///run/redis?password=hidden&db=1",
        "ALARMD_POLLER__SOURCES": '[{"type": "x", "password": "hidden", "uri": "x://u:hidden@h"}]',
    }
    output = invoke("show", "--format", form, environ=environ).output

    assert "hidden" not in output
    assert f"postgresql://user:{MASK}@host/name" in output


def test_a_password_with_a_slash_is_not_shown() -> None:
    """What databases take as a password is masked as a whole."""
    output = invoke("show", environ={"ALARMD_STORE__URL": "postgresql+psycopg://user:pass/word@host/name"}).output

    assert "word@" not in output
    assert f"postgresql+psycopg://user:{MASK}@host/name" in output


def test_toml_can_be_read_again(tmp_path: Path) -> None:
    """What is shown as TOML is TOML, and gives the same settings."""
    sources = '[{"type": "libvirt", "uri": "qemu:///system", "labels": {"a b": "c"}}]'
    output = invoke("show", environ={"ALARMD_POLLER__SOURCES": sources}).output
    path = tmp_path / "again.toml"
    path.write_text(output)

    assert json.loads(sources) == tomllib.loads(output)["poller"]["sources"]
    again, first = shown("--config", str(path)), shown(environ={"ALARMD_POLLER__SOURCES": sources})
    assert {key: entry["value"] for key, entry in first.items()} == {
        key: entry["value"] for key, entry in again.items()
    }


def test_check_of_a_good_file(tmp_path: Path) -> None:
    """A file that works is said to be fine."""
    path = tmp_path / "a.toml"
    path.write_text("[[poller.sources]]\ntype = 'host'\n")

    assert (0, f"{path}: fine.\n") == ((result := invoke("check", str(path))).exit_code, result.output)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[[poller.sources]]\ntype = 'host'\nurri = 'x'", "poller.sources.0.urri: unknown key."),
        ("[[poller.sources]]\ntype = 'libvrt'", "Did you mean 'libvirt'?"),
        ("[[poller.sources]]\ntype = 'host'\n[[poller.sources]]\ntype = 'host'", "'host' is there 2 times"),
        ("[log]\nengine = 'kafka'", "There is no 'kafka' in alarmd.logs"),
        ("[log.options]\nbusy_timeout = 3", "log.options.busy_timeout: unknown key. Did you mean 'busy_timeout_s'?"),
        ("[notifier.schemes.https]\nca = 'x'", "notifier.schemes.https.ca: unknown key."),
        ("[notifier.schemes.gopher]\nx = 1", "There is no 'gopher' in alarmd.notifiers"),
        ("[cluster]\ndoorbell = 'redis'", "needs cluster.doorbell_url"),
        ("[store]\nurl = 'mysql://x/y'", "cannot use a mysql database"),
    ],
)
def test_check_looks_at_plugins_too(tmp_path: Path, toml: str, said: str) -> None:
    """What a plugin does not understand is found without starting anything."""
    path = tmp_path / "a.toml"
    path.write_text(toml)
    result = invoke("check", str(path))

    assert 1 == result.exit_code
    assert said in result.stderr
