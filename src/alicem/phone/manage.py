"""What an owner does with the phone in hand and the code known: another code, another suspension code, other phones, history, deletion."""

from __future__ import annotations

import json
from typing import Any

from alicem import jose
from alicem.credential import sdjwt
from alicem.phone.approve import show
from alicem.phone.code import is_trivial, pin_key
from alicem.phone.instruct import Device
from alicem.phone.state import open_vault, seal_vault
from alicem.reasons import Refused

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford
_SUSPENSION = b"alicem suspension v1"


class NoChange(Exception):
    """No change of code is under way."""


async def change_code(device: Device, code: str, new: str) -> None:
    """Both phases of another code. Raises `Refused` (`code_trivial`), `WrongCode`, `httpx.HTTPError`: then `finish_change` goes on."""
    vault = await open_identity(device, code)
    access = vault.get("access_key") or {}
    if is_trivial(new, access.get("birth_date", "")):
        raise Refused("code_trivial")
    salt = device.rng(32)
    device.save(next_salt=salt)
    challenge, pin = await device.challenge(), pin_key(new, salt)
    said = {"aud": device.phone.origin, "challenge": challenge}
    statement = jose.sign(pin, "alicem-new-pin+jwt", said, jwk=jose.public_jwk(pin.public_key()))
    today = pin_key(code, device.phone.salt)
    await device.order(today, "change", statement.encode(), challenge, pin_key=statement)
    await finish_change(device, new)


async def finish_change(device: Device, new: str) -> None:
    """The second phase: the new code takes effect. Raises `NoChange`, `WrongCode`, `Refused`."""
    await device.settle()
    if device.phone.next_salt is None:
        raise NoChange
    pin = pin_key(new, device.phone.next_salt)
    await device.order(pin, "adopt", b"adopt", await device.challenge())
    device.adopted()


def keep_code(device: Device) -> None:
    """Leave the code as it is; the next right one drops what the server keeps of the other."""
    device.save(next_salt=None)


async def new_suspension_code(device: Device, code: str) -> str:
    """Draw one, in the place of the earlier; the server learns its hash alone."""
    drawn = "".join(_ALPHABET[byte & 31] for byte in device.rng(20))
    await device.instruct(code, "suspension_code", _SUSPENSION + drawn.encode())
    return drawn


async def order_copy(device: Device, code: str) -> dict[str, Any]:
    """A credential offer for a wallet of another maker, five minutes good. Raises `Refused` (`wallets_not_admitted`), `WrongCode`."""
    nonce = jose.b64(device.rng(16))
    answer = await device.instruct(code, "copy", f"copy.{nonce}".encode())
    credential = open_vault(device.phone, answer.share, device.storage.load_vault())["credential"]
    names = {one.name for one in sdjwt.parse(credential).disclosures if one.name not in (None, "chip_key")}
    shown = show(device, credential, names, nonce=nonce, aud=device.phone.origin)
    told = await device.http.post("/phone/copy", json={"nonce": nonce, "presentation": shown})
    if told.status_code != 200:
        raise Refused(told.json()["outcome"])
    offer: dict[str, Any] = told.json()["credential_offer"]
    return offer


async def remove_others(device: Device, code: str) -> None:
    """Every other phone of the account is removed."""
    await device.instruct(code, "remove_others", b"remove_others")


async def suspend(device: Device, code: str) -> None:
    """Suspend the account, effective on the next request."""
    await device.instruct(code, "suspend", b"suspend")


async def delete(device: Device, code: str) -> str:
    """Erase the account on both sides; the signed receipt."""
    answer = await device.instruct(code, "close", b"close")
    device.storage.wipe()
    return str(answer.receipt)


async def record(device: Device, code: str) -> dict[str, Any]:
    """What the server holds of the account, row by row (approval.md, *The account's record*)."""
    answer = await device.instruct(code, "record", b"record")
    return dict(json.loads(answer.record))


async def open_identity(device: Device, code: str) -> dict[str, Any]:
    """The vault's content. Raises `Refused`, `WrongCode`, `PhoneHasForgotten`."""
    answer = await device.instruct(code, "open", b"")
    return open_vault(device.phone, answer.share, device.storage.load_vault())


async def history(device: Device, code: str, *, erase: bool = False) -> list[dict[str, Any]]:
    """The uses of this phone, newest last; with `erase` they are gone from here."""
    answer = await device.instruct(code, "open", b"")
    vault = open_vault(device.phone, answer.share, device.storage.load_vault())
    if erase:
        emptied = {**vault, "history": []}
        device.storage.save_vault(seal_vault(device.phone, answer.share, emptied, device.rng))
    uses: list[dict[str, Any]] = vault["history"]
    return uses
