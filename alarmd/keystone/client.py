# SPDX-License-Identifier: Apache-2.0
"""alarmd as a user of Keystone: its own token, and tokens of others through the trusts that they gave it."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock
from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.access.service_catalog import ServiceCatalogV3
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from requests import Response

from alarmd import __version__
from alarmd.errors import AlarmdError, Forbidden, InvalidInput, NotFound, Unavailable, Unidentified
from alarmd.settings.schema import KeystoneSettings

#: For how many trusts tokens are kept; the one used longest ago makes room.
_MAX_KEPT = 10_000
_COME_BACK_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_REFUSALS: dict[int, type[AlarmdError]] = {
    HTTPStatus.UNAUTHORIZED: Unidentified,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
}


class KeystoneClient:
    """Asks Keystone as alarmd's own user. Safe to use from several threads; made after a fork.

    Every method may raise `Unavailable` when Keystone does not answer, or does not know alarmd's own user. Nothing of
    what goes to and fro is logged.
    """

    def __init__(self, settings: KeystoneSettings) -> None:
        url = (settings.auth_url or "").rstrip("/")
        self._url = url if url.endswith("/v3") else f"{url}/v3"
        self._settings = settings
        self._session = Session(
            verify=_verify_of(settings),
            timeout=settings.timeout_s,
            # A redirect would take credentials to where nobody said that they may go.
            redirect=False,
            user_agent=f"alarmd/{__version__}",
        )
        self._own = self._password(
            include_catalog=True, project_name=settings.project_name, project_domain_name=settings.project_domain_name
        )
        self._lock = Lock()
        self._through: OrderedDict[str, v3.Password] = OrderedDict()

    @property
    def longest_wait_s(self) -> float:
        """Within how long a token through a trust is there, or is not: two questions, each to connect and to answer."""
        return 4 * self._settings.timeout_s

    def own_user_id(self) -> str:
        """Return the id of alarmd's own user."""
        with self._own_errors():
            return self._own.get_user_id(self._session) or ""

    def own_project_id(self) -> str:
        """Return the id of the project that alarmd's own user acts in."""
        with self._own_errors():
            return self._own.get_project_id(self._session) or ""

    def own_token(self) -> str:
        """Return a token of alarmd's own user, for its own project."""
        with self._own_errors():
            return self._own.get_token(self._session) or ""

    def endpoint(self, service_type: str) -> str:
        """Return the URL of a service in the catalogue, without a slash at its end. Raises `NotFound`."""
        settings = self._settings
        with self._own_errors():
            found = self._own.get_endpoint(
                self._session,
                service_type=service_type,
                interface=settings.interface,
                region_name=settings.region,
                skip_discovery=True,
            )
        if not found:
            raise NotFound(f"Keystone's catalogue names no {settings.interface} endpoint of the type {service_type!r}.")
        return found.rstrip("/")

    def endpoint_for(self, service_type: str, *, token: str) -> str:
        """Return the URL of a service as whoever holds a token is to use it, without a slash at its end.

        Some hold the project in them, so alarmd's own would not do. Raises as `ask` does, and `NotFound`.
        """
        settings = self._settings
        found = ServiceCatalogV3(self.ask("GET", "/auth/catalog", token=token).json().get("catalog", []))
        try:
            url = found.url_for(service_type=service_type, interface=settings.interface, region_name=settings.region)
        except exceptions.CatalogException:
            raise NotFound(
                f"Keystone's catalogue names no {settings.interface} endpoint of the type {service_type!r}."
            ) from None
        return str(url).rstrip("/")

    def trust_token(self, trust_id: str) -> str:
        """Return a token with which alarmd acts for whoever made a trust; it is kept until shortly before it ends.

        Raises `Forbidden` when the trust is gone, or whoever made it has lost what it promises.
        """
        try:
            token = self._plugin_of(trust_id).get_token(self._session)
        except exceptions.Unauthorized:
            # Keystone says the same of a trust that is gone and of a user that it does not know.
            self._check_own_user()
            raise Forbidden("Keystone knows no such trust: it was ended, or its maker is gone or disabled.") from None
        except exceptions.ClientException as error:
            raise _error_of(error, "Keystone gives no token through the trust") from None
        return token or ""

    def discard(self, trust_id: str | None, token: str) -> None:
        """Keep a token, got through a trust or alarmd's own, no longer; one that came in its place meanwhile stays."""
        plugin = self._own if trust_id is None else self._plugin_of(trust_id)
        # Asks nobody: what is kept is still good as far as its time goes.
        with self._lock:
            if plugin.auth_ref is not None and plugin.auth_ref.auth_token == token:
                plugin.invalidate()

    def forget(self, trust_id: str) -> None:
        """Keep nothing of a trust that has ended."""
        with self._lock:
            self._through.pop(trust_id, None)

    def ask(
        self, method: str, path: str, *, token: str, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return Keystone's answer to a question in the name of whoever holds a token.

        Raises `Unidentified` when the token does not count, `Forbidden` when it does not allow this, `NotFound`, and
        `InvalidInput` for any other refusal, each with Keystone's reason.
        """
        try:
            return self._session.request(
                f"{self._url}{path}",
                method,
                authenticated=False,
                json=json,
                headers={"X-Auth-Token": token, **(headers or {})},
                log=False,
            )
        except exceptions.ClientException as error:
            raise _error_of(error, "Keystone refuses") from None

    def _check_own_user(self) -> None:
        with self._own_errors():
            self._own.invalidate()
            self._own.get_token(self._session)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        """Tell of what happens to alarmd's own user, which is no fault of whoever asks alarmd."""
        try:
            yield
        except exceptions.HTTPClientError as error:
            raise Unavailable(
                f"Keystone refuses alarmd's own user {self._settings.username!r}: {_reason_of(error)} Look at the "
                "settings in [keystone]."
            ) from None
        except exceptions.ClientException as error:
            raise _error_of(error, "") from None

    def _plugin_of(self, trust_id: str) -> v3.Password:
        with self._lock:
            plugin = self._through.pop(trust_id, None) or self._password(trust_id=trust_id)
            self._through[trust_id] = plugin
            if len(self._through) > _MAX_KEPT:
                self._through.popitem(last=False)
        return plugin

    def _password(self, **scope: Any) -> v3.Password:
        settings = self._settings
        return v3.Password(
            self._url,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else "",
            user_domain_name=settings.user_domain_name,
            **{"include_catalog": False, **scope},
        )


def _verify_of(settings: KeystoneSettings) -> bool | str:
    if settings.insecure or settings.cafile is None:
        return not settings.insecure
    return str(settings.cafile)


def _error_of(error: exceptions.ClientException, what: str) -> AlarmdError:
    """Return our error for the library's. Its cause stays out: it may hold what is secret."""
    match error:
        case exceptions.HttpError(http_status=status) if status in _COME_BACK_LATER or status >= 500:
            return Unavailable(f"Keystone cannot answer: {_reason_of(error)}")
        case exceptions.HttpError(http_status=status):
            return _REFUSALS.get(status, InvalidInput)(f"{what}: {_reason_of(error)}")
        case _:
            # Not its message, which holds the URL.
            return Unavailable(f"Keystone does not answer ({type(error).__name__}).")


def _reason_of(error: exceptions.HttpError) -> str:
    return error.message or f"HTTP {error.http_status}."
