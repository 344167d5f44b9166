"""TLS options: what they allow, what they refuse, and that both ends meet."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from genai_collector.errors import ConfigError
from genai_collector.transport.tls import (
    ClientTLS,
    ServerTLS,
    channel_credentials,
    client_context,
    server_certificates,
    server_context,
)
from tests.transport.certs import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ca")


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> str:
    """Both ends talk through memory; the TLS version they agreed on. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        end.do_handshake()
    # In TLS 1.3 the server's verdict on a client certificate comes after the handshake.
    ends[1].write(b"x")
    assert ends[0].read(1) == b"x"
    return str(ends[0].version())


@pytest.fixture(scope="module")
def server_tls(authority: Authority) -> dict[str, Any]:
    pair = authority.issue("server")
    return {"cert_file": pair.cert, "key_file": pair.key}


def test_both_ends_meet(authority: Authority, server_tls: dict[str, Any]) -> None:
    """A client that trusts the authority connects, with the newest version by default."""
    server = server_context(ServerTLS(**server_tls))
    client = client_context(ClientTLS(ca_file=authority.cert))
    assert _handshake(server, client) == "TLSv1.3"


def test_pem_instead_of_files(authority: Authority, server_tls: dict[str, Any]) -> None:
    """Certificates and keys may stand in the configuration itself, and are not printed."""
    tls = ServerTLS.model_validate(
        {
            "cert_pem": Path(server_tls["cert_file"]).read_text(),
            "key_pem": Path(server_tls["key_file"]).read_text(),
        },
        strict=False,
    )
    client = ClientTLS.model_validate({"ca_pem": Path(authority.cert).read_text()}, strict=False)
    assert _handshake(server_context(tls), client_context(client)) == "TLSv1.3"
    assert "PRIVATE" not in repr(tls)


@pytest.mark.parametrize(
    ("server", "client", "version"),
    [
        ({"max_version": "1.2"}, {}, "TLSv1.2"),
        ({}, {"max_version": "1.2"}, "TLSv1.2"),
        ({"min_version": "1.3"}, {}, "TLSv1.3"),
        ({"max_version": "1.2", "cipher_suites": ["ECDHE-ECDSA-AES256-GCM-SHA384"]}, {}, "TLSv1.2"),
    ],
)
def test_versions(
    authority: Authority,
    server_tls: dict[str, Any],
    server: dict[str, Any],
    client: dict[str, Any],
    version: str,
) -> None:
    """The versions named are the versions spoken."""
    one = server_context(ServerTLS(**server_tls, **server))
    other = client_context(ClientTLS(ca_file=authority.cert, **client))
    assert _handshake(one, other) == version


def test_too_old_a_client(authority: Authority, server_tls: dict[str, Any]) -> None:
    """min_version shuts older clients out."""
    server = server_context(ServerTLS(**server_tls, min_version="1.3"))
    client = client_context(ClientTLS(ca_file=authority.cert, max_version="1.2"))
    with pytest.raises(ssl.SSLError):
        _handshake(server, client)


def test_client_verifies(authority: Authority, server_tls: dict[str, Any]) -> None:
    """Another authority or another host name is refused, unless verification is switched off."""
    server = server_context(ServerTLS(**server_tls))
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, client_context(ClientTLS()))
    trusting = client_context(ClientTLS(ca_file=authority.cert))
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, trusting, "elsewhere.example")
    careless = client_context(ClientTLS(insecure_skip_verify=True))
    assert _handshake(server, careless, "elsewhere.example") == "TLSv1.3"


def test_mutual(authority: Authority, server_tls: dict[str, Any], tmp_path: Path) -> None:
    """With client_ca_file only a client with a certificate of that authority gets in."""
    server = server_context(ServerTLS(**server_tls, client_ca_file=authority.cert))
    known = authority.issue("client")
    stranger = Authority(tmp_path, "other").issue("client")
    pairs = {"known": known, "stranger": stranger}
    clients = {
        name: ClientTLS(ca_file=authority.cert, cert_file=pair.cert, key_file=pair.key)
        for name, pair in pairs.items()
    }
    assert _handshake(server, client_context(clients["known"])) == "TLSv1.3"
    for tls in (ClientTLS(ca_file=authority.cert), clients["stranger"]):
        with pytest.raises(ssl.SSLError):
            _handshake(server, client_context(tls))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs cert_file and key_file"),
        ({"cert_file": "c"}, "belong together"),
        ({"key_file": "k"}, "belong together"),
        ({"cert_file": "c", "key_file": "k", "cert_pem": "x"}, "either cert_file or cert_pem"),
        (
            {"cert_file": "c", "key_file": "k", "min_version": "1.3", "max_version": "1.2"},
            "older than",
        ),
        ({"cert_file": "c", "key_file": "k", "min_version": "1.0"}, "1.2"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    """Contradictions are found when the configuration is read."""
    with pytest.raises(ValidationError, match=said):
        ServerTLS.model_validate(options, strict=False)


def test_missing_and_wrong_files(
    authority: Authority, server_tls: dict[str, Any], tmp_path: Path
) -> None:
    """A file that is not there or is something else is named."""
    with pytest.raises(ConfigError, match=r"key_file: cannot read .*nowhere"):
        server_context(ServerTLS(cert_file=server_tls["cert_file"], key_file="nowhere"))
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    with pytest.raises(ConfigError, match="client_ca_file is no PEM"):
        server_context(ServerTLS(**server_tls, client_ca_file=str(junk)))
    other = authority.issue("other")
    with pytest.raises(ConfigError, match="no PEM certificate and its key"):
        server_context(ServerTLS(cert_file=server_tls["cert_file"], key_file=other.key))
    with pytest.raises(ConfigError, match="cipher_suites"):
        server_context(ServerTLS(**server_tls, cipher_suites=["NO-SUCH-CIPHER"]))


def test_grpc_says_what_it_cannot_do(authority: Authority, server_tls: dict[str, Any]) -> None:
    """Options that gRPC would ignore are refused for it."""
    with pytest.raises(ConfigError, match="cannot be chosen for gRPC"):
        server_certificates(ServerTLS(**server_tls, min_version="1.3"))
    with pytest.raises(ConfigError, match="insecure_skip_verify"):
        channel_credentials(ClientTLS(insecure_skip_verify=True))
    with pytest.raises(ConfigError, match="cannot read"):
        server_certificates(ServerTLS(cert_file="nowhere", key_file="nowhere"))
    assert channel_credentials(ClientTLS(ca_file=authority.cert)) is not None
