"""The specimen State: it signs the invented people's documents, and nothing trusts it that was not told to.

A `SpecimenState` is saved in a folder; `Documents` makes the people's software chips.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from alicem.demo import portraits
from alicem.demo.personas import Persona
from alicem.settings import SettingsError
from emrtd.errors import Malformed
from emrtd.pki.specimen import DocumentSigner, make_authority, make_revocation_list, make_signer
from emrtd.softchip import ChipDocument, personalise
from emrtd.softchip.faults import cloned, forged

Random = Callable[[int], bytes]
Clock = Callable[[], datetime]

WRONG: tuple[str, ...] = ("face", "document", "code", "chip")
"""What the demonstration can do wrong: an impostor, a forged document, a wrong code, a cloned chip."""


@dataclass(frozen=True)
class SpecimenState:
    """Its authority's certificate, its revocation list, its document signer. The authority's key signed both and is gone."""

    authority: bytes
    revocations: bytes
    signer: DocumentSigner

    @classmethod
    def make(cls, at: datetime, rng: Random) -> SpecimenState:
        """A new State, from this moment on."""
        authority = make_authority("FR", at=at, rng=rng)
        signer = make_signer(authority, at=at, rng=rng, document_types=("P", "IR"))
        return cls(authority.certificate, make_revocation_list(authority, (), at=at), signer)

    def save(self, folder: Path) -> None:
        """What `load` reads."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.save_trust(folder)
        (folder / "signer.certificate").write_bytes(self.signer.certificate)
        private = self.signer.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        _write_private(folder / "signer.key", private)

    def save_trust(self, folder: Path) -> None:
        """What a verifier needs: the folder its settings name."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "specimen-csca.cer").write_bytes(self.authority)
        (folder / "specimen-csca.crl").write_bytes(self.revocations)

    @classmethod
    def load(cls, folder: Path) -> SpecimenState:
        """Raises `SettingsError` where there is none."""
        try:
            key = load_der_private_key((folder / "signer.key").read_bytes(), None)
            certificate = (folder / "signer.certificate").read_bytes()
            authority = (folder / "specimen-csca.cer").read_bytes()
            revocations = (folder / "specimen-csca.crl").read_bytes()
        except (OSError, ValueError) as error:
            raise SettingsError(f"{folder}: no specimen State: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise SettingsError(f"{folder}/signer.key: neither RSA nor an elliptic curve")
        return cls(authority, revocations, DocumentSigner(certificate, key))

    def personalise(
        self, persona: Persona, *, at: datetime, rng: Random, portrait: bytes | None = None
    ) -> ChipDocument:
        """A new genuine document of this person; with `portrait` (JPEG 2000, 240 × 320) in the place of their own."""
        description = persona.description(portraits.portrait(persona.face) if portrait is None else portrait)
        chip = persona.chip
        return personalise(description, self.signer, rng=rng, at=at, profile=chip.profile, digest=chip.digest)


@dataclass(frozen=True)
class Documents:
    """Everyone's documents, in a folder: made at first use, the same ever after, as a person keeps theirs."""

    state: SpecimenState
    folder: Path
    clock: Clock
    rng: Random

    def of(self, persona: Persona, wrong: str | None = None) -> ChipDocument:
        """The person's document; with `wrong="document"` one whose name was changed after signing, with `"chip"` a copy on another chip."""
        return self.spoiled(self._genuine(persona), wrong)

    def with_portrait(self, persona: Persona, portrait: bytes) -> ChipDocument:
        """Another document of this person, with this portrait; it is not kept here."""
        return self.state.personalise(persona, at=self.clock(), rng=self.rng, portrait=portrait)

    def spoiled(self, genuine: ChipDocument, wrong: str | None) -> ChipDocument:
        """As `of` says; the genuine one where nothing of the chip is wrong."""
        if wrong == "document":
            return forged(genuine, surname="CONTREFACON")
        return cloned(genuine, self.rng) if wrong == "chip" else genuine

    def _genuine(self, persona: Persona) -> ChipDocument:
        file = self.folder / f"{persona.name}.json"
        try:
            return ChipDocument.from_bytes(file.read_bytes())
        except FileNotFoundError:
            made = self.state.personalise(persona, at=self.clock(), rng=self.rng)
        except Malformed as error:
            raise SettingsError(f"{file}: {error}") from error
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private(file, made.to_bytes())
        return made


def _write_private(path: Path, content: bytes) -> None:
    """For our eyes alone, and whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    temporary.replace(path)
