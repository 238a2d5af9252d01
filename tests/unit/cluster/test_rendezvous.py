# SPDX-License-Identifier: Apache-2.0
"""Sharing out shards by rendezvous hashing."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.cluster.rendezvous import owned_by, owner_of
from alarmd.model.shard import Shard, all_shards

_members = st.lists(st.text(max_size=8), min_size=1, max_size=8, unique=True)


@given(members=_members, seed=st.integers())
def test_everybody_works_out_the_same(members: list[str], seed: int) -> None:
    """The owner does not depend on the order of the members, and the shares make up the whole, without overlap."""
    shuffled = list(members)
    random.Random(seed).shuffle(shuffled)
    shares = [owned_by(member, members=shuffled, shards=all_shards()) for member in members]

    assert [owner_of(shard, members) for shard in all_shards()] == [owner_of(shard, shuffled) for shard in all_shards()]
    assert sum(len(share) for share in shares) == len(all_shards())
    assert frozenset().union(*shares) == all_shards()


@given(members=_members, newcomer=st.text(max_size=8))
def test_newcomer_moves_only_what_it_takes(members: list[str], newcomer: str) -> None:
    """When a member comes (or, read backwards, goes), every other shard stays where it is."""
    before = {shard: owner_of(shard, members) for shard in all_shards()}
    after = {shard: owner_of(shard, {*members, newcomer}) for shard in all_shards()}

    assert {shard for shard in all_shards() if before[shard] != after[shard]} == (
        {shard for shard in all_shards() if after[shard] == newcomer} if newcomer not in members else set()
    )


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shares_are_balanced(count: int) -> None:
    """Over many shards everybody owns about as many."""
    shards = 2000 * count
    members = [f"host-{number}:1" for number in range(count)]
    owned = Counter(owner_of(Shard(number), members) for number in range(shards))

    assert set(owned) == set(members)
    assert all(1800 < share < 2200 for share in owned.values())


def test_stranger_owns_nothing() -> None:
    """Whoever is not among the members has no share."""
    assert owned_by("stranger", members=["a", "b"], shards=all_shards()) == frozenset()
    assert owned_by("stranger", members=[], shards=all_shards()) == frozenset()


def test_answer_is_the_same_everywhere() -> None:
    """The draw is fixed: members of different releases and machines must agree."""
    members = ["host-a:0", "host-a:1", "host-b:0"]

    owners = [owner_of(Shard(number), members) for number in range(6)]

    assert owners == ["host-b:0", "host-a:1", "host-b:0", "host-a:1", "host-a:0", "host-a:1"]
