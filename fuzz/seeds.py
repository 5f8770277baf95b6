"""Good inputs to begin from, made by the library's own composers: specimens, nothing of any person."""

from __future__ import annotations

import base64
import io
from datetime import UTC, date, datetime, timedelta
from functools import cache

from PIL import Image

from emrtd import tlv
from emrtd.dates import PartialDate
from emrtd.files import CARD_ACCESS, group_file
from emrtd.lds.dg2 import compose_dg2
from emrtd.lds.dg7 import compose_dg7
from emrtd.lds.dg11 import Dg11, compose_dg11
from emrtd.lds.dg12 import Dg12, compose_dg12
from emrtd.lds.dg13 import compose_dg13
from emrtd.lds.pictures import read_picture
from emrtd.lds.security_infos import SecurityInfo
from emrtd.pki.master_list import MASTER_LIST
from emrtd.pki.specimen import Authority, DocumentSigner, make_authority, make_revocation_list, make_signer
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, Description, personalise
from emrtd.softchip.signing import compose_card_security, compose_signed

MADE = datetime(2025, 3, 1, 12, tzinfo=UTC)
ZONES = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10",
    "I<UTOD231458907<<<<<<<<<<<<<<<7408122F1204159UTO<<<<<<<<<<<6ERIKSSON<<ANNA<MARIA<<<<<<<<<<",
    "I<UTOD23145890<7349<<<<<<<<<<<3407127M9507122UTO<<<<<<<<<<<2STEVENSON<<PETER<JOHN<<<<<<<<<",
    "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<D231458907UTO7408122F1204159<<<<<<<6",
)


@cache
def image(kind: str) -> bytes:
    """A small real picture: "jpeg", "jp2" or "j2k"."""
    buffer = io.BytesIO()
    picture = Image.new("RGB", (30, 40), (90, 120, 200))
    if kind == "jpeg":
        picture.save(buffer, "JPEG")
    else:
        picture.save(buffer, "JPEG2000", no_jp2=kind == "j2k")
    return buffer.getvalue()


@cache
def authority(kind: str = "secp256r1", *, pss: bool = False) -> Authority:
    return make_authority("UT", at=MADE - timedelta(days=30), rng=seeded(kind.encode()), kind=kind, pss=pss)


@cache
def signer(kind: str = "secp256r1") -> DocumentSigner:
    return make_signer(authority(), at=MADE - timedelta(days=1), rng=seeded(b"signer"), kind=kind)


@cache
def document() -> ChipDocument:
    """A passport that speaks PACE and BAC, with active authentication and DG11."""
    description = Description(
        surname="Lefèvre-Dœuil", given_names="Zoë Anaïs", number="24AA12345", birth_date=PartialDate(1990, 5, 17),
        sex="F", nationality="UTO", issuer="UTO", expires=date(2034, 2, 28), portrait=image("jp2"),
        portrait_size=(30, 40), birth_place=("Besançon",), personal_number="1990055512345",
    )  # fmt: skip
    return personalise(description, signer(), rng=seeded(b"chip"), at=MADE)


def groups(*numbers: int) -> tuple[bytes, ...]:
    found = (document().files.get(group_file(number).file_id) for number in numbers)
    return tuple(content for content in found if content)


def zones() -> tuple[bytes, ...]:
    return tuple(zone.encode() for zone in ZONES)


def portraits() -> tuple[bytes, ...]:
    jpeg, jp2, j2k = (image(kind) for kind in ("jpeg", "jp2", "j2k"))
    return (
        compose_dg2(jp2, width=30, height=40),
        compose_dg2(jpeg, j2k, width=30, height=40),
        compose_dg2(jpeg, width=30, height=40, standard="39794-5"),
    )


def details() -> tuple[bytes, ...]:
    picture = read_picture(image("j2k"), "DG12")
    person = Dg11(
        "Lefèvre", "Zoë", ("Durand Zoë",), "1990", PartialDate(1990, 5, 17), ("Besançon",), ("1 rue du Pont",),
        "33381000000", "notaire", "maître", "née en 1990", picture, ("24AA1", "24AA2"), "néant",
    )  # fmt: skip
    issued = Dg12(
        "Préfecture", PartialDate(2024, 2, None), ("Lefèvre Léo",), "voir page 7", "néant", picture, None,
        datetime(2024, 2, 28, 13, 36, 12), "N-4962",
    )  # fmt: skip
    return compose_dg11(person), compose_dg12(issued), *groups(11)


def other_files() -> tuple[bytes, ...]:
    infos = (SecurityInfo("0.4.0.127.0.7.2.2.4.6.2", b"\x02\x01\x02", b"\x02\x01\x0d"),)
    access = document().files.get(CARD_ACCESS.file_id)
    return (
        *groups(1, 14, 15),
        document().files[0x011E],
        compose_dg7(image("jpeg"), image("jp2")),
        compose_dg13(tlv.encode(0x04, b"abc")),
        compose_card_security(infos, signer(), at=MADE),
        *((access,) if access else ()),
    )


def security_objects() -> tuple[bytes, ...]:
    whole = document().files[0x011D]
    inner = tlv.expect(whole, 0x77).value
    indefinite = b"\x30\x80" + tlv.expect(inner, 0x30).value + b"\0\0"
    return whole, tlv.encode(0x77, indefinite)


def trust_files() -> tuple[bytes, ...]:
    """Certificates of several kinds, a revocation list, a master list, LDIF and PEM of them."""
    ders = [authority(kind).certificate for kind in ("secp256r1", "brainpoolP256r1", "rsa-2048")]
    ders += [authority("rsa-2048", pss=True).certificate, signer().certificate]
    listed = tlv.encode(0x30, bytes.fromhex("020100"), tlv.encode(0x31, *ders[:2]))
    revoked = make_revocation_list(authority(), [7, 8], at=MADE)
    return (
        *ders,
        revoked,
        compose_signed(MASTER_LIST, listed, signer(), at=MADE),
        _ldif(ders[0], revoked),
        _pem(ders[1]),
        ders[0] + ders[4],
    )


def _ldif(certificate: bytes, revoked: bytes) -> bytes:
    entries = (("userCertificate;binary", certificate), ("certificateRevocationList;binary", revoked))
    rows = []
    for index, (kind, der) in enumerate(entries):
        rows += [
            f"dn: cn={index},o=dsc,c=UT,dc=data,dc=pkdDownload".encode(),
            f"{kind}:: ".encode() + base64.b64encode(der),
            b"",
        ]
    return b"\n".join([b"version: 1", *rows])


def _pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
