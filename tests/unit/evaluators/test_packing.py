# SPDX-License-Identifier: Apache-2.0
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alarmd.evaluators.packing import pack, unpack

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)
_USUAL = {
    "type": "threshold",
    "meter_name": "cpu_util",
    "query": [{"field": "resource_id", "op": "eq", "value": "vm-0001234"}],
    "statistic": "avg",
    "period": 60,
    "evaluation_periods": 3,
    "comparison_operator": "gt",
    "threshold": 71.5,
    "exclude_outliers": False,
}


@given(form=st.text(), wires=st.lists(st.dictionaries(st.text(), _VALUES, max_size=4), max_size=4))
def test_what_was_packed_is_unpacked(form: str, wires: list[dict[str, Any]]) -> None:
    """Any form and any rules come back as they were, their attributes in the same order."""
    found_form, found = unpack(pack(form, wires))

    assert (form, wires) == (found_form, found)
    assert [list(wire) for wire in wires] == [list(wire) for wire in found]


def test_usual_rules_take_little() -> None:
    """Four rules as people write them take less than a tenth of what they take as texts."""
    wires = [_USUAL | {"threshold": 10.0 * number} for number in range(4)]

    assert 100 > len(pack("(rule1 and rule2 and rule3 and rule4)", wires))
