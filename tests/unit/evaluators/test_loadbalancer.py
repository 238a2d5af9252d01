# SPDX-License-Identifier: Apache-2.0
"""The `loadbalancer_member_health` type (aodh-api 3.5)."""

import pytest

from alarmd.errors import InvalidInput
from tests.support.rules import SHORTEST, normalised

TYPE = "loadbalancer_member_health"


def test_s3_5_three_texts_are_kept() -> None:
    """Nothing of them is checked; they may be empty."""
    assert list(SHORTEST[TYPE].items()) == list(normalised(TYPE).items())
    assert normalised(TYPE, pool_id="")["pool_id"] == ""


@pytest.mark.parametrize("key", ["pool_id", "stack_id", "autoscaling_group_id"])
def test_s3_5_each_is_text(key: str) -> None:
    """Of bounded length."""
    for wrong in (5, ["x"], "x" * 256):
        with pytest.raises(InvalidInput, match=f"Invalid input for field/attribute {key}. "):
            normalised(TYPE, **{key: wrong})
