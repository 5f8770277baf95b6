"""reasons.toml against the code, both ways: every refusal that is raised is a row, every row is raised somewhere."""

import re
from pathlib import Path

from alicem.face import Reason as FaceReason
from alicem.reasons import load

SOURCE = Path(__file__).parent.parent / "src" / "alicem"
WORDS = re.compile(r'"([a-z][a-z_]+)"')


def written() -> str:
    files = [*SOURCE.rglob("*.py"), *(SOURCE / "web" / "static").glob("*.js")]
    return "\n".join(file.read_text("utf-8") for file in files if "vendor" not in file.parts)


def test_every_row_is_used() -> None:
    used = set(WORDS.findall(written())) | {str(reason) for reason in FaceReason}
    assert load().keys() - used == set()


def test_every_reason_that_is_raised_is_a_row() -> None:
    raised = set(re.findall(r'Refused\("([a-z_]+)"', written())) | {str(reason) for reason in FaceReason}
    assert raised - load().keys() == set()


def test_every_row_has_a_way_on_and_words_in_both_languages() -> None:
    for reason in load().values():
        assert reason.next, reason.name
        for text in (reason.fr, reason.en):
            assert text.cause.endswith((".", "?")) and text.next.endswith("."), reason.name
        assert reason.fr != reason.en


def test_nobody_is_blamed_for_our_faults() -> None:
    for reason in load().values():
        if reason.fault in ("ours", "wire"):
            assert not reason.counts_as_try, reason.name


def test_french_typography() -> None:
    for reason in load().values():
        for text in (reason.fr.cause, reason.fr.next):
            assert "'" not in text and not re.search(r"[^ \u202f][:;?!]", text), (reason.name, text)
