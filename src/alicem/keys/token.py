"""Keys in a PKCS#11 token, which never leave it: the ring names them, the token signs. Tried with SoftHSM; P-256 and HMAC-SHA-256 alone.

A token has its own backup: what is in it is in no backup of ours.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from alicem.keys.ring import KeysError

_KEPT = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.PRIVATE: True}


@dataclass(frozen=True)
class TokenSigner:
    """The private part of a key, in the token under its identifier."""

    token: Token = field(repr=False)
    kid: str
    public: ec.EllipticCurvePublicKey
    in_token: bool = True

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.public

    def sign(self, data: bytes, signature_algorithm: ec.ECDSA) -> bytes:
        """ECDSA as X.509 has it (DER). The ring has SHA-256 keys alone. Raises `KeysError`."""
        digest = hashlib.sha256(data).digest()  # not every token hashes before it signs
        raw = self.token.use(self.kid, pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Mechanism.ECDSA, digest)
        return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


class Token:
    """One session with a token, shared by threads."""

    def __init__(self, module: Path, label: str, pin: str) -> None:
        """Raises `KeysError` for a token that is not there or another PIN."""
        try:
            self._session = pkcs11.lib(str(module)).get_token(token_label=label).open(rw=True, user_pin=pin)
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            raise KeysError(f"the token {label} does not open: {type(error).__name__}") from error
        self._lock = threading.Lock()
        self._found: dict[tuple[Any, str], Any] = {}

    def signer(self, kid: str, public: ec.EllipticCurvePublicKey) -> TokenSigner:
        return TokenSigner(self, kid, public)

    def make_signer(self, kid: str) -> TokenSigner:
        """A new P-256 key that never leaves the token."""
        named = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        with self._lock:
            curve = self._session.create_domain_parameters(pkcs11.KeyType.EC, named, local=True)
            public, _private = curve.generate_keypair(store=True, label=kid, id=kid.encode(), private_template=_KEPT)
            found = load_der_public_key(encode_ec_public_key(public))
        if not isinstance(found, ec.EllipticCurvePublicKey):
            raise KeysError("the token made another kind of key")
        return TokenSigner(self, kid, found)

    def make_mac(self, kid: str) -> Callable[[bytes], bytes]:
        """A new HMAC key of 32 bytes that never leaves the token; what computes with it."""
        sign = pkcs11.MechanismFlag.SIGN
        with self._lock:
            kind = pkcs11.KeyType.GENERIC_SECRET
            self._session.generate_key(
                kind, 256, label=kid, id=kid.encode(), store=True, capabilities=sign, template=_KEPT
            )
        return self.mac_of(kid)

    def mac_of(self, kid: str) -> Callable[[bytes], bytes]:
        """HMAC-SHA-256 under a key of the token. Raises `KeysError` when it is called and the token does not answer."""
        return lambda data: self.use(kid, pkcs11.ObjectClass.SECRET_KEY, pkcs11.Mechanism.SHA256_HMAC, data)

    def use(self, kid: str, kind: Any, mechanism: Any, data: bytes) -> bytes:
        """What the key makes of `data`. Raises `KeysError` where the token has no such key, or is gone."""
        try:
            with self._lock:
                if (kind, kid) not in self._found:
                    self._found[kind, kid] = self._session.get_key(object_class=kind, label=kid)
                made: bytes = self._found[kind, kid].sign(data, mechanism=mechanism)
        except pkcs11.PKCS11Error as error:
            raise KeysError(f"the token does nothing with {kid}: {type(error).__name__}") from error
        return made

    def destroy(self, kid: str) -> None:
        """Every part of a key; none where there is none."""
        with self._lock:
            self._found.clear()
            for found in list(self._session.get_objects({pkcs11.Attribute.LABEL: kid})):
                found.destroy()
