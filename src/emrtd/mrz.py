"""The machine-readable zone of TD1, TD2 and TD3 documents, read and written (ICAO 9303-3 4, 9303-4 to 6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emrtd.errors import MalformedMrz
from emrtd.names import compose_names, parse_names

DIGITS = frozenset("0123456789")
MRZ_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789<")
WEIGHTS = (7, 3, 1)
VALUES = {character: int(character, 36) for character in MRZ_ALPHABET - {"<"}} | {"<": 0}
Kind = Literal["TD1", "TD2", "TD3"]
KIND_OF_LENGTH: dict[int, Kind] = {90: "TD1", 72: "TD2", 88: "TD3"}
WIDTH = {"TD1": 30, "TD2": 36, "TD3": 44}
NUMBER_WIDTH = 9


@dataclass(frozen=True, repr=False)
class Mrz:
    """What the zone says, fillers removed. Dates stay YYMMDD: `emrtd.dates` gives them a century.

    ``primary`` and ``secondary`` are the transliterated names; ``sex`` is "F", "M" or "<" (not stated).
    ``optional`` is the optional data of TD2 and TD3 (personal number) and of line 1 of TD1; ``optional2``
    that of line 2 of TD1. ``names_full`` says that the name field is full: the name may be truncated.
    ``warnings`` names what was forgiven, which happens in DG1 only.
    """

    kind: Kind
    document_code: str
    issuer: str
    number: str
    nationality: str
    birth_date: str
    sex: str
    expiry_date: str
    primary: str
    secondary: str
    optional: str = ""
    optional2: str = ""
    names_full: bool = False
    warnings: tuple[str, ...] = field(default=(), compare=False)


def check_digit(text: str) -> str:
    """The check digit of 9303-3 4.9. Raises MalformedMrz for other characters than A-Z, 0-9, <."""
    try:
        total = sum(VALUES[character] * WEIGHTS[index % 3] for index, character in enumerate(text))
    except KeyError:
        raise MalformedMrz("characters outside A-Z, 0-9, <") from None
    return str(total % 10)


def parse(text: str) -> Mrz:
    """Read a zone given as lines or as one string. Raises MalformedMrz, which names the field."""
    mrz, wrong = read(text)
    if wrong:
        raise MalformedMrz(f"check digit of {wrong[0].replace('_', ' ')} is wrong", wrong[0])
    return mrz


def read(text: str) -> tuple[Mrz, tuple[str, ...]]:
    """Read a zone whose check digits may be wrong, as some States sign them (9303-3 7.3.5).

    Returns it with the fields whose check digit is wrong. Raises MalformedMrz for any other flaw.
    """
    if len(text) > 200:
        raise MalformedMrz("too long")
    zone = "".join(text.split())
    kind = KIND_OF_LENGTH.get(len(zone))
    if kind is None or not set(zone) <= MRZ_ALPHABET:
        raise MalformedMrz(f"{len(zone)} characters of which some may be outside A-Z, 0-9, <")
    width = WIDTH[kind]
    lines = [zone[start : start + width] for start in range(0, len(zone), width)]
    checks = _Checks()
    mrz = {"TD1": _parse_td1, "TD2": _parse_td2, "TD3": _parse_td3}[kind](lines, checks)
    _require(set(mrz.document_code) <= MRZ_ALPHABET - DIGITS and mrz.document_code != "", "document_code")
    _require(mrz.number != "", "number")
    _require(mrz.sex in ("F", "M", "<"), "sex")
    _require(set(mrz.birth_date) <= DIGITS | {"<"}, "birth_date")
    _require(set(mrz.expiry_date) <= DIGITS, "expiry_date")
    return mrz, tuple(checks.wrong)


def _require(holds: bool, field: str) -> None:
    if not holds:
        raise MalformedMrz(f"{field.replace('_', ' ')} is not well formed", field)


class _Checks:
    """Compares check digits while a zone is read and remembers the fields where they are wrong."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def __call__(self, text: str, digit: str, name: str, *, empty_filler: bool = False) -> str:
        """`text`, checked; empty optional data may have a filler in place of its check digit."""
        if digit != check_digit(text) and not (empty_filler and digit == "<" and not text.strip("<")):
            self.wrong.append(name)
        return text

    def number(self, field: str, digit: str, optional: str) -> tuple[str, str]:
        """Document number and what remains of the optional data.

        A filler as check digit says that the number goes on in the optional data, which then has its end, its
        check digit and a filler (9303-5 4.2.2 note j, 9303-6 4.2.2 note j).
        """
        if digit != "<":
            return self(field, digit, "number").rstrip("<"), optional.rstrip("<")
        end, _, rest = optional.partition("<")
        if len(end) < 2:
            raise MalformedMrz("the long document number has no end", "number")
        if end[-1] != check_digit(f"{field}<{end[:-1]}"):  # older Belgian cards count the filler between as well
            self(field + end[:-1], end[-1], "number")
        return field + end[:-1], rest.rstrip("<")


def _parse_td3(lines: list[str], checked: _Checks) -> Mrz:
    top, bottom = lines
    primary, secondary = parse_names(top[5:])
    number = checked(bottom[:9], bottom[9], "number").rstrip("<")
    birth = checked(bottom[13:19], bottom[19], "birth_date")
    expiry = checked(bottom[21:27], bottom[27], "expiry_date")
    optional = checked(bottom[28:42], bottom[42], "optional", empty_filler=True).rstrip("<")
    checked(bottom[:10] + bottom[13:20] + bottom[21:43], bottom[43], "composite")
    return Mrz(
        "TD3", top[:2].rstrip("<"), top[2:5].rstrip("<"), number, bottom[10:13].rstrip("<"), birth, bottom[20],
        expiry, primary, secondary, optional, names_full=top[-1] != "<",
    )  # fmt: skip


def _parse_td2(lines: list[str], checked: _Checks) -> Mrz:
    top, bottom = lines
    primary, secondary = parse_names(top[5:])
    number, optional = checked.number(bottom[:9], bottom[9], bottom[28:35])
    birth = checked(bottom[13:19], bottom[19], "birth_date")
    expiry = checked(bottom[21:27], bottom[27], "expiry_date")
    checked(bottom[:10] + bottom[13:20] + bottom[21:35], bottom[35], "composite")
    return Mrz(
        "TD2", top[:2].rstrip("<"), top[2:5].rstrip("<"), number, bottom[10:13].rstrip("<"), birth, bottom[20],
        expiry, primary, secondary, optional, names_full=top[-1] != "<",
    )  # fmt: skip


def _parse_td1(lines: list[str], checked: _Checks) -> Mrz:
    top, middle, bottom = lines
    primary, secondary = parse_names(bottom)
    number, optional = checked.number(top[5:14], top[14], top[15:30])
    birth = checked(middle[:6], middle[6], "birth_date")
    expiry = checked(middle[8:14], middle[14], "expiry_date")
    checked(top[5:30] + middle[:7] + middle[8:15] + middle[18:29], middle[29], "composite")
    return Mrz(
        "TD1", top[:2].rstrip("<"), top[2:5].rstrip("<"), number, middle[15:18].rstrip("<"), birth, middle[7],
        expiry, primary, secondary, optional, middle[18:29].rstrip("<"), bottom[-1] != "<",
    )  # fmt: skip


def compose(mrz: Mrz) -> tuple[str, ...]:
    """The lines of the zone, with check digits. Raises MalformedMrz if a value does not fit its field."""
    _check_widths(mrz)
    number, optional = _compose_number(mrz)
    birth = mrz.birth_date + check_digit(mrz.birth_date)
    expiry = mrz.expiry_date + check_digit(mrz.expiry_date)
    head = mrz.document_code.ljust(2, "<") + mrz.issuer.ljust(3, "<")
    nation = mrz.nationality.ljust(3, "<")
    if mrz.kind == "TD1":
        top = head + number + _fill(optional, 15, "optional")
        second = _fill(mrz.optional2, 11, "optional2")
        composite = check_digit(top[5:] + birth + expiry + second)
        middle = birth + mrz.sex + expiry + nation + second + composite
        return top, middle, compose_names(mrz.primary, mrz.secondary, 30)
    if mrz.kind == "TD2":
        tail = _fill(optional, 7, "optional")
    else:
        tail = _fill(optional, 14, "optional")
        tail += check_digit(tail) if optional else "<"
    composite = check_digit(number + birth + expiry + tail)
    bottom = number + nation + birth + mrz.sex + expiry + tail + composite
    return head + compose_names(mrz.primary, mrz.secondary, WIDTH[mrz.kind] - 5), bottom


def _check_widths(mrz: Mrz) -> None:
    _require(1 <= len(mrz.document_code) <= 2, "document_code")
    _require(1 <= len(mrz.issuer) <= 3, "issuer")
    _require(1 <= len(mrz.nationality) <= 3, "nationality")
    _require(mrz.number != "" and mrz.number[-1] != "<", "number")
    _require(mrz.sex in ("F", "M", "<"), "sex")
    _require(len(mrz.birth_date) == 6 and set(mrz.birth_date) <= DIGITS | {"<"}, "birth_date")
    _require(len(mrz.expiry_date) == 6 and set(mrz.expiry_date) <= DIGITS, "expiry_date")


def _compose_number(mrz: Mrz) -> tuple[str, str]:
    """Number field with its check digit, and the optional data with the end of a long number."""
    field, end = mrz.number[:NUMBER_WIDTH].ljust(NUMBER_WIDTH, "<"), mrz.number[NUMBER_WIDTH:]
    if not end:
        return field + check_digit(field), mrz.optional
    if mrz.kind == "TD3":
        raise MalformedMrz("a passport number has at most nine characters", "number")
    return field + "<", f"{end}{check_digit(mrz.number)}<{mrz.optional}"


def _fill(text: str, width: int, field: str) -> str:
    _require(len(text) <= width and set(text) <= MRZ_ALPHABET, field)
    return text.ljust(width, "<")
