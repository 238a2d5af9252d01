# SPDX-License-Identifier: Apache-2.0
"""Reads aodh.conf as Aodh does: sections, options that may be given several times, values over several lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alarmd.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class AodhOption:
    """One option of the file."""

    group: str
    #: With underscores, whichever way it was written.
    name: str
    #: Every value that it was given, in their order; the last one counts where one is wanted.
    values: tuple[str, ...]
    #: Where its last value begins.
    line: int
    #: What names of files are relative to.
    directory: Path

    @property
    def value(self) -> str:
        """The value that counts."""
        return self.values[-1]

    def __str__(self) -> str:
        return f"[{self.group}] {self.name}"


@dataclass(slots=True, kw_only=True)
class _Entry:
    group: str
    name: str
    lines: list[str]
    number: int


def read_aodh_conf(path: Path) -> list[AodhOption]:
    """Return the options of a file, in the order of their first mention. Raises `SettingsError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no text in UTF-8: {error}.", path=str(path)) from error
    options: dict[tuple[str, str], AodhOption] = {}
    for entry in _entries(path, text):
        key = (entry.group, entry.name)
        known = options[key].values if key in options else ()
        values = (*known, _unquoted(" ".join(line for line in entry.lines if line)))
        options[key] = AodhOption(
            group=entry.group, name=entry.name, values=values, line=entry.number, directory=path.absolute().parent
        )
    return list(options.values())


def _entries(path: Path, text: str) -> Iterator[_Entry]:
    group, entry = "", None
    for number, line in enumerate(text.splitlines(), start=1):
        if line[:1] in {"#", ";"}:
            continue
        if line[:1].isspace() and line.strip():
            if entry is None:
                raise _unreadable(path, number, "nothing stands before it that it could go on from")
            entry.lines.append(line.strip())
            continue
        if entry is not None:
            yield entry
            entry = None
        if line.startswith("["):
            group = line.strip()[1:].partition("]")[0].strip()
        elif line.strip():
            if not group:
                raise _unreadable(path, number, "it stands in no [section]")
            entry = _entry(path, number, line, group)
    if entry is not None:
        yield entry


def _entry(path: Path, number: int, line: str, group: str) -> _Entry:
    signs = [at for at in (line.find("="), line.find(":")) if at > 0]
    if not signs:
        raise _unreadable(path, number, "an option is written NAME = VALUE")
    at = min(signs)
    return _Entry(group=group, name=line[:at].strip().replace("-", "_"), lines=[line[at + 1 :].strip()], number=number)


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return (value[1:-1] if quoted else value).replace("$$", "$")


def _unreadable(path: Path, number: int, why: str) -> SettingsError:
    # The line itself may hold a password.
    return SettingsError(f"{path}, line {number}, cannot be read: {why}.", path=str(path), line=number)
