"""TLS: 1.2 or newer, certificate and host name checked, and an end without close_notify is an error."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastget.errors import ConfigError, NetworkError, Stalled
from fastget.interrupts import is_of_handler
from fastget.transport import authorities

if TYPE_CHECKING:
    import socket

    from fastget.config import Config
    from fastget.transport.cancellation import SocketCancellation

# What OpenSSL calls an answer in plain text, of HTTP or another protocol.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})


def client_context(config: Config) -> ssl.SSLContext:
    """The context of a pool's connections: the system's CAs (or SSL_CERT_FILE's), or `ca_bundle` alone.

    Raises ConfigError where `ca_bundle` cannot be loaded.
    """
    try:
        context = _trusting(config.ca_bundle)
    except OSError as error:
        raise _useless(config.ca_bundle, error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if config.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _StrictContext(ssl.SSLContext):
    """A context whose sockets tell a meant end from a cut, whoever wraps them.

    A body that ends with its connection is whole only if the end was meant (faults.md N20).
    """

    def wrap_socket(self, sock: socket.socket, *args: Any, **options: Any) -> ssl.SSLSocket:
        # Of a connection that was reset by now, the standard library would lose the descriptor.
        sock.getpeername()
        return super().wrap_socket(sock, *args, **{**options, "suppress_ragged_eofs": False})


def _useless(ca_bundle: str | None, error: OSError) -> ConfigError:
    why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
    if name := authorities.name_of(ca_bundle):
        return ConfigError(
            f"{name} names {ca_bundle}, which cannot be used: {why}",
            hint="name a PEM file of CA certificates there, or give --ca-bundle",
        )
    return ConfigError(
        f"the CA bundle {ca_bundle} cannot be used: {why}", hint="give --ca-bundle a PEM file of CA certificates"
    )


def _trusting(ca_bundle: str | None) -> ssl.SSLContext:
    context = _StrictContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_bundle is None:
        context.load_default_certs()
    elif Path(ca_bundle).is_dir():
        context.load_verify_locations(capath=ca_bundle)
    else:
        context.load_verify_locations(cafile=ca_bundle)
    return context


def handshake(
    sock: socket.socket,
    host: str,
    context: ssl.SSLContext,
    timeout: float,
    cancellation: SocketCancellation,
    session: ssl.SSLSession | None = None,
) -> ssl.SSLSocket:
    """Start TLS as a client within `timeout` seconds; the socket that comes back replaces `sock`.

    It goes on from `session`, of this context and host, where the server still knows that, else begins anew.
    Raises NetworkError (certificate, host name, handshake), Stalled, Cancelled.
    """
    cancellation.forget(sock)
    current = sock
    try:
        name = host.rstrip(".")
        current = secured = context.wrap_socket(
            sock, server_hostname=name, do_handshake_on_connect=False, session=session
        )
        cancellation.watch(secured)
        secured.settimeout(timeout)
        secured.do_handshake()
    except OSError as error:
        cancellation.close(current)
        if is_of_handler(error):
            raise
        cancellation.check()
        raise _explained(error, host, timeout) from error
    except BaseException:
        cancellation.close(current)
        raise
    return secured


# By X509_V_ERR_… of OpenSSL: where no other CA would help.
_OF_ANOTHER_NAME = "ask by a name that the certificate has"
_WAYS_OUT = {
    9: "it is not valid yet: look at the clock of this machine",
    10: "it has ended: look at the clock of this machine, or tell who runs the server",
    62: _OF_ANOTHER_NAME,
    64: _OF_ANOTHER_NAME,
}


def refusal_of_client(peer: str, error: BaseException | None) -> NetworkError | None:
    """What it means where a server ends a connection for want of the client's own certificate; None where it did not.

    In TLS 1.3 it says so only after the handshake.
    """
    if getattr(error, "reason", None) != "TLSV13_ALERT_CERTIFICATE_REQUIRED":
        return None
    return NetworkError(
        f"{peer} asks its client for a certificate, and fastget has none to show",
        hint="fetch it with a tool that can show one, or ask who runs the server for another way",
        is_transient=False,
    )


def untrusted(host: str, error: ssl.SSLCertVerificationError) -> NetworkError:
    """What a refused certificate means; asking again does not help."""
    counts = authorities.what_counts()
    way_out = _WAYS_OUT.get(error.verify_code) or f"name your own CA with --ca-bundle{f' ({counts})' if counts else ''}"
    return NetworkError(
        f"the certificate of {host} is not trusted: {error.verify_message.rstrip('.')}",
        hint=f"{way_out}; --insecure gives up the check",
        is_transient=False,
    )


def _explained(error: OSError, host: str, timeout: float) -> NetworkError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return untrusted(host, error)
    if isinstance(error, TimeoutError):
        return Stalled(f"{host} did not finish the TLS handshake within {timeout:g} s")
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return NetworkError(
            f"{host} does not speak TLS on that port",
            hint="use http://, if that is what it speaks, or check the port",
        )
    cause = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return NetworkError(f"the TLS handshake with {host} failed: {cause or error}")
