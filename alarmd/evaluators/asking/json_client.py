# SPDX-License-Identifier: Apache-2.0
"""Asks a server of the operator's for JSON over HTTP: for a bounded time, up to a bounded length, without surprises."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from alarmd import __version__
from alarmd.clock import Clock
from alarmd.evaluators.asking.asking import NoAnswer

#: A server that has not taken a connection by then is down, or too far away.
_LONGEST_CONNECT_S = 5.0
_MAX_BYTES = 16 * 1024 * 1024
_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server said."""

    status: int
    #: None where it is no JSON.
    body: Any

    @property
    def is_ok(self) -> bool:
        """Whether the server did what it was asked for."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class JsonClient:
    """One server. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        timeout_s: float,
        connections: int,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        verify: bool | str = True,
    ) -> None:
        """Take where the server is, what people call it, and how it is to be asked."""
        self.name = name
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._clock = clock
        self._session = requests.Session()
        # Neither proxies nor a .netrc out of the surroundings: what counts stands in the settings.
        self._session.trust_env = False
        self._session.verify = verify
        self._session.auth = auth
        self._session.headers.update(
            {
                "User-Agent": f"alarmd/{__version__}",
                "Accept": "application/json",
                # A few bytes could unpack to more than there is room for.
                "Accept-Encoding": "identity",
                **(headers or {}),
            }
        )
        adapter = HTTPAdapter(pool_maxsize=connections)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def ask(
        self,
        method: str,
        path: str,
        *,
        base: str | None = None,
        form: Mapping[str, str] | None = None,
        json_body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Return what the server says to a request, whatever its status.

        Args:
            method: The method of HTTP.
            path: The path below the server's URL, with its query.
            base: The URL that the path is below, where it is not the server's own.
            form: Fields of a form to send.
            json_body: What to send as JSON.
            headers: More headers.
            timeout_s: For how long to wait at most; the server's own timeout unless this is shorter.

        Raises `NoAnswer` when nothing comes in time, or too much.
        """
        within_s = min(self._timeout_s, timeout_s or self._timeout_s)
        end_s = self._clock.monotonic_s() + within_s
        try:
            with self._session.request(
                method,
                f"{self._url if base is None else base}{path}",
                data=form,
                json=json_body,
                headers=headers,
                timeout=(min(within_s, _LONGEST_CONNECT_S), within_s),
                # A redirect would take what is secret to where nobody said that it may go.
                allow_redirects=False,
                stream=True,
            ) as response:
                return Reply(status=response.status_code, body=_json_of(self._read(response, end_s)))
        except requests.exceptions.SSLError as error:
            raise NoAnswer(f"{self.name} has no certificate that counts here: {_cause_of(error)}") from error
        except (requests.Timeout, ReadTimeoutError, TimeoutError):
            raise NoAnswer(f"{self.name} did not answer within {within_s:g} s.") from None
        except (requests.RequestException, HTTPError, OSError) as error:
            raise NoAnswer(f"{self.name} does not answer: {_cause_of(error)}") from error

    def close(self) -> None:
        """Let go of connections that are not in use."""
        self._session.close()

    def _read(self, response: requests.Response, end_s: float) -> bytes:
        """Return the body; the library's own timeout is that of each single wait."""
        body = bytearray()
        while chunk := response.raw.read1(_AT_ONCE, decode_content=True):
            body += chunk
            if len(body) > _MAX_BYTES:
                raise NoAnswer(f"{self.name} answers with more than {_MAX_BYTES // 1024 // 1024} MiB.")
            if self._clock.monotonic_s() > end_s:
                raise TimeoutError
        return bytes(body)


def _json_of(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _cause_of(error: BaseException) -> str:
    """Return the innermost reason, in words that hold nothing of the URL."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__ or getattr(seen, "reason", None) or _wrapped(seen)
    return type(error).__name__


def _wrapped(error: BaseException) -> BaseException | None:
    inner = error.args[0] if error.args else None
    return inner if isinstance(inner, BaseException) and inner is not error else None
