"""What each key is for, how long it is used, and how long what it made is looked at. `docs/operate.md`, *Keys*, tells the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

OVERLAP = timedelta(hours=1)
"""Between a new key's publication and its first use: FranceConnect keeps `/jwks` for 600 s, and every worker must have read the ring."""
YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Purpose:
    """`life`: from creation to `use_by`, None for a key that never turns. `looked_at`: how long after its last use what it made still
    counts, None for as long as the database says. `certified`: strangers and phones know it by a certificate of the authority.
    `ends`: past its day nothing is made with it; others go on and are told of."""

    signs: bool
    life: timedelta | None
    looked_at: timedelta | None
    certified: bool = False
    ends: bool = False


PURPOSES = MappingProxyType(
    {
        "authority": Purpose(True, 15 * YEAR, None),
        "signing": Purpose(True, YEAR, timedelta(hours=1), ends=True),
        "issuer": Purpose(True, YEAR, 5 * YEAR + timedelta(days=1), certified=True, ends=True),
        "status": Purpose(True, YEAR, timedelta(hours=1), certified=True, ends=True),
        "verifier": Purpose(True, YEAR, timedelta(hours=1), certified=True, ends=True),
        "journal": Purpose(True, YEAR, timedelta()),
        "at_rest": Purpose(False, YEAR, None),
        "subject": Purpose(False, None, None),
        "fingerprint": Purpose(False, 5 * YEAR, None),
        "transaction": Purpose(False, YEAR, timedelta(hours=1)),
    }
)
"""ES256: certificates over the others; id tokens; credentials and receipts; status lists; request objects; journal seals. Then 32 random bytes
each: shares and PIN keys in the database; pairwise `sub`; document fingerprints; challenges and sign-in references."""
SIGNING = tuple(name for name, purpose in PURPOSES.items() if purpose.signs)
SECRETS = tuple(name for name, purpose in PURPOSES.items() if not purpose.signs)
CERTIFIED = tuple(name for name, purpose in PURPOSES.items() if purpose.certified)
