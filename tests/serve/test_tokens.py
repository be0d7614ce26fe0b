"""Who may write."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_assets.errors import ConfigError
from gateway_assets.serve.tokens import Tokens
from gateway_assets.settings import load_settings
from tests.serve.conftest import Server

V1, V2, V3 = "/write?db=d", "/api/v2/write?org=o&bucket=b", "/api/v3/write_lp?db=d"
TOKEN, OTHER = "s3cr3t", "sëcond-tokën"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("guarded")
    tokens = data / "tokens"
    tokens.write_text(f"# of the pumps\n{TOKEN}\n\n  {OTHER}  \n")
    server = Server(
        data / "data",
        "--no-loader",
        GATEWAY_SERVE_TOKENS_FILE=str(tokens),
        GATEWAY_SERVE_DATABASES='["d", "b"]',
    )
    yield server
    assert server.stop() == (0, "")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def latin(text: str) -> str:
    """Bytes of UTF-8 as http.client takes a header."""
    return text.encode().decode("latin-1")


@pytest.mark.parametrize(
    ("path", "header"),
    [
        (f"{V1}&u=any&p={TOKEN}", None),
        (f"{V1}&u=any&p=s%C3%ABcond-tok%C3%ABn", None),
        (V1, basic("any", TOKEN)),
        (V1, basic("any", OTHER)),
        (V1, f"Token any:{TOKEN}"),
        (V1, f"Bearer {TOKEN}"),
        (V2, f"Token {TOKEN}"),
        (V2, f"token {TOKEN}"),
        (V2, latin(f"Token {OTHER}")),
        (V2, f"Token any:{TOKEN}"),
        (V3, f"Bearer {TOKEN}"),
        (V3, f"Token {TOKEN}"),
    ],
    ids=map(str, range(12)),
)
def test_who_has_a_token_may_write(guarded: Server, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert guarded.ask("POST", path, b"m v=1", **headers).status == 204


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Token", "Token ", f"Token {TOKEN}x", f"Token {TOKEN[:-1]}", TOKEN,
        f"Basic {TOKEN}", "Basic \xff", basic(TOKEN, ""), basic("any", "#"), "Token #",
        "Token of", f"Token {TOKEN} {OTHER}", f"Digest {TOKEN}",
    ],
    ids=map(str, range(15)),
)  # fmt: skip
@pytest.mark.parametrize("path", [V1, V2, V3, "/query?q=SHOW+DATABASES", f"{V1}&p=wrong"])
def test_others_may_not(guarded: Server, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = guarded.ask("POST", path, b"m v=2", **headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] in {'Basic realm="InfluxDB"', "Token"}
    told = json.loads(answer.body)
    if path == V2:
        assert told == {"code": "unauthorized", "message": "unauthorized access"}
    elif path == V3:
        assert told == {"error": "unauthorized access"}
    elif path.endswith("wrong"):
        assert told == {"error": "authorization failed"}
    elif header is None:
        assert told == {"error": "unable to parse authentication credentials"}
    assert guarded.rows("SELECT value FROM points WHERE value = 2") == []


def test_everybody_may_ask_whether_it_is_there(guarded: Server) -> None:
    for path, status in (("/ping", 204), ("/health", 200), ("/metrics", 200)):
        assert guarded.ask("GET", path).status == status


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/write?db=other", 404, 'database not found: "other"'),
        ("/api/v2/write?bucket=other", 404, 'bucket "other" not found'),
        ("/api/v2/write?bucket=b/autogen", 204, ""),
        ("/api/v3/write_lp?db=other", 404, "the requested resource was not found: database other"),
    ],
)
def test_only_these_databases(guarded: Server, path: str, status: int, told: str) -> None:
    answer = guarded.ask("POST", path, b"m v=1", Authorization=f"Token {TOKEN}")
    assert (answer.status, told in answer.body.decode().replace("\\", "")) == (status, True)


def test_their_names(guarded: Server) -> None:
    answer = guarded.ask("GET", f"/query?q=SHOW+DATABASES&p={TOKEN}")
    series = json.loads(answer.body)["results"][0]["series"]
    assert series == [{"name": "databases", "columns": ["name"], "values": [["d"], ["b"]]}]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
def test_others_than_this_host_need_tokens(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="lets anybody write"):
        Tokens(load_settings(data_dir=tmp_path, serve_host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_host_needs_none(tmp_path: Path, host: str) -> None:
    Tokens(load_settings(data_dir=tmp_path, serve_host=host))


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "No such file"), ("# none\n\n", "has no token"), ("a token\n", "several words")],
    ids=["missing", "empty", "words"],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: str | None, what: str) -> None:
    path = tmp_path / "tokens"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=what):
        Tokens(load_settings(data_dir=tmp_path, serve_tokens_file=path))
