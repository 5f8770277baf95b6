"""Is the chip the one its State made, or a copy? All ways in which chips prove it, held against what is signed.

ICAO 9303-11 6: active authentication, chip authentication, and PACE with chip authentication mapping. One proof is
enough, since none of them can be given without a private key that never leaves the chip; a proof that was given and
is wrong is never forgiven.
"""

from __future__ import annotations

from emrtd import active_authentication, chip_authentication, pace
from emrtd.chip_authentication import chip_keys
from emrtd.errors import ChipIsCopy, NoChipKey
from emrtd.files import DG14, DG15
from emrtd.lds.security_infos import SecurityInfos
from emrtd.passive import AuthenticDocument, RawDocument

NOTHING = SecurityInfos(())


def prove_chip(document: AuthenticDocument, raw: RawDocument) -> tuple[str, ...]:
    """By which protocols the chip that gave `raw` showed that it is no copy, as in ("CA-ECDH-AES-128", "AA-RSA").

    `raw` must be what `document` came from. Raises ChipIsCopy where a proof is wrong, or the signed keys promise one
    and none was given; NoChipKey where the State signed no key of the chip.
    """
    shown = tuple(_shown(document, raw))
    if shown:
        return shown
    if _promised(document):
        raise ChipIsCopy("the chip does not prove what its signed keys promise")
    raise NoChipKey("the State signed no key by which the chip could prove itself")


def _shown(document: AuthenticDocument, raw: RawDocument) -> list[str]:
    found = []
    if raw.chip_mapping is not None:
        found.append(chip_authentication.verify_mapping(raw.chip_mapping, _mapping_keys(document)))
    if raw.chip_authentication is not None:
        found.append(chip_authentication.verify(raw.chip_authentication, document.dg14 or NOTHING))
    if raw.response:
        found.append(active_authentication.verify(document, raw))
    return found


def _mapping_keys(document: AuthenticDocument) -> SecurityInfos:
    """The keys of EF.CardSecurity, which stand in DG14 as well where the chip has them there."""
    security, dg14 = document.card_security or NOTHING, document.dg14 or NOTHING
    return SecurityInfos(security.infos + dg14.infos)


def _promised(document: AuthenticDocument) -> bool:
    """A key that was signed and could have been used; one whose file the chip hides counts as well."""
    hidden = {DG14, DG15} & document.signed_groups - document.read_groups
    return bool(
        hidden or document.active_authentication_key or chip_keys(_mapping_keys(document)) or _maps(document.dg14)
    )


def _maps(dg14: SecurityInfos | None) -> bool:
    """Does the signed DG14 advertise a mapping that proves the chip? Its key may stand in EF.CardSecurity alone."""
    ways = map(pace.read_info, dg14.pace if dg14 else ())
    return any(way is not None and way.mapping == pace.CHIP_AUTHENTICATION for way in ways)
