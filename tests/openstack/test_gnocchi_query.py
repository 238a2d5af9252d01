# SPDX-License-Identifier: Apache-2.0
"""Gnocchi's query language over the cache, and over the real Gnocchi's PostgreSQL."""

import itertools
import random
from typing import Any, Final
from uuid import UUID

import pytest

from alarmd.evaluators.families.gnocchi.query import condition_of
from alarmd.model.samples import Resource, labels_of
from tests.openstack.gnocchi_service import Gnocchi

_TYPE: Final = "box"
_ATTRIBUTES: Final = ("server_group", "flavor")
_VALUES: Final = (None, "a", "ab", "B", "a_b", "100%")
_QUERIES: Final = 200
_EQUALITY: Final = frozenset({"=", "==", "eq", "!=", "≠", "ne"})
_COMPARISONS: Final = ("=", "==", "!=", "≠", "<", ">", "<=", "≥", "like", "eq", "ne", "lt")


@pytest.fixture(scope="module")
def resources(gnocchi_server: Gnocchi) -> list[Resource]:
    """Resources with and without each value of two attributes, in Gnocchi and as the cache has them."""
    attributes = {name: {"type": "string", "required": False} for name in _ATTRIBUTES}
    gnocchi_server.ask("POST", "/resource_type", {"name": _TYPE, "attributes": attributes})
    made = []
    for number, values in enumerate(itertools.product(_VALUES, _VALUES)):
        has = {name: value for name, value in zip(_ATTRIBUTES, values, strict=True) if value is not None}
        owner = {"project_id": f"p{number % 3}", "user_id": f"u{number % 2}"}
        resource_id = str(UUID(int=number + 1, version=4))
        gnocchi_server.resource(resource_id, {}, type_=_TYPE, **owner, **has)
        made.append(Resource(id=resource_id, labels=labels_of({**has, "resource_type": _TYPE}.items()), **owner))
    return made


def _comparison(rng: random.Random, resources: list[Resource]) -> dict[str, Any]:
    kind = rng.random()
    if kind < 0.1:
        return {rng.choice(["=", "!="]): {"id": rng.choice(resources).id}}
    if kind < 0.2:
        return {rng.choice(["=", "!=", "like"]): {rng.choice(["project_id", "type"]): rng.choice(["p1", "box", "p_"])}}
    if kind < 0.25:
        return {rng.choice(["=", "!="]): {"ended_at": None}}
    attribute = rng.choice(_ATTRIBUTES)
    if kind < 0.4:
        return {"in": {attribute: rng.choices([value for value in _VALUES if value], k=2)}}
    name = rng.choice(_COMPARISONS)
    value = rng.choice(["%", "a%", "_", "%b", "a\\_b", "%\\%"]) if name == "like" else rng.choice(_VALUES)
    if value is None and name not in _EQUALITY:
        value = "a"  # Gnocchi fails at whether something is less than null
    return {name: {attribute: value}}


def _query(rng: random.Random, resources: list[Resource], depth: int) -> dict[str, Any]:
    kind = rng.random()
    if depth == 0 or kind < 0.3:
        return _comparison(rng, resources)
    if kind < 0.5:
        return {"not": _query(rng, resources, depth - 1)}
    below = [_query(rng, resources, depth - 1) for _ in range(rng.randint(1, 3))]
    return {rng.choice(["and", "or", "∧", "∨"]): below}


def test_queries_find_the_same_resources(gnocchi_server: Gnocchi, resources: list[Resource]) -> None:
    """Random ones, nested up to four levels: what is null, what is like, and what is neither."""
    rng = random.Random(20260404)
    wrong, found_some = [], 0
    for _ in range(_QUERIES):
        query = _query(rng, resources, 3)
        told = {each["id"] for each in gnocchi_server.ask("POST", f"/search/resource/{_TYPE}", query)}
        condition = condition_of(query, resource_type=_TYPE)
        meant = {each.id for each in resources if condition.holds(each)}
        found_some += 0 < len(told) < len(resources)
        if told != meant:
            wrong.append((query, told - meant, meant - told))

    assert [] == wrong
    assert found_some > _QUERIES / 3
