"""Certificates for tests, made on the spot by the openssl command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]


class Pair(NamedTuple):
    """The paths of a certificate and its key, PEM."""

    cert: str
    key: str


class Authority:
    """A certificate authority that issues for `localhost` and 127.0.0.1."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._key = str(folder / f"{name}.key")
        self.cert = str(folder / f"{name}.pem")
        self._openssl(
            "req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", self._key,
            "-out", self.cert,
        )  # fmt: skip

    def issue(self, name: str) -> Pair:
        """A certificate for this common name, good for both ends of a connection."""
        path = self._folder / f"{self._name}-{name}"
        pair = Pair(f"{path}.pem", f"{path}.key")
        extensions = path.with_suffix(".ext")
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        request = str(path.with_suffix(".csr"))
        self._openssl(
            "req", "-new", *_NEW_KEY[:-2], "-subj", f"/CN={name}", "-keyout", pair.key,
            "-out", request,
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self._key, "-days", "2",
            "-CAcreateserial", "-extfile", str(extensions), "-out", pair.cert,
        )  # fmt: skip
        return pair

    def _openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], check=True, capture_output=True)
