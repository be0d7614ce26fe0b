"""Places of addresses: as MaxMind's own library has them, and whatever becomes of the files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import geoip2.database
import maxminddb
import pytest

from gateway_assets import clock
from gateway_assets.geoip.geoip import GeoIP
from gateway_assets.geoip.place import NOWHERE, Place, public_address
from tests.mmdb import write_mmdb

CASES = Path(__file__).parents[1] / "cases" / "geoip"
CITY = CASES / "GeoIP2-City-Test.mmdb"
COUNTRY = CASES / "GeoLite2-Country-Test.mmdb"
ASN = CASES / "GeoLite2-ASN-Test.mmdb"
ISP = CASES / "GeoIP2-ISP-Test.mmdb"
BROKEN = CASES / "GeoIP2-City-Test-Broken-Double-Format.mmdb"
INVALID = CASES / "GeoIP2-City-Test-Invalid-Node-Count.mmdb"


def addresses(path: Path) -> list[str]:
    """The first address of every network of a database that is looked up at all."""
    with maxminddb.open_database(path) as reader:
        found = [str(network.network_address) for network, _ in reader]
    return [address for address in found if public_address(address)]


@pytest.mark.parametrize("language", ["en", "zh-CN", "de"])
def test_cities_are_those_of_the_vendors_library(language: str) -> None:
    ours, asked = GeoIP([CITY], language), addresses(CITY)
    assert len(asked) > 200
    with geoip2.database.Reader(CITY) as theirs:
        for address in asked:
            found = theirs.city(address)
            first = found.subdivisions[0].names if found.subdivisions else {}
            names = [each.get(language) or each.get("en") for each in (first, found.city.names)]
            assert ours.place(address) == (found.country.iso_code or "ZZ", *names, None)


def test_countries_are_those_of_the_vendors_library() -> None:
    ours = GeoIP([COUNTRY])
    with geoip2.database.Reader(COUNTRY) as theirs:
        for address in addresses(COUNTRY):
            code = theirs.country(address).country.iso_code or "ZZ"
            assert ours.place(address) == (code, None, None, None)


def named(holder: str | None, number: int | None) -> str | None:
    return holder or (None if number is None else f"AS{number}")


def test_providers_are_those_of_the_vendors_library() -> None:
    isps, networks = GeoIP([ISP]), GeoIP([ASN])
    with geoip2.database.Reader(ISP) as theirs:
        for address in addresses(ISP):
            isp = theirs.isp(address)
            held = named(isp.autonomous_system_organization, isp.autonomous_system_number)
            assert isps.place(address).isp == (isp.isp or held)
    with geoip2.database.Reader(ASN) as theirs:
        for address in addresses(ASN):
            asn = theirs.asn(address)
            held = named(asn.autonomous_system_organization, asn.autonomous_system_number)
            assert networks.place(address).isp == held


def test_several_databases_answer_together() -> None:
    both = GeoIP([ASN, COUNTRY, CITY, ISP], "zh-CN")
    assert both.place("89.160.20.112") == ("SE", "Östergötland County", "林雪平", "Bredband2 AB")
    assert both.place("1.128.0.0").isp == "Telstra Internet"  # an ISP's name before a network's
    assert GeoIP([ASN]).place("12.81.96.1").isp == "AS7018"
    assert both.place("::ffff:81.2.69.142") == both.place("81.2.69.142")


def test_a_city_is_never_put_into_the_country_of_another_database(tmp_path: Path) -> None:
    city = {"country_code": "gb", "state1": "England", "city": "London", "postcode": "N1"}
    first = write_mmdb(tmp_path / "a.mmdb", {"9.0.0.0/8": {"country_code": "US"}})
    second = write_mmdb(tmp_path / "b.mmdb", {"9.9.0.0/16": city})
    places = GeoIP([first, second])
    assert places.place("9.9.1.1") == ("GB", "England", "London", None)
    assert places.place("9.8.1.1") == ("US", None, None, None)


def test_flat_records_and_databases_of_one_kind_of_address(tmp_path: Path) -> None:
    network = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Ltd"}
    write_mmdb(tmp_path / "v4.mmdb", {"9.0.0.0/8": {"country_code": "US"}}, ip_version=4)
    write_mmdb(tmp_path / "v6.mmdb", {"2a00::/16": {"country_code": "NL", "city": ""}})
    write_mmdb(tmp_path / "asn.mmdb", {"9.0.0.0/8": network, "2a00::/16": network})
    places = GeoIP([tmp_path])
    assert places.place("9.1.2.3") == ("US", None, None, "Example Ltd")
    assert places.place("2a00::1") == ("NL", None, None, "Example Ltd")
    assert places.place("9.1.2.3.4") == places.place("") == NOWHERE
    assert places.failed_lookups == 0


@pytest.mark.parametrize(
    "record",
    [
        {"country_code": "private"},
        {"country_code": ""},
        {"country_code": "ÅÅ"},
        {"country_code": 49},
        {"country": "DE"},
        {"country": {"iso_code": ["DE"]}},
        {"subdivisions": [], "city": {"names": "Bonn"}, "traits": "none"},
        [],
        "DE",
        7,
    ],
    ids=str,
)
def test_records_of_no_use_are_unknown(tmp_path: Path, record: object) -> None:
    write_mmdb(tmp_path / "odd.mmdb", {"9.0.0.0/8": record})
    assert GeoIP([tmp_path]).place("9.9.9.9") == NOWHERE


NOBODY = (
    "10.1.2.3 172.16.0.1 192.168.1.1 127.0.0.1 169.254.1.1 100.64.0.1 192.0.2.1 198.18.0.1",
    "224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 0.0.0.0 :: ::1 fe80::1 fe80::1%eth0 fc00::1",
    "ff02::1 ff0e::1 2001:db8::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 box",
)


@pytest.mark.parametrize("address", " ".join(NOBODY).split())
def test_addresses_of_nobody_are_not_looked_up(tmp_path: Path, address: str) -> None:
    """A database that places every address there is, as some do with private ones."""
    write_mmdb(tmp_path / "all.mmdb", {"::/1": {"country_code": "AU"}, "8000::/1": {"isp": "x"}})
    places = GeoIP([tmp_path])
    assert places.place(address) == NOWHERE
    assert places.place("9.9.9.9").country == places.place("2a00::1").country == "AU"


def test_files_that_change_are_opened_again(tmp_path: Path) -> None:
    path, said = tmp_path / "geo.mmdb", list[str]()
    places = GeoIP([path], say=said.append, check_seconds=0)
    assert places.place("81.2.69.142") == NOWHERE
    assert not places.is_open
    shutil.copy(CITY, path)
    london = places.place("81.2.69.142")
    assert london == ("GB", "England", "London", None)
    assert [text for text in said if "No such file" in text] == said
    said.clear()
    write_mmdb(path, {"81.0.0.0/8": {"country_code": "FR"}})  # by rename
    assert places.place("81.2.69.142") == ("FR", None, None, None)
    assert said == places.problems == []


@pytest.mark.parametrize("bad", [b"", CITY.read_bytes()[:9000], INVALID.read_bytes(), b"x" * 5000])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_broken_file_leaves_the_old_one_in_use(
    tmp_path: Path, bad: bytes, in_place: bool
) -> None:
    path, said = tmp_path / "geo.mmdb", list[str]()
    shutil.copy(CITY, path)
    places = GeoIP([path], say=said.append, check_seconds=0)
    if in_place:
        path.write_bytes(bad)  # takes the pages away from whoever has the file mapped
    else:
        (tmp_path / "new").write_bytes(bad)
        (tmp_path / "new").replace(path)
    for address in ("81.2.69.142", "2.125.160.216", "81.2.69.160"):
        assert places.place(address).country == "GB"
    assert len(said) == 1
    assert "stays in use" in said[0]
    assert places.problems == said
    path.unlink()
    assert places.place("81.2.69.143").country == "GB"
    shutil.copy(COUNTRY, path)
    assert places.place("81.2.69.142") == ("GB", None, None, None)
    assert not places.problems


def test_a_directory_is_looked_through_again(tmp_path: Path) -> None:
    folder, said = tmp_path / "geoip", list[str]()
    places = GeoIP([folder], say=said.append, check_seconds=0)
    assert not places.is_open
    write_mmdb(folder / "a.mmdb", {"9.0.0.0/8": {"country_code": "US"}})
    (folder / ".b.mmdb").write_bytes(b"on its way")
    assert places.place("9.9.9.9").country == "US"
    (folder / "a.mmdb").unlink()
    assert places.place("9.9.9.9") == NOWHERE
    assert not said


def test_damaged_records_are_counted(tmp_path: Path) -> None:
    other = write_mmdb(tmp_path / "a.mmdb", {"2001:220::/32": {"isp": "still there"}})
    places = GeoIP([BROKEN, other])
    assert places.place("2001:220::") == ("ZZ", None, None, "still there")
    assert places.place("2001:220::") == ("ZZ", None, None, "still there")
    assert places.failed_lookups == 1  # the second answer was kept
    assert places.status()[0].failed_lookups == 1


@pytest.mark.parametrize("path", sorted((CASES / "bad").glob("*.mmdb")), ids=lambda path: path.stem)
def test_damage_of_every_kind_stops_nothing(path: Path) -> None:
    places = GeoIP([path, COUNTRY])
    for address in ("2.125.160.216", "1.1.1.1", "2001:220::", "81.2.69.142"):
        places.place(address)
    assert places.place("2.125.160.216").country == "GB"
    assert places.status()[0].path == str(path)


def test_status_says_what_and_whose_it_is(tmp_path: Path) -> None:
    built = clock.now() // clock.SECOND - 40 * 86_400
    named = write_mmdb(
        tmp_path / "dbip-country.mmdb", {"9.0.0.0/8": {}}, database_type="country", built=built
    )
    made = write_mmdb(tmp_path / "mine.mmdb", {"9.0.0.0/8": {}}, database_type="DBIP-City-Lite")
    missing = tmp_path / "missing.mmdb"
    free, lite, mine, broken, gone = GeoIP([named, COUNTRY, made, INVALID, missing]).status()
    assert (free.type, free.age_days, free.problem) == ("country", 40, "")
    assert "CC BY 4.0" in free.licence
    assert free.notice.startswith("IP Geolocation by DB-IP (https://db-ip.com)")
    assert mine.licence == free.licence
    assert "GeoLite2 End User License Agreement" in lite.licence
    assert "MaxMind" in lite.notice
    assert (lite.type, lite.built[:10], lite.languages) == (
        "GeoLite2-Country",
        "2026-02-04",
        ("en",),
    )
    assert "no whole database" in broken.problem
    assert "No such file" in gone.problem
    assert GeoIP([CITY]).status()[0].licence == "unknown"
    odd = GeoIP([CASES / "bad" / "libmaxminddb-uint64-max-epoch.mmdb"]).status()[0]
    assert (odd.built, odd.age_days) == ("", None)


def test_few_addresses_are_kept(tmp_path: Path) -> None:
    places = GeoIP([BROKEN], cached=1)
    for address in ("2001:220::", "2001:218::", "2001:220::"):
        places.place(address)
    assert places.failed_lookups >= 2  # the first was looked up again


def test_nothing_large_is_imported_without_a_database() -> None:
    """The capture daemon's memory matters."""
    code = (
        "import sys; from pathlib import Path; from gateway_assets.geoip.geoip import GeoIP; "
        "GeoIP([Path('nowhere')]).place('9.9.9.9'); "
        "print({'maxminddb', 'dataclasses', 'pydantic', 'tempfile', 'shutil', 'email'} "
        "& set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_place_has_four_labels() -> None:
    assert Place._fields == ("country", "province", "city", "isp")
