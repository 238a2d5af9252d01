# SPDX-License-Identifier: Apache-2.0
"""Gnocchi's query language over resources in the cache (telemetry 5.4); a real Gnocchi is met in tests/openstack."""

import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from alarmd.cache.window import Window, WindowLimits
from alarmd.errors import InvalidInput
from alarmd.evaluators.families.gnocchi.attributes import Like
from alarmd.evaluators.families.gnocchi.query import ResourceCondition, condition_of
from alarmd.model.rule import Selector
from alarmd.model.samples import Metric, Resource, labels_of

UUID = "6f0f6c2b-2f0a-4c5e-9c0e-0f4f3c1f7a55"
VM = Resource(
    id=UUID,
    project_id="p1",
    user_id="u1",
    labels=labels_of({"server_group": "web", "vcpus": "4", "is_big": "True", "resource_type": "instance"}.items()),
)
BARE = Resource(id="rack/1", project_id="p1")


def holds(query: Any, resource: Resource = VM, *, resource_type: str = "generic") -> bool:
    """Return whether a query means a resource."""
    return condition_of(query, resource_type=resource_type).holds(resource)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"=": {"server_group": "web"}},
        {"==": {"metering.server_group": "web"}},
        {"eq": {"user_metadata.server_group": "web"}},
        {"=": {"metadata.user_metadata.server_group": "web"}},
        {"!=": {"server_group": "db"}},
        {"≠": {"nothing_like_it": "db"}},
        {"<": {"server_group": "x"}},
        {"≥": {"server_group": "web"}},
        {"in": {"server_group": ["db", "web"]}},
        {"like": {"server_group": "w%"}},
        {"=": {"ended_at": None}},
        {"=": {"revision_end": None}},
        {"!=": {"server_group": None}},
        {"=": {"id": UUID}},
        {"=": {"id": UUID.upper()}},
        {"in": {"id": [UUID.replace("-", "")]}},
        {"like": {"original_resource_id": "6f0f%"}},
        {"=": {"type": "instance"}},
        {"=": {"project_id": "p1"}},
        {"=": {"created_by_project_id": "p1"}},
        {"=": {"creator": "u1:p1"}},
        {"=": {"vcpus": 4}},
        {"=": {"vcpus": 4.0}},
        {"<": {"vcpus": 10}},
        {"=": {"is_big": True}},
        {"and": [{"=": {"server_group": "web"}}, {}]},
        {"∨": [{"=": {"server_group": "db"}}, {"=": {"user_id": "u1"}}]},
        {"not": {"=": {"server_group": "db"}}},
        {"or": [{"=": {"nothing": 1}}, {"=": {"ended_at": None}}]},
        {"not": {"and": [{"=": {"nothing": 1}}, {"=": {"server_group": "db"}}]}},
    ],
    ids=json.dumps,
)
def test_what_is_meant(query: Any) -> None:
    """Every operator, every spelling, and attributes by Gnocchi's names and by Ceilometer's."""
    assert holds(query)


@pytest.mark.parametrize(
    "query",
    [
        {"=": {"server_group": "WEB"}},
        {"=": {"server_group": None}},
        {"!=": {"ended_at": None}},
        {"=": {"nothing": "x"}},
        {"not": {"=": {"nothing": "x"}}},
        {"<": {"nothing": "x"}},
        {"<": {"server_group": None}},
        {"not": {"<": {"server_group": None}}},
        {"in": {"nothing": ["x"]}},
        {"not": {"in": {"nothing": ["x"]}}},
        {"like": {"nothing": "%"}},
        {"like": {"server_group": "W%"}},
        {"=": {"id": "rack/1"}},
        {"<": {"vcpus": "10"}},
        {"=": {"vcpus": True}},
        {"=": {"is_big": "true"}},
        {"and": [{"=": {"nothing": 1}}, {"=": {"server_group": "web"}}]},
        {"not": {"or": [{"=": {"nothing": 1}}, {"=": {"server_group": "db"}}]}},
        {"<": {"lifespan": "1 hour"}},
        {">": {"started_at": "-1 hour"}},
    ],
    ids=json.dumps,
)
def test_what_is_not_meant(query: Any) -> None:
    """What a resource does not have is neither equal nor its opposite; a text is no number; case counts."""
    assert not holds(query)


@pytest.mark.parametrize(
    ("resource", "resource_type", "expected"),
    [
        (VM, "instance", True),
        (VM, "generic", True),
        (VM, "instance_disk", False),
        (BARE, "instance", True),
        (BARE, "generic", True),
    ],
)
def test_types(resource: Resource, resource_type: str, *, expected: bool) -> None:
    """A resource that says its type is of this and generic; one that says none may be of any."""
    assert expected == holds({}, resource, resource_type=resource_type)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"~": {"a": 1}}, "it is none of the operators"),
        ({"=": {"a": 1}, "!=": {"a": 2}}, "it must be an object with one key"),
        ({"=": {}}, "'=' must hold one attribute and its value"),
        ({"=": {"a": 1, "b": 2}}, "'=' must hold one attribute and its value"),
        ({"=": []}, "'=' must hold one attribute and its value"),
        ({"=": {"a": [1]}}, "what is compared with must be a text"),
        ({"in": {"a": []}}, "'in' must hold a list of at least one"),
        ({"in": {"a": "b"}}, "'in' must hold a list of at least one"),
        ({"and": []}, "'and' must hold a list of at least one"),
        ({"and": {"=": {"a": 1}}}, "'and' must hold a list of at least one"),
        ({"not": [{"=": {"a": 1}}]}, "it must be an object with one key"),
        ({"like": {"id": "6f%"}}, "there is original_resource_id"),
        ({"<": {"created_by_project_id": "p1"}}, "goes with = and != and like only"),
        ({"or": [{}] * 201}, "more than 200 conditions"),
        ({"in": {"a": ["x"] * 1_001}}, "more than 1000 values in lists"),
        ({"=": {"metadata." * 29: "x"}}, "255 letters at most"),
    ],
)
def test_what_cannot_be_read_is_refused(query: Any, why: str) -> None:
    """The complaint shows the place, cut to what people read."""
    with pytest.raises(InvalidInput) as refused:
        condition_of(query, resource_type="generic")

    assert why in refused.value.message
    assert len(refused.value.message) < 500


def test_depth_is_bounded() -> None:
    """Sixty-four levels, however they are made."""
    query: Any = {"=": {"a": 1}}
    for _ in range(63):
        query = {"not": query}

    assert not holds(query)
    with pytest.raises(InvalidInput, match="nested more than 64 levels deep"):
        holds({"not": query})


def test_conditions_that_mean_the_same_are_equal_and_others_are_not() -> None:
    """Rules that read the same share their work; true, 1 and "1" are not the same."""
    spelt = [condition_of({name: {"a": "b"}}, resource_type="generic") for name in ("=", "==", "eq")]
    others = [condition_of({"=": {"a": value}}, resource_type="generic") for value in (1, True, "1")]

    assert len(set(spelt)) == 1
    assert len(set(others)) == 3


_PATTERNS = st.text("ab%_\\", max_size=8)
_TEXTS = st.text("ab%_\\", max_size=8)


def _like_slowly(text: str, pattern: str) -> bool:
    """The definition, letter by letter."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(_like_slowly(text[at:], pattern[1:]) for at in range(len(text) + 1))
    if pattern[0] == "\\" and len(pattern) > 1:
        return text[:1] == pattern[1] and _like_slowly(text[1:], pattern[2:])
    return bool(text) and pattern[0] in {"_", text[0]} and _like_slowly(text[1:], pattern[1:])


@given(text=_TEXTS, pattern=_PATTERNS)
def test_like_is_sqls(text: str, pattern: str) -> None:
    """Any text, any character, and neither when a backslash stands before them."""
    assert _like_slowly(text, pattern) == Like(pattern).holds(text)


def test_like_takes_no_longer_than_it_must() -> None:
    """A pattern that would keep a regular expression busy for years."""
    started_s = time.perf_counter()

    assert not Like("%a" * 1_000 + "b").holds("a" * 5_000)
    assert time.perf_counter() - started_s < 5


_VALUES = st.sampled_from([None, "a", "b", 1, True])
_COMPARISONS = st.builds(
    lambda name, attribute, value: {name: {attribute: value}},
    st.sampled_from(["=", "!=", "<", ">", "<=", ">=", "like"]),
    st.sampled_from(["x", "y", "z"]),
    _VALUES,
)
_QUERIES = st.recursive(
    _COMPARISONS,
    lambda nodes: st.one_of(
        st.builds(
            lambda name, below: {name: below}, st.sampled_from(["and", "or"]), st.lists(nodes, min_size=1, max_size=3)
        ),
        nodes.map(lambda node: {"not": node}),
    ),
    max_leaves=6,
)


@given(query=_QUERIES, labels=st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["a", "b", "1"])))
def test_the_opposite_is_never_true_together_with_it(query: Any, labels: dict[str, str]) -> None:
    """Nor is anything lost by saying it twice, or by De Morgan."""
    resource = Resource(id="r", project_id="p1", labels=labels_of(labels.items()))

    assert not (holds(query, resource) and holds({"not": query}, resource))
    assert holds(query, resource) == holds({"not": {"not": query}}, resource)
    assert holds({"and": [query, query]}, resource) == holds({"not": {"or": [{"not": query}]}}, resource)


_ANYTHING = st.sampled_from([None, "a", "1", "1.0", "true", 1, 1.0, 2.5, True, False, UUID, UUID.upper()])


@given(
    attribute=st.sampled_from(["x", "y", "id"]),
    among=st.lists(_ANYTHING, min_size=1, max_size=4),
    has=st.sampled_from(["a", "1", "1.0", "True", "2.50", UUID]),
)
def test_in_is_equality_with_any(attribute: str, among: list[Any], has: str) -> None:
    """A list is looked up at once, and says what its values would one by one; null is none of them."""
    resource = Resource(id=has, project_id="p1", labels=labels_of([("x", has)]))
    one_by_one = [{"=": {attribute: value}} for value in among if value is not None]

    assert holds({"in": {attribute: among}}, resource) == any(holds(one, resource) for one in one_by_one)


#: Names that mean something, and any others; values of every kind that JSON has; letters of every kind.
_NAMES = st.one_of(
    st.sampled_from(["id", "original_resource_id", "project_id", "user_id", "creator", "created_by_user_id", "type"]),
    st.sampled_from(["ended_at", "lifespan", "metadata.", "metadata.metering.x", "labels.labels.x"]),
    st.text(max_size=12),
)
_ANY_VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.just(UUID))
_ANY_QUERIES = st.recursive(
    st.one_of(
        st.just({}),
        st.builds(
            lambda name, attribute, value: {name: {attribute: value}},
            st.sampled_from(["=", "≠", "<", "gt", "≤", ">=", "like"]),
            _NAMES,
            _ANY_VALUES,
        ),
        st.builds(
            lambda attribute, among: {"in": {attribute: among}}, _NAMES, st.lists(_ANY_VALUES, min_size=1, max_size=5)
        ),
    ),
    lambda nodes: st.one_of(
        st.builds(
            lambda name, below: {name: below}, st.sampled_from(["and", "∨"]), st.lists(nodes, min_size=1, max_size=4)
        ),
        nodes.map(lambda node: {"not": node}),
    ),
    max_leaves=12,
)
_ANY_TEXTS = st.one_of(st.text(max_size=40), st.integers().map(str), st.floats().map(str), st.just(UUID))
_ANY_RESOURCES = st.builds(
    lambda names, labels: Resource(id=names[0], project_id=names[1], user_id=names[2], labels=labels_of(labels)),
    st.tuples(_ANY_TEXTS, _ANY_TEXTS, _ANY_TEXTS),
    st.lists(st.tuples(_NAMES, _ANY_TEXTS), max_size=5),
)


@given(query=_ANY_QUERIES, resource=_ANY_RESOURCES, resource_type=_NAMES)
@example(query={"<": {"x": 10**400}}, resource=BARE, resource_type="generic")
@example(query={"=": {"x": 1}}, resource=Resource(id="", labels=(("x", "9" * 5_000),)), resource_type="generic")
@example(query={"like": {"x": "_" * 65_000}}, resource=Resource(id="", labels=(("x", "\udcff"),)), resource_type="")
def test_a_condition_that_has_been_read_holds_or_not_and_never_fails(
    query: Any, resource: Resource, resource_type: str
) -> None:
    """Whatever it says and whatever a resource looks like: a fault would be told, and none is."""
    try:
        condition = condition_of(query, resource_type=resource_type)
    except InvalidInput:
        return

    with capture_logs() as told:
        found = condition.holds(resource)

    assert found in {True, False}
    assert told == []


class _Broken:
    """A query that alarmd has a fault in."""

    def truth(self, resource: Resource) -> bool | None:
        """Fail for everything but what is bare."""
        return None if resource == BARE else bool(1 // 0)


def test_a_fault_in_a_condition_leaves_what_it_was_asked_of_out_and_is_told_once() -> None:
    """The window's series can still be followed, however many resources come."""
    condition = ResourceCondition(resource_type="generic", query=_Broken())
    window = Window(WindowLimits(length_s=600, lateness_s=10, future_s=60, max_series=100))
    for number in range(3):
        window.directory.put(Resource(id=f"vm-{number}", project_id="p1"), Metric(name="cpu_util"))

    with capture_logs() as told:
        found = window.directory.select(Selector(metric="cpu_util", project_id="p1", condition=condition))

    assert found == []
    assert ["condition_not_decided"] == [one["event"] for one in told]
    assert ["vm-0"] == [one["resource_id"] for one in told]
