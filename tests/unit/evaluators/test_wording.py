# SPDX-License-Identifier: Apache-2.0
"""What is said of composites, word for word (aodh-api 4.4)."""

import json
from typing import Any

import pytest

from alarmd.evaluators.verdicts.wording import LONGEST_CAUSES, composite_reason
from alarmd.model.alarm import State

OK, ALARM, UNKNOWN = State.OK, State.ALARM, State.INSUFFICIENT_DATA
FORM = "(rule1 and (rule2 or rule3))"
RULE = {"type": "threshold", "meter_name": "cpu", "threshold": 80.0}


@pytest.mark.parametrize(
    ("previous", "current", "middle", "tail"),
    [
        (OK, ALARM, "transition to alarm", "outside their threshold."),
        (UNKNOWN, OK, "transition to ok", "inside their threshold."),
        (ALARM, UNKNOWN, "transition to insufficient data", "state evaluated to unknown."),
        (ALARM, ALARM, "remaining as alarm", "outside their threshold."),
        (OK, OK, "remaining as ok", "inside their threshold."),
    ],
)
def test_s4_4_a_composite_gives_its_reason(previous: State, current: State, middle: str, tail: str) -> None:
    """Its form, where it goes or stays, and the rules that speak for it."""
    text, data = composite_reason(FORM, previous, current, [("rule1", RULE), ("rule3", RULE)])

    assert f"Composite rule alarm with composition form: {FORM} {middle}, due to rules: rule1, rule3 {tail}" == text
    assert {
        "type": "composite",
        "composition_form": FORM,
        "causative_rules": {"rule1": RULE, "rule3": RULE},
    } == data


def test_s4_4_rules_are_named_in_the_order_of_their_names() -> None:
    """As texts, which is Aodh's order."""
    text, _ = composite_reason(FORM, OK, ALARM, [(f"rule{number}", RULE) for number in (1, 2, 10)])

    assert "due to rules: rule1, rule10, rule2 outside" in text


def test_reason_data_is_bounded() -> None:
    """A hundred long queries do not make a notification of megabytes: the first are told, the others counted."""
    long = RULE | {"query": "x" * 1000}
    causes = [(f"rule{number}", long) for number in range(1, 101)]
    text, data = composite_reason(FORM, OK, ALARM, causes)
    told: dict[str, Any] = data["causative_rules"]

    assert list(told) == [f"rule{number}" for number in range(1, len(told) + 1)]
    assert 100 == len(told) + data["causative_rules_omitted"]
    assert LONGEST_CAUSES - 2000 < len(json.dumps(told)) <= LONGEST_CAUSES
    assert "rule100" in text
