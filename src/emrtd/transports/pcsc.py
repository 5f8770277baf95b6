"""A document on a PC/SC reader of this machine, through pyscard (the extra ``[pcsc]``).

`Card` is a `Transmit` that raises TagLost when the document leaves the reader, and takes it again with
`connect`. pyscard is imported when a reader is first asked for, so that all else works without it.
"""

from __future__ import annotations

import importlib
import time
from types import ModuleType, TracebackType
from typing import Any, Self

from emrtd.apdu import SHORT_LE_MAX
from emrtd.errors import DeviceFailure, TagLost

SLICE_MS = 400  # a wait for a document is cut so that an interrupt is heard
FEATURE_REQUEST, FEATURE_GET_TLV_PROPERTIES, MAX_APDU_DATA_SIZE = 3400, 0x12, 0x0A


def readers() -> tuple[str, ...]:
    """Names of the readers present. Raises DeviceFailure without pyscard or PC/SC service."""
    scard = _scard()
    context = _context(scard)
    try:
        return _readers(scard, context)
    finally:
        scard.SCardReleaseContext(context)


def named(names: tuple[str, ...], wanted: str = "") -> tuple[str, ...]:
    """The readers meant by `wanted`: the one of that name, else every name that has it in it; "" means all.

    Raises DeviceFailure, which tells the names there are.
    """
    if not names:
        raise DeviceFailure("no reader is connected")
    found = (wanted,) if wanted in names else tuple(name for name in names if wanted.casefold() in name.casefold())
    if not found:
        raise DeviceFailure(f"no reader is called {wanted!r}; there is {', '.join(names)}")
    return found


class Card:
    """The document on a reader, for this program alone; a `Transmit` once `connect` has found one.

    ``reader`` is the name of the reader it lies on, "" before.
    """

    def __init__(self, reader: str = "", *, wait_seconds: float = 30) -> None:
        """Raises DeviceFailure. `reader` as `named` takes it; `wait_seconds` for the document to be laid."""
        self._scard = _scard()
        self._context = _context(self._scard)
        self._card: Any = None
        self._protocol: Any = None
        self._wait_seconds = wait_seconds
        self.reader = ""
        try:
            self._candidates = named(_readers(self._scard, self._context), reader)
        except DeviceFailure:
            self._scard.SCardReleaseContext(self._context)
            raise

    def connect(self) -> bytes:
        """Wait for a document, reset it and give its ATR. Raises DeviceFailure when none is laid in time."""
        scard = self._scard
        self._let_go()
        deadline = time.monotonic() + self._wait_seconds
        while True:
            self.reader = self._wait_for_document(deadline)
            protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
            code, card, protocol = scard.SCardConnect(
                self._context, self.reader, scard.SCARD_SHARE_EXCLUSIVE, protocols
            )
            if code == scard.SCARD_S_SUCCESS:
                self._card, self._protocol = card, protocol
                return self._atr()
            if not self._is_absence(code) or time.monotonic() >= deadline:
                raise _failure(scard, code)
            time.sleep(SLICE_MS / 1000)  # laid, and not yet awake

    def __call__(self, apdu: bytes) -> bytes:
        """One command and its answer. Raises TagLost, DeviceFailure."""
        scard = self._scard
        if self._card is None:
            raise TagLost
        pci = scard.SCARD_PCI_T1 if self._protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
        code, answer = scard.SCardTransmit(self._card, pci, list(apdu))
        if code != scard.SCARD_S_SUCCESS:
            raise TagLost if self._is_loss(code) else _failure(scard, code)
        if len(answer) < 2:  # drivers were met that say nothing, with success, for a document that is gone
            raise TagLost
        return bytes(byte & 0xFF for byte in answer)

    @property
    def extended(self) -> bool:
        """False for a reader that says it carries short commands only (PC/SC part 10, 2.6.14)."""
        sizes = [int.from_bytes(value, "little") for tag, value in self._properties() if tag == MAX_APDU_DATA_SIZE]
        return not sizes or sizes[0] > SHORT_LE_MAX

    def _properties(self) -> list[tuple[int, bytes]]:
        scard = self._scard
        features = dict(_tlv(self._control(scard.SCARD_CTL_CODE(FEATURE_REQUEST))))
        code = features.get(FEATURE_GET_TLV_PROPERTIES)
        return _tlv(self._control(int.from_bytes(code, "big"))) if code else []

    def _control(self, what: int) -> bytes:
        """The reader's answer to a control code, b"" from one that does not know it."""
        code, answer = self._scard.SCardControl(self._card, what, [])
        return bytes(byte & 0xFF for byte in answer) if code == self._scard.SCARD_S_SUCCESS else b""

    def close(self) -> None:
        """Reset the document, so that nobody finds its channel open, and leave the reader."""
        self._let_go()
        self._scard.SCardReleaseContext(self._context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _let_go(self) -> None:
        if self._card is not None:
            self._scard.SCardDisconnect(self._card, self._scard.SCARD_RESET_CARD)
            self._card = None

    def _wait_for_document(self, deadline: float) -> str:
        """The reader on which a document lies. Raises DeviceFailure for none in time, or several at once."""
        scard = self._scard
        states = [(name, scard.SCARD_STATE_UNAWARE) for name in self._candidates]
        while True:
            code, found = scard.SCardGetStatusChange(self._context, SLICE_MS, states)
            if code not in (scard.SCARD_S_SUCCESS, scard.SCARD_E_TIMEOUT):
                raise _failure(scard, code)
            states = [(name, state & ~scard.SCARD_STATE_CHANGED) for name, state, _ in found]
            laid = [name for name, state in states if _is_laid(scard, state)]
            if len(laid) > 1:
                raise DeviceFailure(f"a document lies on each of {', '.join(laid)}: say which")
            if laid:
                return laid[0]
            if time.monotonic() >= deadline:
                raise DeviceFailure(f"no document was laid on {' or '.join(self._candidates)}")

    def _atr(self) -> bytes:
        return bytes(self._scard.SCardStatus(self._card)[4])

    def _is_absence(self, code: int) -> bool:
        """True for an error that says: no document, or another session with it."""
        scard = self._scard
        return code in (
            scard.SCARD_W_REMOVED_CARD,
            scard.SCARD_W_RESET_CARD,
            scard.SCARD_W_UNPOWERED_CARD,
            scard.SCARD_W_UNRESPONSIVE_CARD,
            scard.SCARD_E_NO_SMARTCARD,
        )

    def _is_loss(self, code: int) -> bool:
        return self._is_absence(code) or code in (self._scard.SCARD_E_NOT_TRANSACTED, self._scard.SCARD_F_COMM_ERROR)


def _scard() -> ModuleType:
    try:
        return importlib.import_module("smartcard.scard")
    except ImportError as error:
        raise DeviceFailure("PC/SC readers need pyscard: docs/chip.md says how to get it") from error


def _context(scard: ModuleType) -> Any:
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if code != scard.SCARD_S_SUCCESS:
        raise _failure(scard, code)
    return context


def _readers(scard: ModuleType, context: Any) -> tuple[str, ...]:
    code, names = scard.SCardListReaders(context, [])
    if code == scard.SCARD_E_NO_READERS_AVAILABLE:
        return ()
    if code != scard.SCARD_S_SUCCESS:
        raise _failure(scard, code)
    return tuple(names)


def _failure(scard: ModuleType, code: int) -> DeviceFailure:
    if code in (scard.SCARD_E_NO_SERVICE, scard.SCARD_E_SERVICE_STOPPED):
        return DeviceFailure("the PC/SC service does not run: start pcscd")
    if code == scard.SCARD_E_SHARING_VIOLATION:
        return DeviceFailure("another program holds the document")
    return DeviceFailure(str(scard.SCardGetErrorMessage(code)).strip())


def _is_laid(scard: ModuleType, state: int) -> bool:
    return bool(state & scard.SCARD_STATE_PRESENT and not state & scard.SCARD_STATE_MUTE)


def _tlv(content: bytes) -> list[tuple[int, bytes]]:
    """Tag and length of one byte each, as readers list what they can (PC/SC part 10, 2.2)."""
    found, start = [], 0
    while start + 2 <= len(content):
        end = start + 2 + content[start + 1]
        found.append((content[start], content[start + 2 : end]))
        start = end
    return found
