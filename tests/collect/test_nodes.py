"""Which nodes a cluster has, and which of them are the same as before."""

from __future__ import annotations

from gateway_assets.collect.nodes import leader_of, listed, nodes_of
from gateway_assets.collect.observed import Node, Record
from tests.collect.looks import backend, frontend, table, vertical


def test_nodes_of_real_answers() -> None:
    answers = {
        "frontends": vertical("frontends_2022-12_k8s.txt"),
        "backends": table("backends_3.3.10_table_1.txt"),
        "compute_nodes": vertical("compute_nodes_3.3.4-ee.txt"),
    }
    nodes = nodes_of(answers)
    assert [node.kind for node in nodes] == ["fe"] * 2 + ["be"] * 6 + ["cn"]
    name = "sr-fe-1.sr-fe-headless.sr.svc.cluster.local"
    assert nodes[0] == Node("fe", f"fe:{name}_9010_1670780893410", f"{name}:9010", name, 8030)
    assert nodes[2].key == "be:10003"
    assert nodes[-1] == Node("cn", "cn:11002", "10.11.12.13:9050", "10.11.12.13", 8040)


def test_dead_nodes_are_nodes() -> None:
    (dead,) = nodes_of({"frontends": table("frontends_dead_row_table.txt")})
    assert (dead.address, dead.http_port) == ("xxx.xx.xx.xxx:9009", 7390)


def test_a_frontend_without_a_name_is_known_by_its_address() -> None:
    nameless = frontend(1, Name=None)
    assert nodes_of({"frontends": [nameless]})[0].key == "fe:10.0.0.1:9010"


def test_rows_that_name_no_node() -> None:
    strange: list[Record] = [{}, {"IP": None}, backend(1, HttpPort="99999"), backend(1)]
    assert [node.http_port for node in nodes_of({"backends": strange})] == [0]


def test_the_leader() -> None:
    old = [frontend(1, Role="FOLLOWER", IsMaster="false"), frontend(2, IsMaster="true")]
    leader = leader_of(listed({"frontends": old}))
    assert leader
    assert leader.node.host == "10.0.0.2"
    gone = [frontend(1, Alive="false"), frontend(2)]
    assert leader_of(listed({"frontends": gone})) is None
