# SPDX-License-Identifier: Apache-2.0
"""Policy files: what they may say, what follows from it, and how a wrong one is refused."""

import os
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from alarmd.errors import SettingsError
from alarmd.model.caller import Caller
from alarmd.policy import Action, Policy, TablePolicy
from alarmd.policy_file import FilePolicy
from alarmd.runtime import Runtime
from alarmd.settings import load
from tests.support.policies import a_policy

_ROLES = ("admin", "member", "reader", "Reader", "other")


def _caller(*roles: str, project_id: str = "p1") -> Caller:
    return Caller(project_id=project_id, user_id="ann", roles=frozenset(roles))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> FilePolicy:
    """What a policy file without a rule says."""
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.touch()
    return FilePolicy(path)


@pytest.mark.parametrize("action", Action)
def test_an_empty_file_changes_nothing(empty: FilePolicy, action: Action) -> None:
    """Without rules of the file, everybody may do exactly what the table says."""
    table = TablePolicy()
    every = [chosen for size in range(len(_ROLES) + 1) for chosen in combinations(_ROLES, size)]
    for roles in every:
        for project_id in ("", "p1"):
            caller = _caller(*roles, project_id=project_id)
            for asked in (None, "", "p1", "p2"):
                expected = table.allows(action, caller, project_id=asked)

                assert expected == empty.allows(action, caller, project_id=asked), (roles, project_id, asked)


@given(
    action=st.sampled_from(Action),
    roles=st.frozensets(st.text(max_size=8) | st.sampled_from(_ROLES)),
    project_id=st.text(max_size=4),
    asked=st.none() | st.text(max_size=4),
)
def test_an_empty_file_changes_nothing_for_strange_callers(
    empty: FilePolicy, action: Action, roles: frozenset[str], project_id: str, asked: str | None
) -> None:
    """Roles and projects may be any text: they are compared and never read as part of a rule."""
    caller = Caller(project_id=project_id, user_id="", roles=roles)

    assert TablePolicy().allows(action, caller, project_id=asked) == empty.allows(action, caller, project_id=asked)


@pytest.mark.parametrize(
    ("rule", "allowed", "refused"),
    [
        ('"telemetry:get_alarms": "role:watcher"', ("watcher",), ("reader",)),
        ('"telemetry:get_alarms": ""', (), None),
        ('"telemetry:get_alarms": "@"', (), None),
        ('"telemetry:get_alarms": "!"', None, ("admin", "reader")),
        ('"telemetry:get_alarms": "rule:project_member"', ("member",), ("admin", "reader")),
        ('"telemetry:get_alarms": "rule:project_member or rule:segregation"', ("admin",), ("reader",)),
        ('"telemetry:get_alarms": "rule:admin_or_owner"', ("nothing",), None),
        ('"telemetry:get_alarms": "user_id:ann and not role:guest"', ("x",), ("guest",)),
        ('"telemetry:get_alarms": "(role:a or role:b) and (role:c)"', ("a", "c"), ("a", "b")),
        ('"telemetry:get_alarms": "\'p1\':%(project_id)s"', (), None),
        ('"project_reader": "role:watcher"', ("watcher",), ("reader",)),
        ('"context_is_admin": "role:boss"', ("boss",), ("admin",)),
        ('"ours": "role:a"\n"telemetry:get_alarms": "rule:ours"', ("a",), ("reader",)),
    ],
)
def test_rules_of_the_file_count(
    tmp_path: Path, rule: str, allowed: tuple[str, ...] | None, refused: tuple[str, ...] | None
) -> None:
    """A rule of the file stands in the place of the table's, also for the rules that refer to it."""
    policy = a_policy(tmp_path, rule)

    if allowed is not None:
        assert policy.allows(Action.GET_ALARMS, _caller(*allowed))
    if refused is not None:
        assert not policy.allows(Action.GET_ALARMS, _caller(*refused))


def test_rules_that_the_file_leaves_out_stay(tmp_path: Path) -> None:
    """One rule overrides one rule."""
    policy: Policy = a_policy(tmp_path, '"telemetry:get_alarms": "!"')

    assert policy.allows(Action.GET_ALARM, _caller("reader"))
    assert policy.allows(Action.CREATE_ALARM, _caller("member"))
    assert not policy.allows(Action.CREATE_ALARM, _caller("reader"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('"telemetry:get_alrms": "role:x"', "rule 'telemetry:get_alrms' is none that alarmd knows; did you mean"),
        ('"telemetry:get_alarms": "rule:project_raeder"', "refers to rule 'project_raeder', which does not exist; did"),
        ('"telemetry:get_alarms": "role:x and"', "rule 'telemetry:get_alarms' cannot be understood: 'role:x and'"),
        ('"telemetry:get_alarms": "admin"', "rule 'telemetry:get_alarms' cannot be understood: 'admin'"),
        ('"telemetry:get_alarms": "! role:x"', "cannot be understood"),
        ('"telemetry:get_alarms":', "must be a text (got None)"),
        ('"telemetry:get_alarms": []', "must be a text (got [])"),
        ('"telemetry:get_alarms": {}', "must be a text (got {})"),
        ('"telemetry:get_alarms": true', "must be a text (got True)"),
        ('"telemetry:get_alarms": "rol:x"', "asks for 'rol'; what can be asked for: role, rule, project_id"),
        ('"telemetry:get_alarms": "http://127.0.0.1/x"', "asks for 'http'"),
        ('"telemetry:get_alarms": "user_id:%(user_id)s"', "compares with %(user_id)s; there is: %(project_id)s"),
        ('"telemetry:get_alarms": "role:50%"', "has a percent sign that means nothing"),
        ('"telemetry:get_alarms": "role:%d"', "has a percent sign that means nothing"),
        ('"segregation": "role:auditor"', 'must stay "rule:context_is_admin"'),
        ('"context_is_admin": "rule:project_reader_or_admin"', "in a circle"),
        ('"a": "rule:b"\n"b": "rule:a"', "in a circle: 'a' → 'b' → 'a'"),
        ("- a\n- b", "must hold rules, a line each"),
        ("1: role:x", "must hold rules, a line each"),
        ("just a text", "must hold rules, a line each"),
        ('"x": [', "is not valid YAML"),
        ("\x00", "is not valid YAML"),
        ("#" * (1 << 20) + "#", "is larger than 1048576 bytes"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str, told: str) -> None:
    """What cannot be used is refused when the daemon starts, by the names of file and rule."""
    with pytest.raises(SettingsError) as refused:
        a_policy(tmp_path, content)

    assert told in refused.value.message
    assert str(tmp_path / "policy.yaml") in refused.value.message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that stand for nothing are not read as anything."""
    (tmp_path / "policy.yaml").write_bytes(b"\xff\xfe\xfa")

    with pytest.raises(SettingsError, match="not valid YAML"):
        FilePolicy(tmp_path / "policy.yaml")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A wrong path does not silently mean the default rules."""
    with pytest.raises(SettingsError, match="No such file"):
        FilePolicy(tmp_path / "policy.yaml")


@pytest.mark.parametrize(
    "undone",
    [
        lambda path: path.write_text('"telemetry:get_alarms": "rol'),
        lambda path: path.write_text('"telemetry:get_alrms": "@"'),
        lambda path: path.unlink(),
    ],
)
def test_a_changed_file_counts_at_once(tmp_path: Path, undone: Callable[[Path], None]) -> None:
    """What the file says now holds with the next question; what cannot be used changes nothing and is logged once."""
    path = tmp_path / "policy.yaml"
    policy = a_policy(tmp_path, '"telemetry:get_alarms": "role:a"')
    before = policy.allows(Action.GET_ALARMS, _caller("b"))
    path.write_text('"telemetry:get_alarms": "role:b or role:c"')
    after = policy.allows(Action.GET_ALARMS, _caller("b"))
    with capture_logs() as logged:
        undone(path)
        kept = [policy.allows(Action.GET_ALARMS, _caller("b")) for _ in range(3)]

    assert [False, True] == [before, after]
    assert [True, True, True] == kept
    assert ["policy_file_refused"] == [entry["event"] for entry in logged]


def test_a_file_that_is_replaced_counts_too(tmp_path: Path) -> None:
    """Editors put a new file in the place of the old one, maybe with the same age and length."""
    policy = a_policy(tmp_path, '"telemetry:get_alarms": "role:a"')
    other = tmp_path / "other.yaml"
    other.write_text('"telemetry:get_alarms": "role:b"')
    stat = (tmp_path / "policy.yaml").stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.rename(tmp_path / "policy.yaml")

    assert policy.allows(Action.GET_ALARMS, _caller("b"))


def test_the_example_of_the_page_works(tmp_path: Path) -> None:
    """What docs/access.md shows can be used, and does what it says there."""
    page = (Path(__file__).parents[2] / "docs/access.md").read_text()
    policy = a_policy(tmp_path, page.partition("```yaml\n")[2].partition("```")[0])

    assert policy.allows(Action.GET_ALARMS, _caller("auditor"))
    assert not policy.allows(Action.GET_ALARMS, _caller("auditor"), project_id="p2")
    assert not policy.allows(Action.DELETE_ALARM, _caller("member"))
    assert policy.allows(Action.DELETE_ALARM, _caller("operator"))
    assert policy.allows(Action.DELETE_ALARM, _caller("admin"), project_id="p2")


def test_settings_choose_the_file(tmp_path: Path) -> None:
    """`api.policy_file` puts the file in force; without it the table is."""
    (tmp_path / "policy.yaml").write_text('"telemetry:get_alarms": "@"')
    chosen = Runtime(settings=load(None, {}, {"api.policy_file": str(tmp_path / "policy.yaml")})).policy

    assert chosen.allows(Action.GET_ALARMS, _caller())
    assert not Runtime(settings=load(None, {})).policy.allows(Action.GET_ALARMS, _caller())


def test_a_wrong_file_is_found_by_the_check_of_settings(tmp_path: Path) -> None:
    """`alarmd config check` and the start of the daemon look into the file."""
    (tmp_path / "policy.yaml").write_text('"telemetry:get_alrms": "@"')
    settings = load(None, {}, {"api.policy_file": str(tmp_path / "policy.yaml")})

    with pytest.raises(SettingsError, match="telemetry:get_alrms"):
        Runtime(settings=settings).check()


@pytest.mark.parametrize(
    ("library", "key", "value", "extra"),
    [
        ("oslo_policy", "api.policy_file", "/policy.yaml", "policy"),
        ("limits", "api.requests_per_second_per_project", 5, "ratelimit"),
    ],
)
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, library: str, key: str, value: object, extra: str
) -> None:
    """Who sets what an extra is for, without the extra, is told how to get it."""
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not there
    settings = load(None, {}, {key: value})

    with pytest.raises(SettingsError) as refused:
        Runtime(settings=settings).check()
    assert f"{key} needs a library that is not installed: pip install 'alarmd[{extra}]'." == refused.value.message
