# SPDX-License-Identifier: Apache-2.0
"""The commands' way to a running alarmd: its REST API."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import click
import requests

DEFAULT_URL = "http://127.0.0.1:8042"
_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 60.0
#: How many items of a list are asked for by one command, unless it is told a number.
MOST_LISTED = 100_000
#: What stands in paths, and the commands that list it.
_LISTS = {"alarms": "alarm list", "deliveries": "delivery list", "silences": "silence list", "secrets": "secret list"}


class RequestRefused(click.ClickException):
    """The server said no, or did not answer. Ends the command with exit code 1."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Speaks to one alarmd."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.headers.update(headers or {})
        # A proxy of the environment cannot reach what listens on this machine's loopback.
        self._session.trust_env = not _is_loopback(self._url)

    def get(self, path: str, arguments: Sequence[tuple[str, str]] = ()) -> Any:
        """Return the decoded answer to a GET; raises `RequestRefused`."""
        return self._request("GET", path, arguments=arguments)

    def listed(
        self,
        path: str,
        arguments: Sequence[tuple[str, str]] = (),
        *,
        method: str = "GET",
        body: Any = None,
        key: str | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return a whole list, bare or under a key, from as many pages as the server tells it on.

        A list of more than `MOST_LISTED` is cut there, and what stands on standard error says so; one of more than
        `limit` is cut without a word. Raises `RequestRefused`.
        """
        most = MOST_LISTED if limit is None else limit
        items: list[dict[str, Any]] = []
        while True:
            response = self._exchange(method, path, arguments=arguments, body=body)
            answer = self._decoded(response)
            page = answer if key is None else answer[key]
            items += page
            following = response.links.get("next", {}).get("url")
            if following is None or not page or len(items) >= most:
                break
            # Only what tells the page: an identity goes nowhere else because of what an answer says.
            arguments = parse_qsl(urlsplit(following).query, keep_blank_values=True)
        if limit is None and (len(items) > most or following is not None):
            click.echo(f"There is more than these {most}: narrow the list down, or ask with --limit.", err=True)
        return items[:most]

    def post(self, path: str, body: Any = None) -> Any:
        """Return the decoded answer to a POST; raises `RequestRefused`."""
        return self._request("POST", path, body=body)

    def read(self, path: str) -> tuple[Any, str | None]:
        """Return the decoded answer to a GET and its version (`ETag`), if it has one; raises `RequestRefused`."""
        response = self._exchange("GET", path, arguments=(), body=None)
        return self._decoded(response), response.headers.get("ETag")

    def put(self, path: str, body: Any, *, version: str | None = None) -> Any:
        """Return the decoded answer to a PUT; raises `RequestRefused`.

        With a version the server refuses (412) when the thing is at another by now.
        """
        headers = {} if version is None else {"If-Match": version}
        return self._decoded(self._exchange("PUT", path, arguments=(), body=body, headers=headers))

    def delete(self, path: str, arguments: Sequence[tuple[str, str]] = ()) -> None:
        """Delete; raises `RequestRefused`."""
        self._request("DELETE", path, arguments=arguments)

    def push(self, path: str, body: Any) -> dict[str, Any]:
        """Push; that nothing is accepted is an answer like any other. Raises `RequestRefused` for all else."""
        response = self.send("POST", path, body)
        answer: Any = None
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        if response.status_code in {202, 400} and is_json:
            answer = response.json()
        if isinstance(answer, dict) and "rejected" in answer:
            return answer
        raise self.refusal(response)

    def send(self, method: str, path: str, body: Any) -> requests.Response:
        """Return whatever the server answers; raises `RequestRefused` only when it does not."""
        return self._exchange(method, path, arguments=(), body=body)

    def _request(self, method: str, path: str, *, arguments: Sequence[tuple[str, str]] = (), body: Any = None) -> Any:
        return self._decoded(self._exchange(method, path, arguments=arguments, body=body))

    def _decoded(self, response: requests.Response) -> Any:
        if not response.ok:
            raise self.refusal(response)
        if not response.content:
            return None
        try:
            return response.json()
        except requests.JSONDecodeError as error:
            asked = response.request
            raise RequestRefused(
                f"What answers at {self._url} is not alarmd (its answer to {asked.method} {asked.path_url} is not "
                "JSON). Name alarmd's address with --url or ALARMD_URL."
            ) from error

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        arguments: Sequence[tuple[str, str]],
        body: Any,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        try:
            return self._session.request(
                method,
                self._url + path,
                params=list(arguments),
                json=body,
                headers=headers,
                timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
                allow_redirects=False,
            )
        except requests.Timeout as error:
            raise RequestRefused(
                f"alarmd at {self._url} did not answer {method} {path} in time. Look at its log and at /readyz."
            ) from error
        except requests.ConnectionError as error:
            raise RequestRefused(
                f"Cannot reach alarmd at {self._url} ({_cause(error)}). "
                "Start it with `alarmd run`, or name its address with --url or ALARMD_URL."
            ) from error
        except requests.RequestException as error:
            raise RequestRefused(f"{method} {self._url}{path} failed: {_cause(error)}.") from error

    def refusal(self, response: requests.Response) -> RequestRefused:
        """Return the error that stands for an answer."""
        remedy = {
            401: " Log in with --token, or give another --project/--user.",
            403: " Give an identity that may do this: --token, or --project, --user and --roles.",
            404: _list_of(response.url.removeprefix(self._url)),
        }.get(response.status_code, "")
        try:
            text = str(response.json()["error_message"]["faultstring"])
        except (ValueError, KeyError, TypeError):
            method, remedy = response.request.method, ""
            text = f"{method} {response.url} was answered without an explanation; is it alarmd that listens there?"
        request_id = response.headers.get("x-openstack-request-id")
        tail = f" [request id {request_id}]" if request_id and response.status_code >= 500 else ""
        message = f"{text} (HTTP {response.status_code} from {self._url}){remedy}{tail}"
        return RequestRefused(message, status=response.status_code)


def _list_of(path: str) -> str:
    """Return which command lists what is not there, as a remedy."""
    command = next((command for part, command in _LISTS.items() if part in path.split("/")), None)
    return f" `alarmd {command}` shows what there is." if command else ""


def path_of(*parts: str) -> str:
    """Return a path whose parts may hold any character."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which alarmd and who asks; it gets a `Client` as its first argument."""

    @click.option(
        "--url",
        callback=_check_url,
        envvar="ALARMD_URL",
        default=DEFAULT_URL,
        show_default=True,
        help="Address of alarmd [env: ALARMD_URL].",
    )
    @click.option("--token", envvar="ALARMD_TOKEN", help="Sent as X-Auth-Token [env: ALARMD_TOKEN].")
    @click.option(
        "--project", envvar="ALARMD_PROJECT", help="Act for this project (X-Project-Id) [env: ALARMD_PROJECT]."
    )
    @click.option("--user", envvar="ALARMD_USER", help="Act as this user (X-User-Id) [env: ALARMD_USER].")
    @click.option(
        "--roles",
        envvar="ALARMD_USER_ROLES",
        help="Roles, comma separated (X-Roles); admin when only --project or --user is given [env: ALARMD_USER_ROLES].",
    )
    @wraps(command)
    def wrapped(
        *args: Any, url: str, token: str | None, project: str | None, user: str | None, roles: str | None, **kwargs: Any
    ) -> Any:
        headers = {
            "X-Auth-Token": token,
            "X-Project-Id": project,
            "X-User-Id": user,
            "X-Roles": roles or ("admin" if project is not None or user is not None else None),
        }
        client = Client(url, headers={name: value for name, value in headers.items() if value is not None})
        return command(client, *args, **kwargs)

    return wrapped


def _check_url(_context: click.Context, _option: click.Parameter, url: str) -> str:
    """Return an address that can be asked; what is none is wrong usage."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise click.BadParameter(f"{url!r} is no address of alarmd; write it like {DEFAULT_URL}.")
    return url


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cause(error: Exception) -> str:
    """Return what lies at the bottom of an error, in a few words."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    text = str(getattr(reason, "_message", None) or reason)
    return text.rsplit(": ", 1)[-1].rstrip(".")
