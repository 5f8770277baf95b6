"""A document as a folder of files: every manner of naming, what contradicts itself, evidence that is checked again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from emrtd_specimens import BSI_2008, DESCRIPTION, NOW, State, make_document, read
from hypothesis import given
from hypothesis import strategies as st

from emrtd import folder
from emrtd.authenticity import prove_chip
from emrtd.errors import ChipIsCopy, DataGroupAltered, EmrtdError, MalformedFolder
from emrtd.files import CARD_ACCESS, CARD_SECURITY, COM, GROUPS, SOD
from emrtd.passive import RawDocument, passive_authentication

SMALL = replace(DESCRIPTION, portrait=DESCRIPTION.portrait[:600])

NAMES = {
    "EF.COM": COM,
    "EF_SOD.bin": SOD,
    "ef.sod": SOD,
    "SOD.der": SOD,
    "011D": SOD,
    "011d.bin": SOD,
    "EF-011E.dat": COM,
    "Datagroup1.bin": GROUPS[1],
    "DataGroup14.bin": GROUPS[14],
    "DG1.bin": GROUPS[1],
    "DG02.dat": GROUPS[2],
    "EF.DG1": GROUPS[1],
    "EF.DG16": GROUPS[16],
    "dg11": GROUPS[11],
    "0101": GROUPS[1],
    "010F": GROUPS[15],
    "EF.CardAccess": CARD_ACCESS,
    "011C": CARD_ACCESS,
    "EF_CardSecurity.bin": CARD_SECURITY,
}


@pytest.mark.parametrize("name", NAMES)
def test_each_manner_of_naming(name: str) -> None:
    assert folder.recognise(name) == NAMES[name]


@pytest.mark.parametrize(
    "name",
    ["DG0", "DG17", "DG00", "DG1.jpg", "0100", "0111", "02FE", "notes.txt", "EF.CVCA", "", ".", "SOD.json", "DG1x"],
)
def test_other_files_are_left_alone(name: str) -> None:
    assert folder.recognise(name) is None


@pytest.mark.parametrize("name", ["EF.DG3", "dg4.bin", "0103", "0104", "Datagroup3.bin", "DG04"])
def test_fingerprints_and_iris_are_never_read(name: str) -> None:
    assert folder.recognise(name) is None


@given(st.text(max_size=40))
def test_any_name_means_a_file_or_none(name: str) -> None:
    found = folder.recognise(name)
    assert found is None or found not in (GROUPS[3], GROUPS[4])


DOCUMENTS = {
    "bac": SMALL,
    "chip-authentication": replace(SMALL, chip_authentication=("ECDH-AES-128/brainpoolP256r1",)),
    "finite-field": replace(SMALL, chip_authentication=("DH-3DES/2",), active_authentication="none"),
    "mapping": replace(SMALL, pace=("ECDH-CAM-AES-128/12",), active_authentication="none"),
}


@pytest.fixture(scope="module", params=DOCUMENTS)
def kept(request: pytest.FixtureRequest) -> RawDocument:
    return read(make_document(DOCUMENTS[request.param]))


def test_what_was_read_is_kept_and_comes_back(kept: RawDocument) -> None:
    assert folder.to_raw(folder.from_raw(kept)) == kept


def test_evidence_is_checked_again_from_the_folder(kept: RawDocument, state: State) -> None:
    again = folder.to_raw(folder.from_raw(kept))
    document = passive_authentication(again, state.trust, at=NOW)
    assert prove_chip(document, again)


@pytest.mark.parametrize(
    ("kind", "proof", "member"),
    [
        ("bac", "active_authentication", "response"),
        ("bac", "active_authentication", "challenge"),
        ("chip-authentication", "chip_authentication", "answer"),
        ("chip-authentication", "chip_authentication", "private"),
        ("finite-field", "chip_authentication", "answer"),
        ("mapping", "chip_mapping", "data"),
        ("mapping", "chip_mapping", "key"),
    ],
)
def test_evidence_that_was_changed_proves_a_copy(kind: str, proof: str, member: str, state: State) -> None:
    files = folder.from_raw(read(make_document(DOCUMENTS[kind])))
    tree = json.loads(files[folder.EVIDENCE])
    middle = len(tree[proof][member]) // 2
    digit = "1" if tree[proof][member][middle] == "0" else "0"
    tree[proof][member] = tree[proof][member][:middle] + digit + tree[proof][member][middle + 1 :]
    changed = folder.to_raw(files | {folder.EVIDENCE: json.dumps(tree).encode()})
    document = passive_authentication(changed, state.trust, at=NOW)
    with pytest.raises(ChipIsCopy):
        prove_chip(document, changed)


def test_names_of_other_programs_are_the_same_document(raw: RawDocument) -> None:
    other = {"EF_SOD.bin": raw.sod, "011E": raw.com or b"", "leaflet.pdf": b"%PDF"}
    other |= {f"Datagroup{number}.bin": content for number, content in raw.groups.items()}
    found = folder.to_raw(other)
    assert (found.sod, found.com, dict(found.groups)) == (raw.sod, raw.com, dict(raw.groups))
    assert (found.response, found.protocol) == (b"", "")


def test_filling_behind_a_file_is_not_the_file(raw: RawDocument, state: State) -> None:
    files = folder.from_raw(raw)
    padded = folder.to_raw(files | {"EF.DG1": files["EF.DG1"] + b"\x00" * 9, "EF.DG15": files["EF.DG15"] + b"\xff" * 3})
    assert padded == raw
    more = folder.to_raw(files | {"EF.DG1": files["EF.DG1"] + b"\x01"})
    with pytest.raises(DataGroupAltered):
        passive_authentication(more, state.trust, at=NOW)


def test_fingerprints_in_a_folder_are_not_looked_at(raw: RawDocument) -> None:
    assert folder.to_raw(folder.from_raw(raw) | {"EF.DG3": b"\x63\x01\x00", "0104": b"\x76\x01\x00"}) == raw


def test_a_folder_that_contradicts_itself(raw: RawDocument) -> None:
    files = folder.from_raw(raw)
    assert folder.to_raw(files | {"DG1.bin": files["EF.DG1"]}) == raw
    with pytest.raises(MalformedFolder, match=r"two different files for EF\.DG1"):
        folder.to_raw(files | {"DG1.bin": files["EF.DG15"]})
    with pytest.raises(MalformedFolder, match="no security object"):
        folder.to_raw({name: content for name, content in files.items() if name != "EF.SOD"})
    with pytest.raises(MalformedFolder, match="262145 bytes"):
        folder.to_raw(files | {"DG16.bin": bytes(262_145)})
    with pytest.raises(MalformedFolder, match="no document"):
        folder.to_raw(files | {f"{number}.txt": b"" for number in range(300)})


def test_both_files_that_have_the_identifier_011d() -> None:
    raw = read(make_document(DOCUMENTS["mapping"]))
    files = folder.from_raw(raw)
    assert raw.card_security is not None
    files["011D.bin"] = files.pop("EF.CardSecurity")  # as a program that reads the master file names it
    assert folder.to_raw(files) == raw


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"what": "evidence"},
        {"protocol": 5},
        {"active_authentication": {"challenge": "00", "response": "00"}},
        {"active_authentication": {"challenge": "0" * 16}},
        {"active_authentication": [1]},
        {"chip_authentication": {"protocol": "1.2", "key_id": None, "private": "1", "counter": -1, "answer": ""}},
        {"chip_authentication": {"protocol": "1.2", "key_id": None, "private": "f" * 2000, "counter": 1, "answer": ""}},
        {"chip_authentication": {"protocol": 7, "key_id": None, "private": "1", "counter": 1, "answer": ""}},
        {"chip_mapping": {"parameter": "x", "key": "", "data": ""}},
        {"chip_mapping": {"parameter": 1, "key": "zz", "data": ""}},
    ],
    ids=str,
)
def test_evidence_of_another_form_is_refused(raw: RawDocument, change: dict[str, object]) -> None:
    files = folder.from_raw(raw)
    tree = json.loads(files[folder.EVIDENCE]) | change
    with pytest.raises(MalformedFolder, match=r"evidence\.json"):
        folder.to_raw(files | {folder.EVIDENCE: json.dumps(tree).encode()})


@given(st.dictionaries(st.sampled_from([*NAMES, folder.EVIDENCE, "x"]), st.binary(max_size=40), max_size=6))
def test_any_files_are_a_document_or_have_a_named_flaw(files: dict[str, bytes]) -> None:
    try:
        sod = folder.to_raw(files).sod
        assert any(content.startswith(sod) for content in files.values())
    except EmrtdError as error:
        assert isinstance(error, MalformedFolder)


def test_no_name_of_a_person_in_what_is_printed(raw: RawDocument) -> None:
    assert "24AA12345" not in repr(folder.to_raw(folder.from_raw(raw)))


@pytest.mark.skipif(not BSI_2008.is_dir(), reason="needs ../shared/data")
def test_the_folder_of_the_bsi_specimen() -> None:
    raw = folder.to_raw({file.name: file.read_bytes() for file in BSI_2008.iterdir()})
    assert sorted(raw.groups) == [1, 2, 14, 15]
    assert raw.com is not None
