# SPDX-License-Identifier: Apache-2.0
"""Gathers the settings from their places, and says which place is wrong when one is."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from alarmd.errors import SettingsError
from alarmd.settings.schema import DELIMITER, PREFIX, SECRETS, Settings, keys, variable_of

#: Variables of the commands: they share the prefix and are no settings.
OTHER_VARIABLES = frozenset(
    f"{PREFIX}{name}" for name in ("URL", "TOKEN", "PROJECT", "USER", "USER_ROLES", "FORMAT", "CONFIG")
)
#: What stands where a secret would.
MASK = "********"

#: Keys that name a file and, like those of secrets, may name it relative to the settings file.
_FILES = frozenset({"api.policy_file"})
#: Options of log engines that may stand in a file of their own.
_SECRET_OPTIONS = frozenset({"log.options.url"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """Settings, and where each value that is no default came from."""

    settings: Settings
    #: Dotted key → a file's name, a variable or an option.
    origins: Mapping[str, str]


_Tree: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """What one place says."""

    tree: _Tree
    #: Dotted key → how to name it to a person.
    places: Mapping[str, str]
    #: What relative names of secret files are relative to.
    directory: Path


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings.

    Args:
        path: The TOML file, if there is one.
        environ: The environment variables.
        overrides: Values from the command line by dotted key, e.g. ``{"api.listen": "127.0.0.1:0"}``.

    Raises `SettingsError` that names every wrong place, its value, and what is allowed there.
    """
    return load_with_origins(path, environ, overrides).settings


def load_with_origins(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Effective:
    """Return the settings and where they came from; see `load`."""
    layers = [_of_system(environ), _of_environment(environ), _of_options(overrides or {})]
    if path is not None:
        layers.insert(1, _of_file(path))
    tree: _Tree = {}
    places: dict[str, str] = {}
    for layer in layers:
        _read_secret_files(layer)
        _place_files(layer)
        _update(tree, layer.tree)
        places.update(layer.places)
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        raise SettingsError("\n".join(_complaints(error, places))) from error
    settings = settings.model_copy(update={"state_dir": settings.state_dir.absolute()})
    return Effective(settings=settings, origins=places)


# --- the places ----------------------------------------------------------------------------------------------------
def _of_system(environ: Mapping[str, str]) -> _Layer:
    # systemd gives a colon-separated list when a unit asks for several; the first is the unit's own.
    first = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    tree: _Tree = {"state_dir": first} if first else {}
    return _Layer(tree=tree, places=dict.fromkeys(tree, "STATE_DIRECTORY"), directory=Path())


def _of_file(path: Path) -> _Layer:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.", path=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}.", path=str(path)) from error
    return _Layer(tree=tree, places={key: f"{path}: {key}" for key, _ in _leaves(tree)}, directory=path.parent)


def _of_environment(environ: Mapping[str, str]) -> _Layer:
    tree: _Tree = {}
    places = {}
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        parts = variable.removeprefix(PREFIX).lower().split(DELIMITER)
        _set(tree, parts, value, place=variable)
        places[".".join(parts)] = variable
    return _Layer(tree=tree, places=places, directory=Path())


def _of_options(overrides: Mapping[str, Any]) -> _Layer:
    tree: _Tree = {}
    for key, value in overrides.items():
        _set(tree, key.split("."), value, place=key)
    places = {key: f"--{key.rpartition('.')[2].replace('_', '-')}" for key in overrides}
    return _Layer(tree=tree, places=places, directory=Path())


def _read_secret_files(layer: _Layer) -> None:
    """Put the contents of every ``<key>_file`` in the place of the key itself."""
    for key, value in list(_leaves(layer.tree)):
        if key.removesuffix("_file") not in SECRETS | _SECRET_OPTIONS or not key.endswith("_file"):
            continue
        section, _, name = key.rpartition(".")
        table, wanted, place = _table_at(layer.tree, section), name.removesuffix("_file"), layer.places[key]
        if not isinstance(value, str):
            raise SettingsError(f"{place}: must be the name of a file (got {value!r}).")
        if key.removesuffix("_file") in _SECRET_OPTIONS:
            del table[name]  # the engine knows the option itself only
        if wanted in table:
            raise SettingsError(f"{place}: {wanted!r} is given as well; keep one of the two.")
        path = layer.directory / value
        try:
            table[wanted] = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{place}: the file {path} cannot be read: {error}.") from error


def _place_files(layer: _Layer) -> None:
    """Say of every file that is named relative to the settings file where it is."""
    for key, value in list(_leaves(layer.tree)):
        if key in _FILES and isinstance(value, str):
            section, _, name = key.rpartition(".")
            _table_at(layer.tree, section)[name] = str((layer.directory / value).absolute())


# --- trees ---------------------------------------------------------------------------------------------------------
def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _table_at(tree: _Tree, key: str) -> _Tree:
    for part in key.split(".") if key else ():
        tree = tree[part]
    return tree


def _set(tree: _Tree, parts: list[str], value: Any, *, place: str) -> None:
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise SettingsError(f"{place}: {part!r} is given as a value and as a section.")
    tree[parts[-1]] = value


def _update(tree: _Tree, other: _Tree) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict):
            _update(tree[name], value)
        else:
            tree[name] = value


# --- what went wrong -----------------------------------------------------------------------------------------------
def _complaints(error: ValidationError, places: Mapping[str, str]) -> Iterator[str]:
    """Yield a line a problem: the place, the value, what is allowed or the nearest known key."""
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        place = _place_of(key, places)
        if problem["type"] == "extra_forbidden":
            yield f"{place}: unknown key; {_hint(key, as_variable=place.startswith(PREFIX))}"
            continue
        got = "" if isinstance(problem["input"], dict | BaseModel) else f" (got {_shown(key, problem['input'])})"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "model_type":
            message = f"must be a table, {_table_of(problem['loc'])}"
        yield f"{place}: {message}{got}" if place else f"{message}{got}"


def _table_of(where: tuple[int | str, ...]) -> str:
    """Return how a table is headed in a file."""
    names = ".".join(part for part in where if isinstance(part, str))
    return f"[[{names}]]" if where and isinstance(where[-1], int) else f"[{names}]"


def _place_of(key: str, places: Mapping[str, str]) -> str:
    """Return where a key was given; a problem may lie above it (a section) or below it (an item of a list)."""
    if key in places or not key:
        return places.get(key, "")
    below = next((place for at, place in places.items() if at.startswith(f"{key}.")), None)
    if below is not None:
        return below
    above, _, last = key.rpartition(".")
    return f"{_place_of(above, places)}.{last}" if above else key


def _hint(key: str, *, as_variable: bool) -> str:
    """Return what was probably meant by an unknown key."""
    known = [key for key, _ in keys()]
    section, _, _ = key.partition(".")
    if section in {name.partition(".")[0] for name in known}:
        near = get_close_matches(key, [name for name in known if name.startswith(section)], n=1)
    else:
        near = get_close_matches(section, sorted({name.partition(".")[0] for name in known}), n=1)
    if not near:
        return "`alarmd config show` lists the known ones."
    return f"did you mean {variable_of(near[0]) if as_variable else near[0]}?"


def _shown(key: str, value: Any) -> str:
    return MASK if any(key == secret or key.startswith(f"{secret}.") for secret in SECRETS) else repr(value)
