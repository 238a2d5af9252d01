# SPDX-License-Identifier: Apache-2.0
"""Policy files of tests."""

from pathlib import Path

from alarmd.policy_file import FilePolicy


def a_policy(folder: Path, content: str) -> FilePolicy:
    """Return what a policy file with this content says; raises `SettingsError` when it cannot be used."""
    path = folder / "policy.yaml"
    path.write_text(content)
    return FilePolicy(path)
