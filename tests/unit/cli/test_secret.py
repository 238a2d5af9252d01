# SPDX-License-Identifier: Apache-2.0
"""`alarmd secret`."""

from pathlib import Path

import pytest

from alarmd.model.secret import fingerprint_of
from tests.unit.cli.conftest import Terminal

OWN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_secret_is_made_and_shown_once(terminal: Terminal) -> None:
    """`-f value -c secret` is what a script hands to the receiver."""
    drawn = terminal.ok("secret", "create", "-f", "value", "-c", "secret").splitlines()[-1]
    listed = terminal.json("secret", "list")

    assert [("default", fingerprint_of(drawn), "active")] == [
        (one["name"], one["fingerprint"], one["state"]) for one in listed
    ]
    assert drawn not in terminal.ok("secret", "list", "-f", "json")


@pytest.mark.parametrize("source", ["file", "-"])
def test_a_secret_of_ones_own_comes_from_a_file(terminal: Terminal, tmp_path: Path, source: str) -> None:
    """Never from the command line, which everybody on the machine can read; it is not repeated."""
    (tmp_path / "file").write_text(f"{OWN}\n")
    named = "-" if source == "-" else str(tmp_path / "file")
    printed = terminal.ok("secret", "create", "heat", "--expires-in", "4w", "--secret-file", named, typed=f"{OWN}\n")
    [listed] = terminal.json("secret", "list", "--name", "heat")

    assert OWN not in printed
    assert fingerprint_of(OWN) == listed["fingerprint"]
    assert listed["expires_at"] is not None


def test_a_secret_is_rotated_and_deleted(terminal: Terminal) -> None:
    """The old one gets its end with the new one; a name is cleared at once, or one by its id."""
    terminal.ok("secret", "create", "heat")
    terminal.door.clock.advance(1)
    terminal.ok("secret", "rotate", "heat", "--grace", "2h")
    new, old = terminal.json("secret", "list")
    terminal.door.clock.advance(1)
    terminal.ok("secret", "rotate", "heat", "--grace", "0s")
    terminal.ok("secret", "delete", "heat", "--id", old["secret_id"])
    left = [one["state"] for one in terminal.json("secret", "list")]
    terminal.ok("secret", "delete", "heat", "--force")

    assert (None, True) == (new["expires_at"], old["expires_at"] is not None)
    assert ["active", "expired"] == left
    assert [] == terminal.json("secret", "list")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("create", "--expires-in", "soon"), 2, "no duration"),
        (("create", "--expires-in", "0s"), 2, "no duration"),
        (("create", "a b"), 1, "The name of a secret"),
        (("rotate", "nothing"), 1, "Secret nothing not found"),
        (("delete", "nothing"), 1, "Secret nothing not found"),
    ],
)
def test_what_cannot_be_done_is_told(terminal: Terminal, arguments: tuple[str, ...], code: int, text: str) -> None:
    """Wrong usage is 2, the server's no is 1."""
    result = terminal.run("secret", *arguments)

    assert (code, True) == (result.exit_code, text in result.stderr)
