# SPDX-License-Identifier: Apache-2.0
"""TLS to receivers: who vouches for them, what alarmd shows of itself, and where nobody has to be vouched for."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alarmd.errors import SettingsError
from alarmd.notifiers.sockets import TimedSocket, TimedTlsSocket
from alarmd.notifiers.target_policy import IPNetwork, is_like
from alarmd.notifiers.targets import IPAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Files in PEM form."""

    #: Certificate authorities that vouch for receivers; None: the system's.
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None


class Tls:
    """Secures connections. Safe to use from several threads.

    Certificates are checked, by authority, name and date, but for the hosts and networks that the operator excepts.
    Nothing in a URL can change that. Raises `SettingsError` for files that cannot be used.
    """

    def __init__(
        self,
        files: TlsFiles,
        *,
        unverified_hosts: tuple[str, ...] = (),
        unverified_networks: tuple[IPNetwork, ...] = (),
    ) -> None:
        self._unverified_hosts = unverified_hosts
        self._unverified_networks = unverified_networks
        self._strict = self._lax = _context_of(files)
        if unverified_hosts or unverified_networks:
            self._lax = _context_of(files)
            self._lax.check_hostname = False
            self._lax.verify_mode = ssl.CERT_NONE

    def is_verified(self, name: str, address: IPAddress) -> bool:
        """Return whether the certificate of a receiver is checked; the name is empty where the URL holds an address."""
        if any(is_like(name, pattern) for pattern in self._unverified_hosts):
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return not any(mapped in network or address in network for network in self._unverified_networks)

    def secure(self, plain: TimedSocket, *, host: str, is_verified: bool) -> TimedTlsSocket:
        """Return a connection with TLS over it. Its certificate is held against the URL's host, not the address."""
        context = self._strict if is_verified else self._lax
        secured = context.wrap_socket(plain, server_hostname=host)
        if not isinstance(secured, TimedTlsSocket):
            raise TypeError("the TLS context makes sockets of its own kind")
        return secured


def facts_of(secured: ssl.SSLSocket) -> dict[str, Any]:
    """Return what a connection's TLS is like, and what its certificate says if it was checked; plain JSON."""
    cipher = secured.cipher()
    facts: dict[str, Any] = {"version": secured.version(), "cipher": cipher[0] if cipher else None}
    certificate: dict[str, Any] = dict(secured.getpeercert() or {})
    if certificate:
        facts["subject"] = _words_of(certificate.get("subject", ()))
        facts["issuer"] = _words_of(certificate.get("issuer", ()))
        facts["names"] = [value for _, value in certificate.get("subjectAltName", ())]
        facts["not_before"], facts["not_after"] = certificate.get("notBefore"), certificate.get("notAfter")
    return facts


def _words_of(name: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    return ", ".join(f"{key}={value}" for part in name for key, value in part)


def _context_of(files: TlsFiles) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.ca_file)
        if files.client_cert_file is not None:
            # Without a word of its own OpenSSL would ask the terminal for one, and wait.
            context.load_cert_chain(files.client_cert_file, files.client_key_file, password="")
    except (OSError, ssl.SSLError) as error:
        named = [str(file) for file in (files.ca_file, files.client_cert_file, files.client_key_file) if file]
        raise SettingsError(
            f"The TLS files of the http notifier cannot be used ({', '.join(named)}): {error}. "
            "They have to be readable PEM files, a key without a passphrase."
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = TimedTlsSocket
    return context
