"""What is answered to what, as InfluxDB 1, 2 and 3 do."""

from __future__ import annotations

import gzip
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serve.conftest import Server

V1, V2, V3 = "/write?db=d", "/api/v2/write?org=o&bucket=b", "/api/v3/write_lp?db=d"
CONFLICT = (
    'field type conflict: input field "v" on measurement "{}" is type string, '
    "already exists as type float"
)


def text(body: bytes) -> str:
    told = json.loads(body)
    return str(told.get("error", told.get("message")))


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/write", "c v=1", 400, "database is required"),
        ("/write?db=", "c v=1", 400, "database is required"),
        (V1 + "&precision=y", "c v=1", 400, 'invalid precision "y" (use n, u, ms, s, m or h)'),
        (V1, "c", 400, "unable to parse 'c': missing fields"),
        (V1, "c\nd", 400, "\n".join(f"unable to parse '{one}': missing fields" for one in "cd")),
        (V1, "c v=1\nc", 400, "partial write: unable to parse 'c': missing fields dropped=0"),
        (V1, "c\x01v", 400, "unable to parse 'c\x01v': missing fields"),
        ("/api/v2/write?org=o", "c v=1", 404, "bucket not found"),
        (V2 + "&precision=m", "c v=1", 400,
         "invalid precision; valid precision units are ns, us, ms, and s"),
        (V2, "c v=1\nc", 400, "unable to parse 'c': missing fields"),
        ("/api/v3/write_lp", "c v=1", 400, "missing query parameter: db"),
        (V3 + "&precision=y", "c v=1", 400, "invalid precision 'y'"),
        ("/nothing", "c v=1", 404, "not found"),
        ("/api/v2/buckets", "{}", 404, "not found"),
    ],
)  # fmt: skip
def test_refused(server: Server, path: str, body: str, status: int, told: str) -> None:
    answer = server.ask("POST", path, body.encode())
    assert (answer.status, text(answer.body)) == (status, told)
    if path.startswith("/api/v2"):
        code = {400: "invalid", 404: "not found"}[status]
        assert json.loads(answer.body)["code"] == answer.headers["x-platform-error-code"] == code
    else:
        plain = told.replace("\n", "?").replace("\x01", "?")
        assert answer.headers["x-influxdb-error"] == plain[:1024]


@pytest.mark.parametrize("path", [V1, V1 + "&rp=&consistency=all", V2, V3])
@pytest.mark.parametrize("body", [b"", b"\n\n", b"# nothing\n", b"\n\nempty v=1\n\n\nempty v=2\n"])
@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-msgpack; odd"])
def test_nothing_to_refuse(server: Server, path: str, body: bytes, kind: str) -> None:
    answer = server.ask("POST", path, body, Content_Type=kind)
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("path", ["/ping", "/health", V1, "/nothing", "/metrics"])
def test_every_answer_has_a_name(server: Server, path: str) -> None:
    found = server.ask("GET", path).headers
    assert found["x-influxdb-version"] == "1.8.10"
    assert found["x-influxdb-build"] == "OSS"
    assert found["request-id"] == found["x-request-id"]
    other = server.ask("GET", path).headers
    assert other["request-id"] != found["request-id"]
    named = server.ask("GET", path, X_Request_Id="mine").headers
    assert named["request-id"] == named["x-request-id"] == "mine"


def test_is_anybody_there(server: Server) -> None:
    for method in ("GET", "HEAD"):
        assert server.ask(method, "/ping").status == 204
        assert server.ask(method, "/ping?verbose=false").status == 204
        assert server.ask(method, "/health").status == 200
    for yes in ("true", "1"):
        answer = server.ask("GET", f"/ping?verbose={yes}")
        assert (answer.status, json.loads(answer.body)) == (200, {"version": "1.8.10"})
    health = json.loads(server.ask("GET", "/health").body)
    assert (health["name"], health["status"], health["checks"]) == ("influxdb", "pass", [])


def test_statements_of_clients_that_connect(server: Server) -> None:
    done = {"results": [{"statement_id": 0}]}
    form = "application/x-www-form-urlencoded"
    for answer in (
        server.ask("POST", "/query?q=CREATE+DATABASE+%22x%22&db=", Accept="application/x-msgpack"),
        server.ask("GET", "/query?q=create%20database%20x"),
        server.ask("POST", "/query", b"q=CREATE+DATABASE+%22x%22", Content_Type=form),
    ):
        assert (answer.status, json.loads(answer.body)) == (200, done)
        assert answer.headers["content-type"] == "application/json"
    answer = server.ask("GET", "/query?q=SELECT+1")
    assert (answer.status, text(answer.body)[:20]) == (400, "InfluxQL is not spok")
    assert server.ask("POST", "/query", b"q=" + bytes(70_000)).status == 413
    assert text(server.ask("GET", "/query").body) == 'missing required parameter "q"'


@pytest.mark.parametrize(
    ("path", "name", "status", "told"),
    [
        (V1, "conflict1", 400, "partial write: {} dropped=1"),
        (V2, "conflict2", 422, "failure writing points to database: partial write: {} dropped=1"),
        (V3, "conflict3", 400, "partial write of line protocol occurred"),
        (V3 + "&accept_partial=false", "conflict4", 400, "parsing failed for write_lp endpoint"),
    ],
)
def test_a_conflict_of_types(server: Server, path: str, name: str, status: int, told: str) -> None:
    assert server.write(f"{name} v=1 1") == 204
    body = f'# a comment\n\n{name} v="text" 2\n{name} v=2 3\n'
    answer = server.ask("POST", path, body.encode())
    reason = CONFLICT.format(name)
    assert (answer.status, text(answer.body)) == (status, told.format(reason))
    found = server.rows(f"SELECT value FROM points_described WHERE measurement = '{name}'")
    assert found == ([(1.0,)] if "false" in path else [(1.0,), (2.0,)])
    if "v3" in path:
        data = json.loads(answer.body)["data"]
        detail = {"original_line": f'{name} v="text" 2', "line_number": 3, "error_message": reason}
        assert data == (detail if "false" in path else [detail])
    rejects = server.rows(f"SELECT line, reason FROM point_rejects WHERE text LIKE '{name}%'")
    assert rejects == [(3, reason)]


def test_versions_differ_in_what_is_stored_of_a_body_with_a_bad_line(server: Server) -> None:
    for number, path in enumerate((V1, V2, V3, V3 + "&accept_partial=false")):
        body = f"partial{number} v=1\npartial{number} v\n"
        assert server.ask("POST", path, body.encode()).status == 400
    found = server.rows("SELECT measurement FROM series WHERE measurement LIKE 'partial%'")
    assert sorted(found) == [("partial0",), ("partial2",)]
    noted = server.rows(
        "SELECT text, line FROM point_rejects WHERE text LIKE 'partial%' ORDER BY id"
    )
    assert noted == [(f"partial{number} v", 2) for number in range(4)]


@pytest.mark.parametrize(
    ("path", "factor"),
    [
        *((f"{V1}&precision={unit}", factor) for unit, factor in (
            ("n", 1), ("ns", 1), ("u", 10**3), ("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9),
            ("h", 3600 * 10**9), ("", 1),
        )),
        *((f"{V2}&precision={unit}", factor) for unit, factor in (
            ("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9),
        )),
        *((f"{V3}&precision={unit}", factor) for unit, factor in (
            ("nanosecond", 1), ("microsecond", 10**3), ("millisecond", 10**6), ("second", 10**9),
            ("auto", 10**9),
        )),
    ],
)  # fmt: skip
def test_precision(server: Server, path: str, factor: int) -> None:
    assert server.ask("POST", path, b"precise v=1 400000\nprecise v=1 7").status == 204
    found = server.rows(
        "SELECT time FROM points_described WHERE measurement = 'precise' "
        f"AND time IN ({7 * factor}, {400_000 * factor})"
    )
    assert len(found) == 2


def test_the_size_of_a_time_tells_its_unit(server: Server) -> None:
    given = [
        (4_999_999_999, 10**9), (5_000_000_000, 10**6), (4_999_999_999_999, 10**6),
        (5 * 10**12, 10**3), (5 * 10**15 - 1, 10**3), (5 * 10**15, 1), (-4_999_999_999, 10**9),
    ]  # fmt: skip
    for line in range(40):  # so that most go the parser's fast way
        body = "".join(f"auto,n={line} v=1 {count}\n" for count, _ in given)
        assert server.ask("POST", V3, body.encode()).status == 204
    for line in (0, 39):
        found = server.rows(
            "SELECT time FROM points_described WHERE measurement = 'auto' "
            f'AND tags = \'{{"n":"{line}"}}\' ORDER BY time'
        )
        assert found == sorted({(count * factor,) for count, factor in given})


def test_a_comment_of_a_client_is_no_precision(server: Server) -> None:
    assert server.write("# precision=s\ncommented v=1 5") == 204
    assert server.rows("SELECT time FROM points_described WHERE measurement = 'commented'") == [
        (5,)
    ]


def test_what_is_no_text(server: Server) -> None:
    body = b"bytes v=1 1\nbytes,t=\xff v=1 2\n\xc3\xa9 v=1 3\n"
    answer = server.ask("POST", V1, body)
    assert answer.status == 400
    assert "unable to parse 'bytes,t=\N{REPLACEMENT CHARACTER} v=1 2'" in text(answer.body)
    assert server.rows("SELECT count(*) FROM series WHERE measurement IN ('bytes', 'é')") == [(2,)]


def test_gzip(server: Server) -> None:
    two = gzip.compress(b"zipped v=1 1\n") + gzip.compress(b"zipped v=2 2\n")
    for path, body, status in (
        (V1, two, 204),
        (V1, two[:-4], 400),
        (V2, b"zipped v=3 3", 400),
        (V3, b"", 204),
    ):
        assert server.ask("POST", path, body, Content_Encoding="gzip").status == status
    assert server.ask("POST", V1, b"zipped v=4 4", Content_Encoding="br").status == 400
    assert server.ask("POST", V1, b"zipped v=5 5", Content_Encoding="identity").status == 204
    found = server.rows("SELECT time FROM points_described WHERE measurement = 'zipped'")
    assert sorted(found) == [(1,), (2,), (5,)]


def test_a_large_body_is_stored_whole(server: Server) -> None:
    """Of more lines than are parsed at once, with something wrong in the last of them."""
    lines = [f"large,n={number % 7} v={number}i {number}\n" for number in range(45_000)]
    lines[44_000] = "large v\n"
    answer = server.ask("POST", V1, "".join(lines).encode())
    assert (
        text(answer.body)
        == "partial write: unable to parse 'large v': invalid field format dropped=0"
    )
    found = server.rows(
        "SELECT count(*), sum(value) FROM points_described WHERE measurement = 'large'"
    )
    assert found == [(44_999, sum(range(45_000)) - 44_000)]
    assert server.rows("SELECT line FROM point_rejects WHERE text = 'large v'") == [(44_001,)]


def test_metrics_add_up(server: Server) -> None:
    def told() -> dict[str, float]:
        page = server.ask("GET", "/metrics")
        assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return {
            sample.name + str(sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(page.body.decode())
            for sample in family.samples
        }

    before = told()
    assert server.write("metered a=1,b=2\nmetered a=3\n") == 204
    assert server.write("metered a=1\nmetered\n") == 400
    after = told()
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["gateway_serve_points_total[]"] == 4
    assert grown["gateway_serve_lines_total[]"] == 3
    assert grown["gateway_serve_rejects_total[]"] == 1
    assert grown["gateway_serve_bytes_total[]"] == 28 + 20
    assert grown["gateway_serve_requests_total['/write', '204']"] == 1
    assert grown["gateway_serve_requests_total['/write', '400']"] == 1
    assert after["gateway_serve_bytes_in_flight[]"] == 0
    assert after["gateway_serve_waiting_bytes[]"] > 0
    server.rows("SELECT 1")
    assert told()["gateway_serve_waiting_bytes[]"] == 0
    status = json.loads(server.ask("GET", "/api/status").body)
    assert status["points_total"] == after["gateway_serve_points_total[]"]
