"""From a plain description of a person and a document to the content of a chip, signed by a specimen State."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from asn1crypto import core
from cryptography.hazmat.primitives import serialization

from emrtd.dates import PartialDate
from emrtd.errors import Misuse
from emrtd.files import CARD_ACCESS, CARD_SECURITY, COM, SOD, group_file
from emrtd.keys import Can, MrzKey
from emrtd.lds.com import compose_com
from emrtd.lds.dg1 import compose_dg1
from emrtd.lds.dg2 import Standard, compose_dg2
from emrtd.lds.dg7 import compose_dg7
from emrtd.lds.dg11 import Dg11, compose_dg11
from emrtd.lds.dg12 import Dg12, compose_dg12
from emrtd.lds.dg13 import compose_dg13
from emrtd.lds.dg15 import compose_dg15
from emrtd.lds.security_infos import (
    ACTIVE_AUTHENTICATION,
    PLAIN_ECDSA_HASHES,
    SecurityInfo,
    compose_dg14,
    compose_security_infos,
)
from emrtd.mrz import Kind, Mrz
from emrtd.names import transliterate
from emrtd.pki.specimen import DocumentSigner, make_key
from emrtd.rng import Rng
from emrtd.softchip.document import ChipDocument, ChipProfile
from emrtd.softchip.protocols import make_protocols
from emrtd.softchip.quirks import FILES
from emrtd.softchip.signing import compose_card_security, compose_sod


@dataclass(frozen=True)
class Description:
    """One specimen document. Names as they are really written, with accents; ``given_names`` "" for a
    single name. ``sex`` is "F", "M" or "<". ``portrait`` is JPEG or JPEG 2000, ``portrait_size`` its width
    and height. ``active_authentication`` is "none", "rsa-2048" or a curve. ``details`` puts DG11 on the chip.
    ``pace`` and ``chip_authentication`` name protocols as `emrtd.softchip.protocols` does; without
    ``chip_authentication_told`` DG14 has the key alone. ``can`` is the card access number printed on such a document,
    "" for none. ``signature`` is an image of the holder's own for DG7, ``issued`` puts DG12 on the chip, ``national``
    is the content of DG13; b"" and None for none. ``quirks`` are names of `emrtd.softchip.quirks.FILES`.
    """

    surname: str
    given_names: str
    number: str
    birth_date: PartialDate
    sex: str
    nationality: str
    issuer: str
    expires: date
    portrait: bytes = field(repr=False)
    portrait_size: tuple[int, int] = (0, 0)
    kind: Kind = "TD3"
    code: str = "P"
    optional: str = ""
    details: bool = True
    other_names: tuple[str, ...] = ()
    personal_number: str = ""
    birth_place: tuple[str, ...] = ()
    address: tuple[str, ...] = ()
    active_authentication: str = "secp256r1"
    pace: tuple[str, ...] = ()
    chip_authentication: tuple[str, ...] = ()
    chip_authentication_told: bool = True
    can: str = ""
    portrait_standard: Standard = "19794-5"
    signature: bytes = field(default=b"", repr=False)
    issued: date | None = None
    issuing_authority: str = ""
    national: bytes = field(default=b"", repr=False)
    quirks: tuple[str, ...] = ()

    @property
    def mrz(self) -> Mrz:
        """Its machine-readable zone. Raises MalformedMrz for names outside the Latin script."""
        return Mrz(
            kind=self.kind,
            document_code=self.code,
            issuer=self.issuer,
            number=self.number,
            nationality=self.nationality,
            birth_date=zone_date(self.birth_date),
            sex=self.sex,
            expiry_date=f"{self.expires:%y%m%d}",
            primary=transliterate(self.surname),
            secondary=transliterate(self.given_names),
            optional=self.optional,
        )


def zone_date(birth_date: PartialDate) -> str:
    """YYMMDD, fillers for unknown parts (9303-3 4.7)."""
    year = None if birth_date.year is None else birth_date.year % 100
    return "".join("<<" if part is None else f"{part:02d}" for part in (year, birth_date.month, birth_date.day))


def personalise(
    description: Description,
    signer: DocumentSigner,
    *,
    rng: Rng,
    at: datetime,
    profile: ChipProfile | None = None,
    digest: str = "sha256",
) -> ChipDocument:
    """The chip content, with security object signed at `at`. Raises MalformedMrz, MalformedFile, Misuse."""
    mrz = description.mrz
    protocols = make_protocols(
        description.pace, description.chip_authentication, rng, told=description.chip_authentication_told
    )
    private_key, key_groups = _authentication(description.active_authentication, protocols.infos, rng, digest)
    groups = {
        1: compose_dg1(mrz),
        2: _portrait(description),
        **({11: compose_dg11(_details(description))} if description.details else {}),
        **_rarer_groups(description),
        **key_groups,
    }
    for name in description.quirks:
        if name not in FILES:
            raise Misuse(f"no quirk is called {name}")
        groups = FILES[name](groups)
    files = {group_file(number).file_id: content for number, content in groups.items()}
    files[COM.file_id] = compose_com(tuple(sorted(groups)))
    if protocols.shown:
        files[CARD_ACCESS.file_id] = compose_security_infos(protocols.shown)
    if protocols.security:
        files[CARD_SECURITY.file_id] = compose_card_security(protocols.security, signer, at=at)
    files[SOD.file_id] = compose_sod(groups, signer, digest=digest, at=at)
    return ChipDocument(
        files=files,
        access=MrzKey(mrz.number, mrz.birth_date, mrz.expiry_date),
        private_key=private_key,
        hash=digest,
        profile=profile or ChipProfile(),
        can=Can(description.can) if description.can else None,
        chip_keys=protocols.secrets,
    )


def _portrait(description: Description) -> bytes:
    width, height = description.portrait_size
    standard = description.portrait_standard
    return compose_dg2(description.portrait, width=width, height=height, sex=description.sex, standard=standard)


def _rarer_groups(description: Description) -> dict[int, bytes]:
    """DG7, DG12 and DG13, where the description has something for them."""
    issued = description.issued
    day = PartialDate(issued.year, issued.month, issued.day) if issued else None
    return {
        **({7: compose_dg7(description.signature)} if description.signature else {}),
        **({12: compose_dg12(Dg12(description.issuing_authority, day))} if issued else {}),
        **({13: compose_dg13(description.national)} if description.national else {}),
    }


def _details(description: Description) -> Dg11:
    return Dg11(
        primary=description.surname,
        secondary=description.given_names,
        other_names=description.other_names,
        personal_number=description.personal_number,
        birth_date=description.birth_date,
        birth_place=description.birth_place,
        address=description.address,
    )


def _authentication(
    kind: str, protocols: tuple[SecurityInfo, ...], rng: Rng, digest: str
) -> tuple[bytes, dict[int, bytes]]:
    """A new active authentication key with DG15, and the DG14 that names its hash and the other protocols."""
    infos, groups, private = protocols, {}, b""
    if kind != "none":
        key = make_key(kind, rng)
        der, plain = serialization.Encoding.DER, serialization.NoEncryption()
        private = key.private_bytes(der, serialization.PrivateFormat.PKCS8, plain)
        public = key.public_key().public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo)
        groups[15] = compose_dg15(public)
    if kind != "none" and not kind.startswith("rsa-"):
        infos = (*protocols, _authentication_info(digest))
    return private, groups | ({14: compose_dg14(infos)} if infos else {})


def _authentication_info(digest: str) -> SecurityInfo:
    """ActiveAuthenticationInfo, version 1 (9303-11 9.2.5)."""
    for oid, name in PLAIN_ECDSA_HASHES.items():
        if name == digest:
            return SecurityInfo(ACTIVE_AUTHENTICATION, core.Integer(1).dump(), core.ObjectIdentifier(oid).dump())
    raise Misuse(f"no ECDSA active authentication with {digest}")
