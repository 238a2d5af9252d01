# SPDX-License-Identifier: Apache-2.0
"""What the page for receivers tells is true."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alarmd.model.secret import key_of
from alarmd.notifiers.heat import HeatOptions
from alarmd.notifiers.http import HttpOptions
from alarmd.notifiers.retry import RetryPolicy
from alarmd.notifiers.signing import signature_of
from tests.support.notifications import BUSY, CREATED_AT, a_notification

PAGE = (Path(__file__).parents[3] / "docs/webhooks.md").read_text()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def read_webhook() -> Callable[..., Any]:
    """The function that the page offers to receivers."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    offered: Callable[..., Any] = names["read_webhook"]
    return offered


def test_the_code_on_the_page_knows_genuine_webhooks(read_webhook: Callable[..., Any]) -> None:
    """A receiver that copies the code accepts what alarmd signs and nothing else."""
    now_s = int(time.time())
    headers = {
        "webhook-id": "a_1_0",
        "webhook-timestamp": str(now_s),
        "webhook-signature": signature_of([key_of(SECRET)], "a_1_0", now_s, b'{"current": "alarm"}'),
    }

    assert read_webhook(SECRET, headers, b'{"current": "alarm"}') == {"current": "alarm"}
    assert read_webhook(SECRET, headers, b'{"current": "ok"}') is None


def test_the_page_lists_every_option_of_the_schemes() -> None:
    """No more and no fewer than there are, with their defaults where these are the scheme's own."""
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (.*?) \|", PAGE.partition("### Options of the schemes")[2], re.MULTILINE)
    told = {name: default for names, default in rows for name in re.findall(r"[a-z_]+", names)}
    options, of_heat = HttpOptions(), HeatOptions()

    assert set(HttpOptions.model_fields) == set(told)
    assert set(HttpOptions.model_fields) | {"keystone"} == set(HeatOptions.model_fields)
    for name in ("max_idle_connections", "max_retry_after_s"):
        assert f"`{getattr(options, name)}`" == told[name]
    assert ("`65536`, for `trust+heat` 1 MiB", 2**20) == (told["max_answer_bytes"], of_heat.max_answer_bytes)
    assert f"`{options.body_wait_s}`, for `trust+heat` `{of_heat.body_wait_s}`" == told["body_wait_s"]


def test_the_schedule_on_the_page_is_the_default() -> None:
    """The pauses and bounds that the page names are those of the defaults."""
    policy = RetryPolicy(jitter=0)
    pauses = [
        (policy.decide(BUSY, a_notification(attempts=attempts), CREATED_AT).next_attempt_at - CREATED_AT).seconds
        for attempts in range(8)
    ]

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (RetryPolicy().jitter, RetryPolicy().give_up_after_s) == (0.2, 3600)
    assert (HttpOptions().connect_timeout_s, HttpOptions().deadline_s) == (3, 15)
    assert (HttpOptions().max_answer_bytes, HttpOptions().max_retry_after_s) == (64 * 1024, 3600)
