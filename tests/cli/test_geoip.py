"""``gateway geoip``: what people and scripts get."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gateway_assets import clock
from gateway_assets.settings import Settings
from tests.cli.test_cli import Gateway, refused
from tests.cli.test_cli import gateway as gateway  # noqa: PLC0414  the fixture
from tests.mmdb import write_mmdb
from tests.traffic import TODAY, land_days

CASES = Path(__file__).parents[1] / "cases" / "geoip"
DAY = clock.day_text(TODAY - 9)


def test_status(gateway: Gateway, settings: Settings) -> None:
    assert "docs/geoip.md" in gateway("geoip", "status").out
    assert json.loads(gateway("geoip", "status", "--json").out) == []
    folder = settings.data_dir / "geoip"
    write_mmdb(folder / "dbip-country.mmdb", {"9.0.0.0/8": {"country_code": "US"}})
    shutil.copy(CASES / "GeoIP2-City-Test-Invalid-Node-Count.mmdb", folder)
    shown = gateway("geoip", "status")
    assert "IP Geolocation by DB-IP" in shown.out
    assert "no whole database" in shown.err
    broken, free = json.loads(gateway("geoip", "status", "--json").out)
    assert (free["type"], free["problem"]) == ("made for a test", "")
    assert "no whole database" in broken["problem"]


def test_re_enrich(gateway: Gateway, settings: Settings) -> None:
    land_days(settings.landing, range(TODAY - 9, TODAY + 1))
    for command in (["load"], ["rollup"], ["archive", "run"]):
        assert gateway(*command).code == 0
    span = ["--from", DAY, "--to", clock.day_text(TODAY)]
    refused(gateway("geoip", "re-enrich", *span), 3, "no GeoIP database", "docs/geoip.md")
    write_mmdb(settings.data_dir / "geoip" / "a.mmdb", {"9.0.0.0/8": {"country_code": "US"}})
    (would,) = json.loads(gateway("geoip", "re-enrich", *span, "--dry-run", "--json").out)
    assert would["hot_rows"] + would["archived_rows"] == 1200
    assert "would get another place" in gateway("geoip", "re-enrich", *span, "--dry-run").out
    (done,) = json.loads(gateway("geoip", "re-enrich", *span, "--json").out)
    assert (done["days"], done["hot_rows"], done["archived_rows"]) == (10, 1200, 0)
    assert len(done["taken_back"]) == 2
    assert gateway("archive", "run").code == 0
    assert gateway("archive", "verify").code == 0
    assert "0 hot rows and 0 rows" in gateway("geoip", "re-enrich", *span).out


@pytest.mark.parametrize(
    ("span", "word"),
    [
        (("yesterday", DAY), "2026-11-10"),
        ((clock.day_text(TODAY), DAY), "is before"),
    ],
)
def test_wrong_days(gateway: Gateway, span: tuple[str, str], word: str) -> None:
    done = gateway("geoip", "re-enrich", "--from", span[0], "--to", span[1])
    assert (done.code, word in done.err) == (2, True)
