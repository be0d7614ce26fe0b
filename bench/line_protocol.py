"""Line protocol: lines a second, each figure beside its target.

    parse  line protocol of TSBS' shapes, one line after the other by line-protocol-parser where it
           is installed (a C extension; it takes one line a call, and knows no body)

Rates are of CPU time of this process. A body has 50,000 lines of one shape, made in advance, of 100
hosts where nothing else is said. ``ours`` has read the body before, ``first`` is a parser that has
seen nothing yet, ``grammar`` one that never learns.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from random import Random

from side_by_side import Figures, aims, in_turns, print_heading, print_table, ratio

from gateway_assets.points.line_protocol import Parser

LINES, START, STEP = 50_000, 1_451_606_400_000_000_000, 10_000_000_000
USAGES = "user,system,idle,nice,iowait,irq,softirq,steal,guest,guest_nice"
C_PARSER = "line_protocol_parser"


def cpu(hosts: int) -> bytes:
    """TSBS' cpu-only: ten tags, ten integers."""
    random = Random(hosts)
    heads = [
        f"cpu,hostname=host_{n},region=eu-central-1,datacenter=eu-central-1a,rack={n % 100},"
        f"os=Ubuntu16.04LTS,arch=x64,team=SF,service={n % 20},service_version=1,"
        "service_environment=production"
        for n in range(hosts)
    ]
    return _body(
        heads,
        lambda: ",".join(f"usage_{name}={random.randint(0, 100)}i" for name in USAGES.split(",")),
    )


def readings(hosts: int) -> bytes:
    """TSBS' iot readings: five tags, ten floats."""
    random = Random(hosts)
    heads = [
        f"readings,name=truck_{n},fleet=East,driver=Derek,model=G-2000,device_version=v1.5"
        for n in range(hosts)
    ]
    return _body(
        heads,
        lambda: (
            "load_capacity=5000,fuel_capacity=300,nominal_fuel_consumption=19,"
            f"latitude={random.uniform(0, 90):.5f},longitude={random.uniform(0, 180):.5f},"
            f"elevation={random.randint(0, 500)},velocity={random.randint(0, 100)},"
            f"heading={random.randint(0, 360)},grade={random.randint(0, 100)},"
            f"fuel_consumption={random.uniform(0, 50):.1f}"
        ),
    )


def single(hosts: int) -> bytes:
    """Two tags, one float."""
    random = Random(hosts)
    heads = [f"temperature,device=boiler_{n},site=north" for n in range(hosts)]
    return _body(heads, lambda: f"value={random.uniform(0, 90):.2f}")


def _body(heads: list[str], fields: Callable[[], str]) -> bytes:
    return "".join(
        f"{heads[n % len(heads)]} {fields()} {START + n // len(heads) * STEP}\n"
        for n in range(LINES)
    ).encode()


def parse() -> None:
    bodies = {
        "10 integers": cpu(100),
        "10 integers of 4,000 hosts": cpu(4_000),
        "10 floats": readings(100),
        "1 float": single(100),
    }
    rows, rates = [], {}
    for name, body in bodies.items():
        warm = Parser()
        assert len(warm.parse(body, now=0).lines) == LINES
        ways = {
            "ours": _timed(lambda warm=warm, body=body: warm.parse(body, now=0)),
            "first": _timed(lambda body=body: Parser().parse(body, now=0)),
            "grammar": _timed(lambda body=body: Parser(learn_after=0).parse(body, now=0)),
        }
        if importlib.util.find_spec(C_PARSER):
            ways[C_PARSER] = _timed(_by_c(body))
        found = {way: LINES / one["cpu"] for way, one in in_turns(ways, rounds=5).items()}
        other = found.get(C_PARSER)
        rates[name] = found["ours"]
        rows.append(
            [
                f"{name}, {len(body) / LINES:.0f} bytes a line",
                *(f"{found[way]:,.0f}" for way in ("ours", "first", "grammar")),
                f"{other:,.0f}" if other else "not installed",
                ratio(found["ours"], other) if other else "",
            ]
        )
    print_table(["lines/s", "ours", "first", "grammar", C_PARSER, "faster"], rows)
    aims(
        ("10 integers, lines/s", rates["10 integers"], ">=", 100_000),
        ("1 float, lines/s", rates["1 float"], ">=", 150_000),
    )


def _by_c(body: bytes) -> Callable[[], object]:
    from line_protocol_parser import parse_line  # noqa: PLC0415

    lines = body.decode().splitlines()
    return lambda: list(map(parse_line, lines))


def _timed(work: Callable[[], object]) -> Callable[[], Figures]:
    def run() -> Figures:
        before = time.process_time()
        work()
        return {"cpu": time.process_time() - before}

    return run


def main() -> None:
    parts: dict[str, Callable[[], None]] = {"parse": parse}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "what", nargs="*", default=list(parts), metavar="what", help=", ".join(parts)
    )
    asked = parser.parse_args()
    print_heading(__doc__)
    for what in asked.what:
        parts[what]()


if __name__ == "__main__":
    main()
