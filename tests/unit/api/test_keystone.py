# SPDX-License-Identifier: Apache-2.0
from alarmd.api.keystone import _Validated
from alarmd.clock import ManualClock


def test_what_keystone_said_is_kept_for_a_while() -> None:
    """What is kept comes back until its time is over."""
    clock = ManualClock()
    kept = _Validated(clock, keep_s=300, limit=10)
    kept.set("a", b"said", time=1)

    assert b"said" == kept.get("a")
    clock.advance(299)
    assert b"said" == kept.get("a")
    clock.advance(1)
    assert kept.get("a") is None


def test_the_cache_of_validated_tokens_is_bounded() -> None:
    """Beyond the limit, the one used longest ago makes room."""
    kept = _Validated(ManualClock(), keep_s=300, limit=2)
    kept.set("a", b"1")
    kept.set("b", b"2")
    kept.get("a")
    kept.set("c", b"3")

    assert (b"1", None, b"3") == (kept.get("a"), kept.get("b"), kept.get("c"))


def test_nothing_is_kept_when_keystone_is_to_be_asked_every_time() -> None:
    """With zero seconds to keep, nothing is."""
    kept = _Validated(ManualClock(), keep_s=0, limit=2)
    kept.set("a", b"1")

    assert kept.get("a") is None
