"""What places are called, which figure each has, and what is said where there are several."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dln.core.carbon.grid.live.gb import GreatBritain
from dln.core.carbon.places.annual import annual, statistic
from dln.core.carbon.places.kin import lines, namesakes, parts
from dln.core.carbon.places.regions import Region, called, find, fold, regions
from dln.core.errors import UsageError


def codecarbon(name: str) -> Any:
    spec = find_spec("codecarbon")
    assert spec
    assert spec.origin
    return json.loads((Path(spec.origin).parent / "data/private_infra" / name).read_text())


def grams(text: str) -> float:
    return annual(find(text)).g_per_kwh.expected


def of_kind(kind: str) -> list[Region]:
    return [region for region in regions() if region.kind == kind]


@pytest.mark.parametrize(
    ("code", "names"),
    {
        "US": "США, сша, USA, U.S.A., United States of America (the), Соединённые Штаты Америки",
        "ZA": "ЮАР, South Africa, Южная Африка, zaf",
        "KR": "Южная Корея, South Korea, Korea (the Republic of), Republic of Korea, Korea",
        "KP": "Северная Корея, КНДР, North Korea, DPRK",
        "HK": "Гонконг, Hong Kong, hong-kong",
        "GB": "Великобритания, UK, Great Britain, England, Англия, Britain",
        "AE": "ОАЭ, UAE, Объединенные Арабские Эмираты, Объединённые Арабские Эмираты",
        "TR": "Turkey, Türkiye, turkiye, Турция",
        "CD": "Democratic Republic of the Congo, DR Congo, Congo-Kinshasa, ДР Конго",
        "CG": "Republic of the Congo, Congo-Brazzaville, Республика Конго",
        "CI": "Ivory Coast, Côte d'Ivoire, Cote d’Ivoire, Кот-д'Ивуар",
        "VN": "Viet Nam, Vietnam, Вьетнам",
        "CZ": "Czech Republic, Czechia, Чехия",
        "SZ": "Swaziland, Eswatini",
        "CV": "Cape Verde, Cabo Verde",
        "MM": "Burma, Myanmar, Бирма, Мьянма",
        "NL": "Holland, The Netherlands, Netherlands (Kingdom of the), Голландия",
        "MK": "Macedonia, North Macedonia, Македония",
        "TL": "East Timor, Timor-Leste, timor leste",
        "TW": "Taiwan, Taiwan (Province of China), Тайвань",
        "MO": "Macau, Macao, Макао",
        "PS": "Palestine, State of Palestine, Палестина",
        "RU": "Russia, Russian Federation, Россия, РФ",
        "IR": "Iran, Iran (Islamic Republic of), Иран",
        "BO": "Bolivia (Plurinational State of)",
        "LA": "Lao People's Democratic Republic (the), Laos",
        "GW": "Guinea Bissau",
        "GB-NIR": "Northern Ireland, Северная Ирландия",
        "CN-BJ": "Beijing, Пекин, 北京, cn-bj",
        "CN-NM": "Inner Mongolia, Nei Mongol, Внутренняя Монголия",
        "US-TEX-ERCO": "ERCOT",
    }.items(),
)
def test_every_usual_name(code: str, names: str):
    assert {name: find(name).code for name in names.split(", ")} == dict.fromkeys(
        names.split(", "), code
    )


def test_a_name_finds_its_region_or_the_choices():
    for region in regions():
        for name in region.called:
            assert region in called(name)
            try:
                found = find(name)
            except UsageError as error:
                assert region.kind == "cloud" or region.code in error.message  # noqa: PT017
            else:
                assert found == region or found.kind != region.kind


def test_a_name_of_two_countries_is_refused():
    shared = [
        name
        for region in of_kind("country")
        for name in region.called
        if sum(other.kind == "country" for other in called(name)) > 1
    ]
    assert {fold(name) for name in shared} == {
        "congo", "конго", "virgin islands", fold("Виргинские острова"),
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"CD \(Congo - Kinshasa\) or CG \(Congo - Brazzaville\)"):
        find("Congo")


def test_every_country_has_a_russian_name():
    for region in of_kind("country"):
        assert region.russian
        assert find(region.russian.upper().replace("Ё", "Е")) == region


def test_who_shares_a_name_with_another_figure():
    assert [region.code for region in namesakes("Georgia", find("Georgia"))] == ["US-GA"]
    assert namesakes("GE", find("GE")) == []
    assert namesakes("Hong Kong", find("Hong Kong")) == []  # its clouds are on its grid


def test_a_cloud_region_has_its_state_or_provinces_figure():
    assert grams("aws:ca-west-1") == grams("Alberta") == pytest.approx(637, abs=0.5)
    assert grams("aws:cn-northwest-1") == grams("Ningxia")
    for region in of_kind("cloud"):
        if region.zone is None and region.subdivision:
            state = [r for r in of_kind("state") if (r.country, r.subdivision)
                     == (region.country, region.subdivision)]  # fmt: skip
            assert grams(region.code) == grams(state[0].code)


def test_the_grid_of_a_cloud_region_is_one_of_its_country():
    zones = {r.zone: r.country for r in regions() if r.kind != "cloud" and r.zone}
    for region in of_kind("cloud"):
        assert region.zone is None or zones[region.zone] == region.country
    assert find("azure:westcentralus").zone == "US-NW-WACM"


def test_chinas_provinces_are_codecarbons():
    table = codecarbon("2023/china_provincial_emissions.json")
    assert {r.code for r in of_kind("state") if r.country == "CHN"} == set(table["data"])
    for code, row in table["data"].items():
        found = annual(find(code))
        assert row["unit"] == "gCO2/kWh"
        assert found.g_per_kwh.expected == row["emission_factor"]
        assert (found.label.year, found.label.factors) == (str(row["year"]), "direct")
        assert {find(name).code for name in row["names"]} == {code}


def test_canadas_provinces_and_the_states_are_codecarbons():
    states = {row["regionCode"] for name, row in codecarbon("2023/usa_emissions.json").items()
              if not name.startswith("_")}  # fmt: skip
    assert {r.subdivision for r in of_kind("state") if r.country == "USA"} == states - {"usa"}
    provinces = {r.name.lower() for r in of_kind("state") if r.country == "CAN"}
    assert provinces == set(codecarbon("2023/canada_energy_mix.json"))


def test_where_figures_differ_it_is_said():
    """A country, state or zone whose own statistic, or whose parts, have another figure."""
    mix = codecarbon("global_energy_mix.json")
    for region in of_kind("country"):
        own, published = grams(region.code), mix[region.country]["carbon_intensity"]
        if published and abs(own - published) > 0.05 * max(own, published):
            assert any(f"as published: {published:.0f} g/kWh" in line for line in lines(region))
        for part in (r for r in of_kind("zone") if r.country == region.country):
            if abs(own - grams(part.code)) > 0.05 * max(own, grams(part.code)):
                assert part in parts(region)
                assert "within it" in lines(region)[-1] or "not in it" in lines(region)[-1]
    assert lines(find("US-CAL-CISO"))[0].startswith(f"California as a whole: {grams('US-CA'):.0f}")
    assert "US-TEX-ERCO" in lines(find("Texas"))[0]
    assert lines(find("aws:ap-south-1"))[1].startswith(
        f"Maharashtra as a whole: {grams('IN-MH'):.0f}"
    )
    assert "which one it is on is not known" in lines(find("aws:us-west-2"))[0]
    assert lines(find("aws:ca-west-1")) == lines(find("Beijing")) == []


def test_bidding_zones_differ_from_codecarbons_own():
    table = codecarbon("nordic_emissions.json")["data"]
    for name in ("SE1", "SE4", "NO2", "NO4"):
        region = find(name)
        assert statistic(region).g_per_kwh.expected == table[name]["emission_factor"]
        assert lines(region)[0].startswith(f"as published: {table[name]['emission_factor']:.0f} ")


def test_great_britains_figure_is_not_northern_irelands():
    assert "not in it: 354 (GB-NIR)" in lines(find("gb"))[0]
    assert GreatBritain(find("aws:eu-west-2")).area == "GB"
    with pytest.raises(UsageError, match="knows Great Britain only, not GB-NIR"):
        GreatBritain(find("Northern Ireland"))
