"""TLS for both ends: otelcol's option names, turned into `ssl` contexts and gRPC credentials.

A server without `tls` speaks plaintext; `client_ca_file` makes it demand a client certificate
(mTLS). A client verifies the server against the system's authorities unless told otherwise.

gRPC brings its own TLS library, which speaks 1.2 and 1.3 and lets neither the versions nor the
ciphers be chosen: asking for that on a gRPC endpoint is a ConfigError instead of a silent no.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias

import grpc
from pydantic import Field, SecretStr, model_validator

from genai_collector.component import Config, Duration
from genai_collector.errors import ConfigError

TlsVersion: TypeAlias = Literal["1.2", "1.3"]

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class TLS(Config):
    """What both ends have in common."""

    cert_file: str = ""
    """Own certificate with its chain, PEM."""
    key_file: str = ""
    """Private key of `cert_file`, PEM."""
    cert_pem: SecretStr = SecretStr("")
    """The certificate itself, instead of `cert_file`."""
    key_pem: SecretStr = SecretStr("")
    """The private key itself, instead of `key_file`."""
    min_version: TlsVersion = "1.2"
    """Oldest TLS version to speak."""
    max_version: TlsVersion | None = None
    """Newest TLS version to speak; the newest there is by default."""
    cipher_suites: list[str] = Field(default_factory=list)
    """OpenSSL names of the TLS 1.2 ciphers to allow; the library's choice by default."""
    include_system_ca_certs_pool: bool = False
    """Trust the system's authorities beside the given one."""
    reload_interval: Duration = Field(default=60.0, ge=0)
    """How often to look whether a certificate, key or authority file has changed; new connections
    use what is new. 0 for never."""

    @model_validator(mode="after")
    def _check(self) -> TLS:
        if self.cert_file and self._cert_text:
            raise ValueError("give either cert_file or cert_pem, not both")
        if self.key_file and self._key_text:
            raise ValueError("give either key_file or key_pem, not both")
        if bool(self.cert_file or self._cert_text) != bool(self.key_file or self._key_text):
            raise ValueError("a certificate and its key belong together: give both or neither")
        if self.max_version is not None and self.max_version < self.min_version:
            raise ValueError("max_version is older than min_version")
        return self

    def files(self) -> list[str]:
        """The files that it is made of."""
        return [path for path in (self.cert_file, self.key_file) if path]

    @property
    def _cert_text(self) -> str:
        return self.cert_pem.get_secret_value()

    @property
    def _key_text(self) -> str:
        return self.key_pem.get_secret_value()

    @property
    def _has_cert(self) -> bool:
        return bool(self.cert_file or self._cert_text)

    def _apply(self, context: ssl.SSLContext) -> None:
        context.minimum_version = _VERSIONS[self.min_version]
        if self.max_version is not None:
            context.maximum_version = _VERSIONS[self.max_version]
        if self.cipher_suites:
            try:
                context.set_ciphers(":".join(self.cipher_suites))
            except ssl.SSLError as exc:
                raise ConfigError("tls: cipher_suites: OpenSSL knows none of these") from exc
        if self._has_cert:
            self._load_cert(context)

    def _load_cert(self, context: ssl.SSLContext) -> None:
        cert, key = self._cert_and_key()
        # `ssl` only reads certificates from files.
        path = ""
        try:
            handle, path = tempfile.mkstemp(suffix=".pem")
            with os.fdopen(handle, "wb") as file:
                file.write(cert + b"\n" + key)
            context.load_cert_chain(path)
        except (OSError, ssl.SSLError) as exc:
            where = f"{self.cert_file or 'cert_pem'} and {self.key_file or 'key_pem'}"
            raise ConfigError(f"tls: {where} are no PEM certificate and its key") from exc
        finally:
            if path:
                Path(path).unlink(missing_ok=True)

    def _cert_and_key(self) -> tuple[bytes, bytes]:
        cert = self._cert_text.encode() or _read("cert_file", self.cert_file)
        key = self._key_text.encode() or _read("key_file", self.key_file)
        return cert, key

    def _refuse_choices_for_grpc(self) -> None:
        if self.min_version != "1.2" or self.max_version is not None or self.cipher_suites:
            raise ConfigError(
                "tls: min_version, max_version and cipher_suites cannot be chosen for gRPC, "
                "which speaks TLS 1.2 and 1.3; remove them"
            )


def _read(option: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise ConfigError(f"tls: {option}: cannot read {path}: {exc.strerror}") from exc


def _trust(context: ssl.SSLContext, option: str, pem: bytes) -> None:
    try:
        context.load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as exc:
        raise ConfigError(f"tls: {option} is no PEM certificate") from exc


def _system_roots() -> bytes:
    """The system's authorities as PEM, because gRPC would use its own built-in list."""
    context = ssl.create_default_context()
    return "".join(map(ssl.DER_cert_to_PEM_cert, context.get_ca_certs(binary_form=True))).encode()


class ServerTLS(TLS):
    """TLS of a listener. All keys are otelcol's."""

    client_ca_file: str = ""
    """Authority that client certificates must come from; makes them mandatory (mTLS)."""
    reload_client_ca_file: bool = True
    """Look at `client_ca_file` for changes, too."""

    def files(self) -> list[str]:
        """The files that it is made of and that may change."""
        watched = self.client_ca_file if self.reload_client_ca_file else ""
        return [*super().files(), *([watched] if watched else [])]

    @model_validator(mode="after")
    def _needs_cert(self) -> ServerTLS:
        if not self._has_cert:
            raise ValueError("a server needs cert_file and key_file")
        return self


class ClientTLS(TLS):
    """TLS towards a destination. All keys are otelcol's."""

    insecure: bool = False
    """Speak plaintext where the endpoint's scheme leaves it open (gRPC)."""
    insecure_skip_verify: bool = False
    """Accept any server certificate (HTTP only). For trying things out."""
    server_name_override: str = ""
    """Name to expect in the server's certificate instead of the endpoint's host."""
    ca_file: str = ""
    """Authority to trust instead of the system's, PEM."""
    ca_pem: SecretStr = SecretStr("")
    """The authority itself, instead of `ca_file`."""

    def files(self) -> list[str]:
        """The files that it is made of."""
        return [*super().files(), *([self.ca_file] if self.ca_file else [])]

    @model_validator(mode="after")
    def _one_ca(self) -> ClientTLS:
        if self.ca_file and self.ca_pem.get_secret_value():
            raise ValueError("give either ca_file or ca_pem, not both")
        return self

    def ca(self) -> bytes:
        """The authority to trust as PEM; empty for the system's. Raises ConfigError."""
        if self.ca_file:
            return _read("ca_file", self.ca_file)
        return self.ca_pem.get_secret_value().encode()


def server_context(tls: ServerTLS) -> ssl.SSLContext:
    """The context of an HTTPS listener. Raises ConfigError naming the option at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    tls._apply(context)
    if tls.client_ca_file:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, "client_ca_file", _read("client_ca_file", tls.client_ca_file))
        if tls.include_system_ca_certs_pool:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    return context


def client_context(tls: ClientTLS) -> ssl.SSLContext:
    """The context for HTTPS requests. Raises ConfigError naming the option at fault.

    `server_name_override` is not in it: pass it as the request's server name.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls._apply(context)
    ca = tls.ca()
    if ca:
        _trust(context, "ca_file", ca)
    if not ca or tls.include_system_ca_certs_pool:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def server_certificates(tls: ServerTLS) -> grpc.ServerCertificateConfiguration:
    """What a gRPC listener shows and trusts. Raises ConfigError naming the option at fault."""
    tls._refuse_choices_for_grpc()
    server_context(tls)  # gRPC does not say what is wrong with a certificate; `ssl` does.
    cert, key = tls._cert_and_key()
    roots = None
    if tls.client_ca_file:
        roots = _read("client_ca_file", tls.client_ca_file)
        if tls.include_system_ca_certs_pool:
            roots += b"\n" + _system_roots()
    return grpc.ssl_server_certificate_configuration([(key, cert)], roots)


def server_credentials(
    tls: ServerTLS, certificates: Callable[[], grpc.ServerCertificateConfiguration]
) -> grpc.ServerCredentials:
    """The credentials of a gRPC listener, which asks `certificates` for each connection (from a
    thread of its own; the same object again means that nothing has changed)."""
    known = certificates()
    lock = threading.Lock()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal known
        with lock:
            found = certificates()
            if found is known:
                return None
            known = found
            return found

    return grpc.dynamic_ssl_server_credentials(known, fetch, bool(tls.client_ca_file))


def channel_credentials(tls: ClientTLS) -> grpc.ChannelCredentials:
    """The credentials of a gRPC channel. Raises ConfigError naming the option at fault.

    `server_name_override` goes into the channel option `grpc.ssl_target_name_override`.
    """
    tls._refuse_choices_for_grpc()
    if tls.insecure_skip_verify:
        raise ConfigError(
            "tls: insecure_skip_verify is not possible with gRPC; name the server's authority in "
            "ca_file, and its name in server_name_override"
        )
    client_context(tls)
    roots = tls.ca()
    if not roots or tls.include_system_ca_certs_pool:
        roots += b"\n" + _system_roots()
    cert: bytes | None = None
    key: bytes | None = None
    if tls._has_cert:
        cert, key = tls._cert_and_key()
    return grpc.ssl_channel_credentials(roots.strip() or None, key, cert)
