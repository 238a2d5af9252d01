# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.support.batches import a_uniform_batch


@pytest.mark.parametrize("timestamp_s", [float("nan"), float("inf"), float("-inf")])
def test_a_batch_has_a_moment(timestamp_s: float) -> None:
    """A source that does not know when its values were true fails by itself, and stops no log and no other source."""
    with pytest.raises(ValueError, match="is no moment"):
        a_uniform_batch(timestamp_s=timestamp_s)
