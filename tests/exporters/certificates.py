"""Certificates for tests, made by the openssl that is installed."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_absent = shutil.which("openssl") is None and os.environ.get("CI", "").lower() not in {"1", "true"}
needs_openssl = pytest.mark.skipif(_absent, reason="openssl is not installed (apt install openssl)")


def make(folder: Path, name: str = "server", passphrase: str = "") -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and its key, and return where they are."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    line += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    line += ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
    subprocess.run(line, check=True, capture_output=True, timeout=60)
    return certificate, key


def trusting(certificate: Path) -> ssl.SSLContext:
    """Return the context of a client that trusts this certificate and no other."""
    return ssl.create_default_context(cafile=certificate)
