# SPDX-License-Identifier: Apache-2.0
"""``trust+…`` actions as Aodh stores them: with the id of the Keystone trust in the place of a user."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

_TRUST = "trust+"
ACTION_LISTS = ("ok_actions", "alarm_actions", "insufficient_data_actions")


def trust_of(url: str) -> tuple[str, str]:
    """Return an action without its trust, and the id of the trust; ``""`` when there is none in it.

    Raises `ValueError` for what is no URL.
    """
    place = urlsplit(url).netloc if url.startswith(_TRUST) else ""
    credentials, sign, _ = place.rpartition("@")
    if not sign:
        return url, ""
    return url.replace(f"{credentials}@", "", 1), credentials.partition(":")[0]


def needs_trust(urls: Sequence[str]) -> bool:
    """Return whether any of these actions is taken with a trust."""
    return any(url.startswith(_TRUST) for url in urls)


def without_trusts(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a change was about without the trusts in its actions: who reads history must not get them."""
    return {key: _scrubbed(value) if key in ACTION_LISTS else value for key, value in detail.items()}


def _scrubbed(urls: Any) -> Any:
    return [_without_trust(url) for url in urls] if isinstance(urls, list) else urls


def _without_trust(url: Any) -> Any:
    try:
        return trust_of(url)[0] if isinstance(url, str) else url
    except ValueError:
        return ""
