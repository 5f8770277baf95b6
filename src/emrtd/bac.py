"""Basic access control, terminal and chip side as pure functions (ICAO 9303-11 4.3).

The first flight is GET CHALLENGE, the second EXTERNAL AUTHENTICATE; `emrtd.reading` sends them. The keys
come from what is printed on the document, so a chip that answers was open in somebody's hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from emrtd.apdu import CommandApdu
from emrtd.channel import SecureChannel, Session
from emrtd.ciphers import decrypt, encrypt, pad, retail_mac, same
from emrtd.errors import ChannelBroken
from emrtd.keys import AUTHENTICATION, ENCRYPTION, derive_3des

NONCE = 8
KEY_MATERIAL = 16
CRYPTOGRAM = 2 * NONCE + KEY_MATERIAL  # S or R, 32 bytes; then 8 bytes of MAC
MESSAGE = CRYPTOGRAM + 8

GET_CHALLENGE = CommandApdu(0x00, 0x84, 0, 0, le=NONCE)


@dataclass(frozen=True)
class Challenge:
    """What the terminal keeps between its command and the chip's answer."""

    seed: bytes = field(repr=False)
    chip_nonce: bytes
    nonce: bytes
    key_material: bytes = field(repr=False)


def begin(seed: bytes, chip_nonce: bytes, random: bytes) -> tuple[CommandApdu, Challenge]:
    """EXTERNAL AUTHENTICATE for `chip_nonce`; `random` is 24 bytes: RND.IFD and K.IFD. Raises ChannelBroken."""
    if len(chip_nonce) != NONCE:
        raise ChannelBroken("a challenge has eight bytes")
    nonce, material = random[:NONCE], random[NONCE : NONCE + KEY_MATERIAL]
    data = _seal(seed, nonce + chip_nonce + material)
    command = CommandApdu(0x00, 0x82, 0, 0, data, MESSAGE)
    return command, Challenge(seed, chip_nonce, nonce, material)


def complete(challenge: Challenge, answer: bytes) -> Session:
    """Session from the chip's answer (40 bytes). Raises ChannelBroken if it does not know the keys."""
    plain = _open(challenge.seed, answer)
    chip_nonce, nonce, material = plain[:8], plain[8:16], plain[16:]
    if not same(nonce, challenge.nonce) or not same(chip_nonce, challenge.chip_nonce):
        raise ChannelBroken("the chip answered to another challenge")
    return _session(challenge.key_material, material, chip_nonce, nonce)


def answer_terminal(seed: bytes, chip_nonce: bytes, data: bytes, material: bytes) -> tuple[bytes, Session]:
    """The chip's side: check the terminal's 40 bytes; its answer and the session. Raises ChannelBroken."""
    plain = _open(seed, data)
    nonce, echoed, terminal_material = plain[:8], plain[8:16], plain[16:]
    if not same(echoed, chip_nonce):
        raise ChannelBroken("the terminal answered to another challenge")
    answer = _seal(seed, chip_nonce + nonce + material)
    return answer, _session(terminal_material, material, chip_nonce, nonce)


def _session(terminal: bytes, chip: bytes, chip_nonce: bytes, nonce: bytes) -> Session:
    seed = bytes(left ^ right for left, right in zip(terminal, chip, strict=True))
    channel = SecureChannel(derive_3des(seed, ENCRYPTION), derive_3des(seed, AUTHENTICATION))
    # 9303-11 9.8.6.3: the counter starts with the least significant halves of both nonces
    return Session(channel, int.from_bytes(chip_nonce[4:] + nonce[4:], "big"))


def _seal(seed: bytes, plain: bytes) -> bytes:
    ciphertext = encrypt(derive_3des(seed, ENCRYPTION), plain)
    return ciphertext + retail_mac(derive_3des(seed, AUTHENTICATION), pad(ciphertext))


def _open(seed: bytes, message: bytes) -> bytes:
    if len(message) != MESSAGE:
        raise ChannelBroken(f"{len(message)} bytes where {MESSAGE} belong")
    ciphertext, mac = message[:CRYPTOGRAM], message[CRYPTOGRAM:]
    if not same(mac, retail_mac(derive_3des(seed, AUTHENTICATION), pad(ciphertext))):
        raise ChannelBroken("the checksum of the authentication is wrong")
    return decrypt(derive_3des(seed, ENCRYPTION), ciphertext)
