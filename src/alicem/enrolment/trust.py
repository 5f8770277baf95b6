"""The States whose signatures are trusted: certificates and revocation lists of a folder."""

from __future__ import annotations

from pathlib import Path

from emrtd.pki.trust import TrustStore

CERTIFICATES, REVOCATIONS = (".cer", ".crt", ".der"), (".crl",)


def load_trust(folder: Path) -> TrustStore:
    """Every DER certificate and CRL of `folder`, by ending of its name. Raises `OSError`, `emrtd.errors.Malformed`."""
    files = sorted(folder.iterdir())
    return TrustStore.of(
        [file.read_bytes() for file in files if file.suffix in CERTIFICATES],
        [file.read_bytes() for file in files if file.suffix in REVOCATIONS],
    )
