# SPDX-License-Identifier: Apache-2.0
"""Webhooks' scheme as tests want it, closed after them."""

from collections.abc import Iterator
from typing import Any

import pytest

from alarmd.clock import Clock, SystemClock
from alarmd.notifiers.http import HttpOptions, HttpScheme
from alarmd.notifiers.resolver import Lookup, Resolver
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy


class HttpSchemes:
    """Builds schemes and closes them after the test."""

    def __init__(self) -> None:
        self._made: list[HttpScheme] = []

    def __call__(
        self,
        *,
        secrets: tuple[str, ...] = (),
        lookup: Lookup | None = None,
        policy: TargetPolicy | None = None,
        **options: Any,
    ) -> HttpScheme:
        clock: Clock = SystemClock()
        scheme = HttpScheme(
            options=HttpOptions(**options),
            clock=clock,
            policy=policy or TargetPolicy(allow_loopback=True),
            signer=Signer(secrets),
            resolver=Resolver(lookup) if lookup else None,
        )
        self._made.append(scheme)
        return scheme

    def close(self) -> None:
        for scheme in self._made:
            scheme.close()


@pytest.fixture
def make_scheme() -> Iterator[HttpSchemes]:
    schemes = HttpSchemes()
    yield schemes
    schemes.close()
