# SPDX-License-Identifier: Apache-2.0
"""W3C trace context: what is taken, what is ignored, and what goes on."""

import pytest

from alarmd.model.trace import new_traceparent, next_traceparent, of_project, read_traceparent, trace_id_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-02", f"00-{TRACE}-{SPAN}-00"),
        (f"cc-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"cc-{TRACE}-{SPAN}-01-what.the.future.brings", f"00-{TRACE}-{SPAN}-01"),
    ],
)
def test_what_holds_to_the_rules_is_taken(given: str, taken: str) -> None:
    """Later versions count as far as they are known, and of the flags only the one that says "sampled"."""
    assert taken == read_traceparent(given)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
    ],
)
def test_what_does_not_is_ignored(given: str | None) -> None:
    """What cannot be read, or is there twice, is as good as none."""
    assert read_traceparent(given) == ""


def test_the_trace_goes_on_in_a_new_span() -> None:
    """Trace and flag stay, the span is new each time."""
    given = f"00-{TRACE}-{SPAN}-01"
    following = {next_traceparent(given) for _ in range(2)}

    assert {TRACE} == {trace_id_of(one) for one in following}
    assert {"01"} == {one[-2:] for one in following}
    assert len({given, *following}) == 3
    assert following == {read_traceparent(one) for one in following}


def test_a_trace_of_our_own_is_not_recorded() -> None:
    """It is a good one, another each time, and asks nobody to record it."""
    made = [new_traceparent(), new_traceparent()]

    assert made == [read_traceparent(one) for one in made]
    assert trace_id_of(made[0]) != trace_id_of(made[1])
    assert ["00", "00"] == [one[-2:] for one in made]


def test_each_project_has_a_trace_of_its_own() -> None:
    """Of ours, the same each time; a pusher's stays as it is."""
    own, pushed = new_traceparent(), f"00-{TRACE}-{SPAN}-01"
    seen = [of_project(own, project_id) for project_id in ("p1", "p1", "p2")]

    assert 3 == len({trace_id_of(one) for one in (own, *seen)})
    assert seen[0] == seen[1]
    assert seen == [read_traceparent(one) for one in seen]
    assert pushed == of_project(pushed, "p1")
