"""The protocols of a specimen chip: from their names to keys, security infos and EF.CardSecurity (ICAO 9303-11 9.2).

A way of PACE is written as in "ECDH-GM-AES-128/13": key agreement, mapping, cipher, standardised parameter identifier;
one of chip authentication as in "ECDH-AES-128/13", or with the name of a curve behind the stroke.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from asn1crypto import core

from emrtd.chip_authentication import KINDS
from emrtd.errors import Misuse, UnsupportedAlgorithm
from emrtd.groups import CurveGroup, Group, random_scalar, standardised
from emrtd.key_agreement import compose_public, compose_standardised
from emrtd.lds.security_infos import CHIP_AUTHENTICATION, PACE, PUBLIC_KEY, SecurityInfo
from emrtd.pace import CHIP_AUTHENTICATION as CHIP_MAPPING
from emrtd.pace import MAPPINGS, PaceInfo, read_info
from emrtd.pki import curves
from emrtd.rng import Rng
from emrtd.softchip.document import ChipSecret
from emrtd.suites import SUITES

OWN_KEY_IDS = 100  # above the standardised parameter identifiers, which name the keys of the mapping


@dataclass(frozen=True)
class Protocols:
    """``shown`` goes into EF.CardAccess, all of ``infos`` into DG14; ``security`` into EF.CardSecurity, () without."""

    shown: tuple[SecurityInfo, ...] = ()
    infos: tuple[SecurityInfo, ...] = ()
    security: tuple[SecurityInfo, ...] = ()
    secrets: tuple[ChipSecret, ...] = field(default=(), repr=False)


def make_protocols(
    pace: Iterable[str], chip_authentication: Iterable[str], rng: Rng, *, told: bool = True
) -> Protocols:
    """New keys for the protocols named. Without `told` DG14 has the keys but not what to do with them, as in France.

    Raises Misuse for a name that means nothing.
    """
    ways = tuple(_pace(name) for name in pace)
    shown = tuple(_pace_info(way) for way in ways)
    mapped = {way.group.name: way for way in ways if way.mapping == CHIP_MAPPING}
    agreements = tuple(_agreement(name) for name in chip_authentication)
    groups = {group.name: group for _, group in agreements} | {name: way.group for name, way in mapped.items()}
    secrets = {}
    for index, (name, group) in enumerate(groups.items(), 1):
        alone = len(groups) == 1 and not mapped
        key_id = None if alone else mapped[name].parameter if name in mapped else OWN_KEY_IDS + index
        secrets[name] = _secret(group, key_id, rng)
    infos = [_agreement_info(protocol, secrets[group.name]) for protocol, group in agreements] if told else []
    keys = tuple(_key_info(groups[name], secret, secret.public) for name, secret in secrets.items())
    security = tuple(_mapping_key(groups[name], secrets[name]) for name in mapped)
    return Protocols(shown, (*shown, *infos, *keys), (*shown, *security) if mapped else (), tuple(secrets.values()))


def _pace(name: str) -> PaceInfo:
    way, _, parameter = name.partition("/")
    agreement, mapping, cipher = (*way.split("-", 2), "", "")[:3]
    arcs = [arc for arc, kind in MAPPINGS.items() if kind == (agreement, mapping)]
    ciphers = [arc for arc, suite in SUITES.items() if suite.name == cipher]
    if arcs and ciphers and parameter.isdecimal():
        optional = core.Integer(int(parameter)).dump()
        info = read_info(SecurityInfo(f"{PACE}.{arcs[0]}.{ciphers[0]}", core.Integer(2).dump(), optional))
        if info is not None:
            return info
    raise Misuse(f"no way of PACE is called {name}")


def _pace_info(way: PaceInfo) -> SecurityInfo:
    """PACEInfo, version 2 (9303-11 9.2.1)."""
    return SecurityInfo(way.protocol, core.Integer(2).dump(), core.Integer(way.parameter).dump())


def _agreement(name: str) -> tuple[str, Group]:
    """The dotted protocol and the group of a chip authentication."""
    way, _, parameter = name.partition("/")
    agreement, _, cipher = way.partition("-")
    ciphers = [arc for arc, suite in SUITES.items() if suite.name == cipher]
    try:
        group = standardised(int(parameter)) if parameter.isdecimal() else CurveGroup(curves.by_name(parameter))
    except UnsupportedAlgorithm as error:
        raise Misuse(f"no chip authentication is called {name}") from error
    if not ciphers or group.agreement != agreement:
        raise Misuse(f"no chip authentication is called {name}")
    return f"{CHIP_AUTHENTICATION}.{KINDS[agreement]}.{ciphers[0]}", group


def _secret(group: Group, key_id: int | None, rng: Rng) -> ChipSecret:
    private = random_scalar(group, rng)
    return ChipSecret(key_id, compose_public(group, group.multiple(private, group.generator)), private)


def _agreement_info(protocol: str, secret: ChipSecret) -> SecurityInfo:
    """ChipAuthenticationInfo, version 1 (9303-11 9.2.5)."""
    return SecurityInfo(protocol, core.Integer(1).dump(), _key_id(secret))


def _key_info(group: Group, secret: ChipSecret, public: bytes) -> SecurityInfo:
    """ChipAuthenticationPublicKeyInfo (9303-11 9.2.6)."""
    return SecurityInfo(f"{PUBLIC_KEY}.{KINDS[group.agreement]}", public, _key_id(secret))


def _mapping_key(group: Group, secret: ChipSecret) -> SecurityInfo:
    """The key of the mapping as EF.CardSecurity has it: its parameters by number, as in 9303-11 I.1."""
    element = group.multiple(secret.private, group.generator)
    return _key_info(group, secret, compose_standardised(group, element))


def _key_id(secret: ChipSecret) -> bytes:
    return b"" if secret.key_id is None else core.Integer(secret.key_id).dump()
