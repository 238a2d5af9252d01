# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path
from typing import Any

import pytest

from alarmd.errors import SettingsError
from alarmd.settings import MASK, NEEDS_RESTART, Settings, keys, load, reread

ROOT = Path(__file__).parents[2]


def settings(**changes: Any) -> Settings:
    """Return settings by their keys, with two underscores for the point."""
    return load(None, {}, {key.replace("__", "."): value for key, value in changes.items()})


def test_what_changes_is_told() -> None:
    """New values count, and each is told with what it was before."""
    after = settings(evaluator__tick_s=2.0, window__lateness_s=20.0)
    read = reread(settings(), after)

    assert after == read.settings
    assert {"window.lateness_s": "10.0 -> 20.0", "evaluator.tick_s": "1.0 -> 2.0"} == read.changed
    assert {} == read.waiting


def test_nothing_changed() -> None:
    """Settings that say the same change nothing."""
    read = reread(settings(), settings())

    assert ({}, {}) == (read.changed, read.waiting)


def test_no_secret_is_told() -> None:
    """Of secrets, and of tables that only plugins understand, the names are told; of URLs all but their passwords."""
    before = settings(notifier__secret="hidden-1", gnocchi__url="http://u:hidden-2@h")
    after = settings(
        notifier__secret="hidden-3",
        notifier__secrets=["hidden-4"],
        gnocchi__url="http://u:hidden-5@other",
        poller__sources=[{"type": "scrape", "headers": {"Authorization": "hidden-6"}}],
        notifier__schemes={"zaqar": {"key": "hidden-7"}},
    )
    read = reread(before, after)

    assert {
        "poller.sources": "(table)",
        "notifier.secret": MASK,
        "notifier.secrets": MASK,
        "notifier.schemes": "(table)",
        "gnocchi.url": f"http://u:{MASK}@h -> http://u:{MASK}@other",
    } == read.changed


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state_dir", "/srv/other"),
        ("roles", "api"),
        ("drain_timeout_s", 5),
        ("api.listen", "127.0.0.1:9000"),
        ("store.url", "sqlite:////srv/hidden.db"),
        ("log.engine", "redis"),
        ("log.options", {"path": "/srv/hidden.db"}),
    ],
)
def test_what_needs_a_restart_is_kept(key: str, value: Any) -> None:
    """Keys that a running daemon cannot change keep their values and are named; the others change beside them."""
    before = settings()
    read = reread(before, load(None, {}, {key: value, "api.threads": 3}))

    assert [key] == list(read.waiting)
    assert "hidden" not in str(read.waiting)
    assert {"api.threads": "16 -> 3"} == read.changed
    assert settings(api__threads=3) == read.settings


def test_what_was_left_waiting_is_told_again() -> None:
    """Settings that waited for a restart still do when they are read for the third time."""
    first = reread(settings(), settings(roles="api"))
    second = reread(first.settings, settings(roles="api"))

    assert {} == second.changed
    assert ["roles"] == list(second.waiting)


def test_a_door_is_not_left_open() -> None:
    """Where an address stays open to other machines, callers go on being asked who they are."""
    before = settings(api__listen="0.0.0.0:8042", api__auth="trusted-headers")

    with pytest.raises(SettingsError, match=r"at a restart only \(api.listen\): 0.0.0.0:8042 can be reached by other"):
        reread(before, settings())


def test_restarts_are_documented() -> None:
    """docs/settings.md names the settings that need a restart, all of them and no others."""
    text = (ROOT / "docs/settings.md").read_text()
    sentence = re.search(r"except these, which .*?:\s+(`.*?)\.\n", text, re.DOTALL)

    assert sentence
    assert [key for key, _ in keys() if key in NEEDS_RESTART] == re.findall(r"`([a-z_.]+)`", sentence[1])
