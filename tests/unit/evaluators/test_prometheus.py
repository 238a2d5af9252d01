# SPDX-License-Identifier: Apache-2.0
"""The `prometheus` type, a row of the contract each (aodh-api 3.4)."""

import pytest

from alarmd.errors import InvalidInput
from tests.support.rules import normalised


def test_s3_4_a_rule_is_kept_whole_and_in_order() -> None:
    """The query as it was sent, even an empty one."""
    assert [("query", "up{job='x'} == 0"), ("comparison_operator", "lt"), ("threshold", 2e9)] == list(
        normalised("prometheus", threshold=2_000_000_000, comparison_operator="lt", query="up{job='x'} == 0").items()
    )
    assert normalised("prometheus", query="")["query"] == ""


@pytest.mark.parametrize("key", ["scope_to_project", "evaluation_periods", "granularity", "type"])
def test_s3_4_there_is_nothing_else(key: str) -> None:
    """What confines a rule to its project is not for clients to say."""
    with pytest.raises(InvalidInput, match=f"^Unknown attribute for argument data.prometheus_rule: {key}$"):
        normalised("prometheus", **{key: "p1"})


@pytest.mark.parametrize("query", [5, ["up"], "x" * 65_537])
def test_s3_4_a_query_is_text(query: object) -> None:
    """Of bounded length."""
    with pytest.raises(InvalidInput, match=r"Invalid input for field/attribute query\. "):
        normalised("prometheus", query=query)
