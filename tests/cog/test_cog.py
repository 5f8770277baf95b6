"""The official codes of communes and countries."""

from __future__ import annotations

import re
import tracemalloc
from importlib.resources import files

import pytest

from alicem import cog


def lines_of(table: str) -> list[str]:
    return (files(cog) / table).read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("29019", "Brest"),
        ("75107", "Paris 7e Arrondissement"),
        ("69381", "Lyon 1er Arrondissement"),
        ("13201", "Marseille 1er Arrondissement"),
        ("75056", "Paris"),
        ("2A004", "Ajaccio"),
        ("20004", "Ajaccio"),  # Corsica was one département until 1976
        ("20033", "Bastia"),
        ("75017", "Champigny-sur-Marne"),  # the Seine, until 1968
        ("69232", "Lyon"),  # Saint-Rambert-l’Île-Barbe, merged in 1963
        ("50129", "Cherbourg-en-Cotentin"),  # borne by a part of it as well
        ("59298", "Hellemmes-Lille"),  # associated with Lille in 1977
        ("97411", "Saint-Denis"),
        ("98511", "Mamoudzou"),  # Mayotte before it became a département
        ("97123", "Saint-Barthélemy"),
        ("97701", "Saint-Barthélemy"),
        ("98735", "Papeete"),
        ("98818", "Nouméa"),
    ],
)
def test_a_commune_of_today_or_of_then(code: str, name: str) -> None:
    assert cog.is_commune(code) and not cog.is_country(code)
    assert cog.place_name(code) == name


@pytest.mark.parametrize(
    ("code", "name"), [("99100", "France"), ("99352", "Algérie"), ("99115", "Tchécoslovaquie"), ("99404", "États-Unis")]
)
def test_a_country_of_today_or_of_then(code: str, name: str) -> None:
    assert cog.is_country(code) and not cog.is_commune(code)
    assert cog.place_name(code) == name


@pytest.mark.parametrize(
    "code", ["", "Paris", "00000", "75199", "2C004", "2a004", "97999", "99999", "29019\n", "２９０１９"]
)
def test_what_is_no_code(code: str) -> None:
    assert not cog.is_commune(code) and not cog.is_country(code)
    assert cog.place_name(code) == code


@pytest.mark.parametrize(("place", "country"), [("29019", "99100"), ("", "99352"), ("20033", "99100")])
def test_places_of_birth(place: str, country: str) -> None:
    cog.require_birthplace(place, country)


@pytest.mark.parametrize(
    ("place", "country"), [("", "99100"), ("29998", "99100"), ("29019", "99352"), ("", "99998"), ("99352", "99100")]
)
def test_places_where_nobody_is_born(place: str, country: str) -> None:
    with pytest.raises(cog.UnknownPlace) as refused:
        cog.require_birthplace(place, country)
    assert not re.search(r"[0-9]", str(refused.value))


@pytest.mark.parametrize("table", ["communes.txt", "countries.txt"])
def test_a_table_says_what_it_is_and_each_line_is_read(table: str) -> None:
    head, *rows = lines_of(table)
    assert re.search(r"INSEE.* 1er janvier 20[0-9]{2}.*Licence Ouverte 2\.0", head)
    codes = [row.partition(" ")[0] for row in rows]
    assert codes == sorted(set(codes)) and all(cog.FORM.fullmatch(code) for code in codes)
    assert {code.startswith("99") for code in codes} == {table == "countries.txt"}


def test_each_former_commune_is_in_one_of_today() -> None:
    rows = dict(row.split(" ", 1) for row in lines_of("communes.txt")[1:])
    assert len(rows) > 39_000
    heirs = [rows.get(name[1:], ">") for name in rows.values() if name.startswith(">")]
    assert len(heirs) > 2_000 and not any(heir.startswith(">") for heir in heirs)


def test_it_costs_a_worker_little() -> None:
    tracemalloc.start()
    cog._departments.cache_clear()
    before = tracemalloc.get_traced_memory()[0]
    assert cog.place_name("98818") and cog.place_name("99517")
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept < 2_000_000
