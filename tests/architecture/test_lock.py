# SPDX-License-Identifier: Apache-2.0
import re
import tomllib
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture import tree

#: A locked distribution, its version, and perhaps for which platforms and Pythons.
LOCKED: Final = re.compile(r"^(?P<name>[a-z0-9-]+)(\[[a-z,]+\])?==(?P<version>[^ ;]+)( ; (?P<marker>.+?))? \\$")

#: Every lock file; the second is what `make test-openstack` sets beside alarmd.
LOCKS: Final = ("requirements.lock", "deploy/openstack-requirements.lock")


def _project() -> dict[str, Any]:
    return tomllib.loads((tree.ROOT / "pyproject.toml").read_text())


def _wanted() -> list[Requirement]:
    """Everything that pyproject.toml asks for: to run, to build, to develop, and each extra."""
    settings = _project()
    lines = [
        *settings["project"]["dependencies"],
        *settings["build-system"]["requires"],
        *settings["dependency-groups"]["dev"],
    ]
    for extra in settings["project"]["optional-dependencies"].values():
        lines += extra
    return [Requirement(line) for line in lines]


def _wanted_of_openstack() -> list[Requirement]:
    """Everything that the environment of `make test-openstack` is asked to hold."""
    lines = (tree.ROOT / "deploy/openstack-requirements.in").read_text().splitlines()
    return [Requirement(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]


def _unmet(wanted: list[Requirement], lock: str) -> list[str]:
    """Return which of these requirements a lock file has no version for."""
    locked: dict[str, list[str]] = {}
    for line in _lock_text(lock).splitlines():
        if match := LOCKED.match(line):
            locked.setdefault(match["name"], []).append(match["version"])
    return [
        str(requirement)
        for requirement in wanted
        if not any(
            requirement.specifier.contains(version) for version in locked.get(canonicalize_name(requirement.name), [])
        )
    ]


def test_the_lock_file_has_what_the_project_asks_for() -> None:
    """Each requirement in pyproject.toml is locked to a version that it allows; if not, `make lock` is due."""
    assert _unmet(_wanted(), "requirements.lock") == []


def test_the_neighbours_are_locked_as_they_are_asked_for() -> None:
    """Each client and service of `make test-openstack` is locked to a version that is allowed."""
    assert _unmet(_wanted_of_openstack(), "deploy/openstack-requirements.lock") == []


def test_the_lock_file_has_no_idle_entry() -> None:
    """Everything that is locked is there because pyproject.toml or another locked package asks for it."""
    asked_directly = {canonicalize_name(requirement.name) for requirement in _wanted()}
    via = re.findall(
        r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(?:.*\n)(?: +--hash.*\n)+((?: +#.*\n)+)", _lock_text(), re.MULTILINE
    )
    idle = [name for name, reasons in via if "alarmd" in reasons and name not in asked_directly]

    assert idle == []


def _lock_text(name: str = "requirements.lock") -> str:
    return (tree.ROOT / name).read_text() + "\n"


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_locked_is_checked_by_its_hash(lock: str) -> None:
    """No entry of a lock file could be replaced by something else under the same version."""
    entries = re.split(r"^(?=[a-z0-9])", _lock_text(lock), flags=re.MULTILINE)

    assert [entry.splitlines()[0] for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_files_name_no_place(lock: str) -> None:
    """Where packages come from is the installing machine's business."""
    assert re.findall(r"https?://|--index-url|--extra-index-url|--find-links", _lock_text(lock)) == []
