# SPDX-License-Identifier: Apache-2.0
"""Gnocchi's query language over the resources in alarmd's own cache.

A query is an object with one key: a comparison, ``{"=": {"server_group": "web"}}``, or conditions combined. Truth is
SQL's, of three values: what is compared with an attribute that a resource does not have is neither true nor false, nor
is its opposite, and a resource is meant where the whole is true.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from reprlib import Repr
from typing import Any, Final, Protocol

from alarmd.errors import InvalidInput
from alarmd.evaluators.gnocchi_attributes import CREATORS, Named, attribute_of, comparable, is_like, is_of_type
from alarmd.model.samples import Resource

#: Levels of a query, and conditions in it.
_DEEPEST: Final = 64
_MOST: Final = 1_000

_AND: Final = frozenset({"and", "∧"})
_OR: Final = frozenset({"or", "∨"})
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    **dict.fromkeys(("=", "==", "eq"), operator.eq),
    **dict.fromkeys(("!=", "≠", "ne"), operator.ne),
    **dict.fromkeys(("<", "lt"), operator.lt),
    **dict.fromkeys((">", "gt"), operator.gt),
    **dict.fromkeys(("<=", "≤", "le"), operator.le),
    **dict.fromkeys((">=", "≥", "ge"), operator.ge),
}
_EQUALITY: Final = frozenset({operator.eq, operator.ne})


class _Node(Protocol):
    def truth(self, resource: Resource) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class _Compare:
    attribute: str
    compare: Callable[[Any, Any], bool]
    #: None where a query names null.
    named: Named | None

    def truth(self, resource: Resource) -> bool | None:
        has = attribute_of(resource, self.attribute)
        if self.named is None:
            return self.compare(has, None) if self.compare in _EQUALITY else None
        if has is None:
            # Gnocchi's own exception: what is not there is not equal either.
            return True if self.compare is operator.ne else None
        return self.compare(*comparable(self.attribute, has, self.named))


@dataclass(frozen=True, slots=True)
class _In:
    attribute: str
    among: tuple[Named, ...]

    def truth(self, resource: Resource) -> bool | None:
        has = attribute_of(resource, self.attribute)
        if has is None:
            return None
        return any(operator.eq(*comparable(self.attribute, has, named)) for named in self.among)


@dataclass(frozen=True, slots=True)
class _Like:
    attribute: str
    #: None where a query names null, which nothing is like.
    pattern: str | None

    def truth(self, resource: Resource) -> bool | None:
        has = attribute_of(resource, self.attribute)
        return None if has is None or self.pattern is None else is_like(has, self.pattern)


@dataclass(frozen=True, slots=True)
class _Combined:
    nodes: tuple[_Node, ...]
    #: What one node's truth decides for all of them: False for "and", True for "or".
    decisive: bool

    def truth(self, resource: Resource) -> bool | None:
        is_sure = True
        for node in self.nodes:
            found = node.truth(resource)
            if found is self.decisive:
                return found
            is_sure &= found is not None
        return not self.decisive if is_sure else None


@dataclass(frozen=True, slots=True)
class _Not:
    node: _Node

    def truth(self, resource: Resource) -> bool | None:
        found = self.node.truth(resource)
        return None if found is None else not found


#: Holds for every resource, as a conjunction of nothing does.
_ALWAYS: Final = _Combined((), decisive=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceCondition:
    """A `Condition`: of which type a resource is, and what a query says of it."""

    resource_type: str
    query: _Node

    def holds(self, resource: Resource) -> bool:
        """Return whether a resource is meant."""
        return is_of_type(resource, self.resource_type) and self.query.truth(resource) is True


@dataclass(frozen=True, slots=True)
class NoResource:
    """A `Condition` that nothing fulfils."""

    def holds(self, resource: Resource) -> bool:  # noqa: ARG002  # whichever it is
        """Return that it is not meant."""
        return False


def condition_of(query: Mapping[str, Any], *, resource_type: str) -> ResourceCondition:
    """Return a decoded query as a condition; raises `InvalidInput` with what is wrong with it."""
    return ResourceCondition(resource_type=resource_type, query=_Reader().read(query, level=1))


def named_project(query: Mapping[str, Any]) -> str | None:
    """Return the project that all resources must be of, where a query says so at its top; else None."""
    for operation, below in _top_of(query):
        if _COMPARISONS.get(operation) is operator.eq and isinstance(below, Mapping):
            project_id = below.get("project_id")
            if isinstance(project_id, str):
                return project_id
    return None


def _top_of(query: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the conditions all of which must hold for a query that has been read before."""
    for operation, below in query.items():
        if operation in _AND:
            for node in below:
                yield from _top_of(node)
        else:
            yield operation, below


class _Reader:
    """Reads one query, of bounded depth and size."""

    def __init__(self) -> None:
        self._left = _MOST

    def read(self, query: Any, *, level: int) -> _Node:
        if not isinstance(query, Mapping) or len(query) > 1:
            raise _wrong(query, "it must be an object with one key, an operator")
        if level > _DEEPEST:
            raise InvalidInput(f"The query is nested more than {_DEEPEST} levels deep: make it flatter.")
        self._count(1)
        if not query:
            return _ALWAYS
        [(operation, below)] = query.items()
        if operation in _AND | _OR:
            nodes = tuple(self.read(node, level=level + 1) for node in _filled(below, operation))
            return _Combined(nodes, decisive=operation in _OR)
        if operation == "not":
            return _Not(self.read(below, level=level + 1))
        return self._comparison(operation, below)

    def _comparison(self, operation: str, below: Any) -> _Node:
        if operation not in _COMPARISONS and operation not in {"like", "in"}:
            raise _wrong(operation, "it is none of the operators = != < > <= >= like in and or not")
        if not isinstance(below, Mapping) or len(below) != 1:
            raise _wrong(below, f"{operation!r} must hold one attribute and its value")
        [(attribute, value)] = below.items()
        compare = _COMPARISONS.get(operation)
        if attribute in CREATORS and operation != "like" and compare not in _EQUALITY:
            raise _wrong(operation, f"{attribute} goes with = and != and like only")
        if operation == "in":
            values = _filled(value, operation)
            self._count(len(values))
            return _In(attribute, tuple(named for one in values if (named := _named(one)) is not None))
        named = _named(value)
        if compare is not None:
            return _Compare(attribute, compare, named)
        if attribute == "id":
            raise _wrong(attribute, "'like' goes with other attributes; there is original_resource_id")
        return _Like(attribute, None if named is None else named.text)

    def _count(self, conditions: int) -> None:
        self._left -= conditions
        if self._left < 0:
            raise InvalidInput(f"The query has more than {_MOST} conditions: use fewer.")


def _filled(below: Any, operation: str) -> Sequence[Any]:
    if not isinstance(below, list) or not below:
        raise _wrong(below, f"{operation!r} must hold a list of at least one")
    return below


def _named(value: Any) -> Named | None:
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise _wrong(value, "what is compared with must be a text, a number, true, false or null")
    return Named.of(value)


def _wrong(what: Any, why: str) -> InvalidInput:
    # What is shown is bounded in depth and length.
    return InvalidInput(f"The query cannot be read at {Repr().repr(what)}: {why}.")
