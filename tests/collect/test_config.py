"""Clusters as declared: what is wrong is said with file and reason; secrets are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_assets.collect.config import Cluster, clusters_of, split_address
from gateway_assets.errors import ConfigError
from gateway_assets.settings import Settings, load_settings


def test_none() -> None:
    assert clusters_of(load_settings()) == ()


def test_from_both_files_in_order(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(
        '[[clusters]]\nname = "b"\nfrontends = ["fe1", "fe2:1"]\n'
    )
    settings.data_dir.mkdir()
    (settings.data_dir / "clusters.toml").write_text(
        '[[clusters]]\nname = "a"\nfrontends = ["[2001:db8::1]"]\npassword_file = "pw"\n'
        'tls = "ca.pem"\n'
    )
    first, second = clusters_of(load_settings())
    assert (first.name, first.frontends) == ("b", ("fe1:9030", "fe2:1"))
    assert (second.name, second.frontends) == ("a", ("[2001:db8::1]:9030",))
    assert split_address(second.frontends[0]) == ("2001:db8::1", 9030)
    assert second.tls == settings.data_dir / "ca.pem"
    (settings.data_dir / "pw").write_text("swördfish\n")
    assert second.password() == "swördfish".encode()
    assert first.password() == b""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('name = "x"', "frontends: Field required"),
        ('name = "x"\nfrontends = []', "frontends: "),
        ('name = "x y"\nfrontends = ["h"]', "name: "),
        ('name = "x"\nfrontends = ["h:0"]', "'h:0' is not written as host:9030"),
        ('name = "x"\nfrontends = ["http://h:1"]', "is not written as host:9030"),
        ('name = "x"\nfrontends = ["h"]\npasswort_env = "P"', "passwort_env: Extra inputs"),
        ('name = "x"\nfrontends = ["h"]\npassword = "hunter2"', "a password may not stand"),
        ('name = "x"\nfrontends = ["h"]\nuser = "o\'hara"', "user: "),
        ('name = "x"\nfrontends = ["h"]\nstorage_limit_pct = 0', "storage_limit_pct: "),
        (
            'name = "x"\nfrontends = ["h"]\npassword_env = "A"\npassword_file = "b"',
            "password_env or password_file, not both",
        ),
        ('name = "x"\nfrontends = ["h"]\n[[clusters]]\nname = "x"\nfrontends = ["i"]', "twice"),
        ('name = "x"\nfrontends = ["h"]\n[[clusters]]\nname = "y"\nfrontends = ["h"]', "h:9030"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "gateway.toml").write_text(f"[[clusters]]\n{line}\n")
    with pytest.raises(ConfigError) as wrong:
        clusters_of(load_settings())
    assert words in wrong.value.message
    assert "gateway.toml" in wrong.value.message
    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize("content", ["clusters = 1", 'clusters = ["x"]', "[[clusters"])
def test_a_file_that_is_no_list_of_clusters(settings: Settings, content: str) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "clusters.toml").write_text(content)
    with pytest.raises(ConfigError, match=r"clusters\.toml"):
        clusters_of(settings)


def test_a_password_is_read_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gateway.toml").write_text(
        '[[clusters]]\nname = "a"\nfrontends = ["a"]\npassword_env = "A_PASSWORD"\n'
        '[[clusters]]\nname = "b"\nfrontends = ["b"]\npassword_file = "none"\n'
    )
    first, second = clusters_of(load_settings())
    with pytest.raises(ConfigError, match="A_PASSWORD is not set"):
        first.password()
    with pytest.raises(ConfigError, match="none cannot be read"):
        second.password()
    monkeypatch.setenv("A_PASSWORD", "swordfish")
    assert first.password() == b"swordfish"
    assert "swordfish" not in repr(first)


@pytest.mark.parametrize("seconds", ["7", "0", "600", "7200"])
def test_an_interval_divides_an_hour(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("GATEWAY_COLLECT_INTERVAL_SECONDS", seconds)
    with pytest.raises(ConfigError, match="collect_interval_seconds"):
        load_settings()


def test_the_page_names_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text("utf-8")
    for name in Cluster.model_fields:
        assert f"`{name}`" in page
