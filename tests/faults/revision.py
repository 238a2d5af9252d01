# SPDX-License-Identifier: Apache-2.0
"""Which state of the sources is played."""

import hashlib
import subprocess
from pathlib import Path

_ROOT = Path(__file__).parents[2]
#: What a row depends on; the pages about it change more often.
_PLAYED = (
    "alarmd",
    "api",
    "migrations",
    "tests/faults",
    "tests/support",
    "pyproject.toml",
    "requirements.lock",
    "setup.py",
)


def revision() -> str:
    """Return the last commit that has changed what is played.

    What was changed since is told apart by a plus and a few digits of its sum. Empty without git.
    """
    try:
        commit = _git("log", "-1", "--format=%h", "--", *_PLAYED).strip()
        changed = _git("diff", "HEAD", "--binary", "--", *_PLAYED)
        added = _git("ls-files", "--others", "--exclude-standard", "-z", "--", *_PLAYED).split(b"\0")
    except (OSError, subprocess.CalledProcessError):
        return ""
    names = [name.decode(errors="surrogateescape") for name in added if name]
    if not changed and not names:
        return commit.decode()
    digest = hashlib.sha256(changed)
    for name in names:
        digest.update(name.encode(errors="surrogateescape"))
        digest.update(_content_of(_ROOT / name))
    return f"{commit.decode()}+{digest.hexdigest()[:4]}"


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(_ROOT), *arguments], capture_output=True, check=True).stdout


def _content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # Somebody has taken it away meanwhile.
        return b""
