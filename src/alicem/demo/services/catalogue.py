"""The sample services as data: what each asks, and at which level. Their words are in `locale/*/services.toml`, their look in `services.css`."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

PIVOT = ("given_name", "family_name", "gender", "birthdate", "birthplace", "birthcountry")
EVERYTHING = ("given_name", "family_name", "preferred_username", *PIVOT[2:], "email")
"""What a service behind the broker could ask, in the order in which a person reads it."""


@dataclass(frozen=True)
class SampleService:
    """`name`: also its folder of paths, its cookie, its texts and its look."""

    name: str
    client_id: str
    scope: str
    claims: tuple[str, ...]
    """What the scope means."""
    level: str = "eidas2"
    remembers: bool = False
    """Whether it shows a person their earlier visits."""

    @property
    def withheld(self) -> tuple[str, ...]:
        return tuple(claim for claim in EVERYTHING if claim not in self.claims)


SERVICES: Mapping[str, SampleService] = MappingProxyType(
    {
        one.name: one
        for one in (
            SampleService("demarches", "mes-demarches", "openid profile birth email", EVERYTHING),
            SampleService(
                "banque",
                "banque-exemple",
                "openid identite_pivot email",
                (*PIVOT, "email"),
                level="eidas3",
            ),
            SampleService("jeux", "jeux-exemple", "openid over_18", ("over_18",)),
            SampleService(
                "sante",
                "sante-exemple",
                "openid given_name family_name birthdate",
                ("given_name", "family_name", "birthdate"),
                remembers=True,
            ),
        )
    }
)


def expected(service: SampleService, identity: Mapping[str, str], today: date) -> dict[str, object]:
    """What `service` must learn of a person with this identity, and nothing else."""
    held: dict[str, object] = {"over_18": _over_18(identity["birthdate"], today), **identity}
    return {name: held[name] for name in service.claims if name in held}


def _over_18(birthdate: str, today: date) -> bool:
    """Of an unknown day or month the latest possible counts."""
    year, month, day = (int(part) for part in birthdate.split("-"))
    month = month or 12
    return (today.year - 18, today.month, today.day) >= (year, month, day or monthrange(year, month)[1])
