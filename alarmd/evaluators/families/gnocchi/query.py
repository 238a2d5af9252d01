# SPDX-License-Identifier: Apache-2.0
"""Gnocchi's query language over the resources in alarmd's own cache.

A query is an object with one key: a comparison, ``{"=": {"server_group": "web"}}``, or conditions combined. Truth is
SQL's, of three values: what is compared with an attribute that a resource does not have is neither true nor false, nor
is its opposite, and a resource is meant where the whole is true.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from reprlib import Repr
from typing import Any, Final, Protocol

import structlog

from alarmd.errors import InvalidInput
from alarmd.evaluators.families.gnocchi.attributes import (
    CREATORS,
    IDS,
    Like,
    Named,
    attribute_of,
    comparable,
    is_of_type,
    number_in,
    plain_id,
)
from alarmd.model.samples import Resource

_logger = structlog.get_logger()

#: What may go wrong with a resource that nobody has thought of.
_FAULTS: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

#: Levels of a query, conditions in it, values in all of its lists, and letters of a name. All of it is asked of each
#: resource that comes or changes, by the thread that evaluates everybody's alarms.
_DEEPEST: Final = 64
_MOST: Final = 200
_MOST_VALUES: Final = 1_000
_LONGEST_NAME: Final = 255

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
    ids: frozenset[str]
    #: What was written as text, as true or false, and as a number.
    texts: frozenset[str]
    flags: frozenset[str]
    numbers: frozenset[float]
    numbers_as_text: frozenset[str]

    @classmethod
    def of(cls, attribute: str, among: Sequence[Named]) -> "_In":
        """Return the condition that an attribute is one of several things."""
        numbers = [one for one in among if one.number is not None]
        return cls(
            attribute,
            ids=frozenset(one.plain_id for one in among),
            texts=frozenset(one.text for one in among if one.number is None and not one.is_flag),
            flags=frozenset(one.text for one in among if one.is_flag),
            numbers=frozenset(one.number for one in numbers if one.number is not None),
            numbers_as_text=frozenset(one.text for one in numbers),
        )

    def truth(self, resource: Resource) -> bool | None:
        """Return what `comparable` finds of any of the things, without a look at each."""
        has = attribute_of(resource, self.attribute)
        if has is None:
            return None
        if self.attribute in IDS:
            return plain_id(has) in self.ids
        if has in self.texts or has.lower() in self.flags:
            return True
        number = number_in(has) if self.numbers else None
        return has in self.numbers_as_text if number is None else number in self.numbers


@dataclass(frozen=True, slots=True)
class _Like:
    attribute: str
    #: None where a query names null, which nothing is like.
    pattern: str | None
    like: Like | None = field(compare=False)

    @classmethod
    def of(cls, attribute: str, named: Named | None) -> "_Like":
        """Return the condition that an attribute is like something."""
        return cls(attribute, named.text if named else None, Like(named.text) if named else None)

    def truth(self, resource: Resource) -> bool | None:
        has = attribute_of(resource, self.attribute)
        return None if has is None or self.like is None else self.like.holds(has)


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


@dataclass(slots=True)
class _Faults:
    """Whether the log has been told of a fault of a condition: once is enough."""

    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceCondition:
    """A `Condition`: of which type a resource is, and what a query says of it."""

    resource_type: str
    query: _Node
    _faults: _Faults = field(default_factory=_Faults, init=False, repr=False, compare=False)

    def holds(self, resource: Resource) -> bool:
        """Return whether a resource is meant."""
        try:
            return is_of_type(resource, self.resource_type) and self.query.truth(resource) is True
        except _FAULTS:
            # A fault of alarmd's own. It is met where the series of all rules are followed, which must go on.
            if not self._faults.is_told:
                self._faults.is_told = True
                _logger.exception(
                    "condition_not_decided",
                    resource_type=self.resource_type,
                    project_id=resource.project_id,
                    resource_id=resource.id,
                )
            return False


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
        self._values_left = _MOST_VALUES

    def read(self, query: Any, *, level: int) -> _Node:
        if not isinstance(query, Mapping) or len(query) > 1:
            raise _wrong(query, "it must be an object with one key, an operator")
        if level > _DEEPEST:
            raise InvalidInput(f"The query is nested more than {_DEEPEST} levels deep: make it flatter.")
        self._left -= 1
        if self._left < 0:
            raise InvalidInput(f"The query has more than {_MOST} conditions: use fewer, or 'in' with a list.")
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
        if len(attribute) > _LONGEST_NAME:
            raise _wrong(attribute, f"a name has {_LONGEST_NAME} letters at most")
        compare = _COMPARISONS.get(operation)
        if attribute in CREATORS and operation != "like" and compare not in _EQUALITY:
            raise _wrong(operation, f"{attribute} goes with = and != and like only")
        if operation == "in":
            values = _filled(value, operation)
            self._values_left -= len(values)
            if self._values_left < 0:
                raise InvalidInput(f"The query has more than {_MOST_VALUES} values in lists: use fewer.")
            return _In.of(attribute, [named for one in values if (named := _named(one)) is not None])
        named = _named(value)
        if compare is not None:
            return _Compare(attribute, compare, named)
        if attribute == "id":
            raise _wrong(attribute, "'like' goes with other attributes; there is original_resource_id")
        return _Like.of(attribute, named)


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
