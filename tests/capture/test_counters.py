"""Counters add every letter once, whatever is killed, and never fall."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway_assets.capture.addresses import address_of
from gateway_assets.capture.metrics import counters as module
from gateway_assets.capture.metrics.counters import OTHER, Bytes, Counters, Letter, Policy
from gateway_assets.capture.metrics.letters import letter_of

BOOT, NEXT_BOOT = bytes(range(16)), bytes(range(1, 17))
SMALL = Policy(slots=256, series=3, admit_bytes=100, ttl=60)


class Killed(Exception):
    """In place of SIGKILL, at one write of many."""


def opened(folder: Path, policy: Policy = SMALL, boot: bytes = BOOT) -> Counters:
    return Counters(folder / "counters", policy, boot, 1_000_000)


def letter(sequence: int, amounts: dict[str, tuple[int, int]], seconds: int = 10) -> Letter:
    rows = ((remote, "curl", None, "socket", tx, rx) for remote, (tx, rx) in amounts.items())
    return letter_of("0badcafe", sequence, seconds, rows)


def series(counters: Counters) -> dict[str, Bytes]:
    return {address_of(key): Bytes(tx, rx) for key, tx, rx in counters.series()}


def state(counters: Counters) -> dict[str, Any]:
    return {
        "total": counters.total,
        "other": counters.other,
        "series": series(counters),
        "countries": dict(counters.countries()),
        "processes": dict(counters.processes()),
    }


def test_each_byte_is_in_one_series_and_series_begin_at_zero(tmp_path: Path) -> None:
    counters = opened(tmp_path)
    counters.add(letter(0, {"192.0.2.1": (90, 0), "2001:db8::1": (1, 2)}))
    assert (series(counters), counters.other) == ({}, (91, 2))
    counters.add(letter(1, {"192.0.2.1": (20, 5)}))
    assert series(counters) == {"192.0.2.1": Bytes(0, 0)}
    counters.add(letter(2, {"192.0.2.1": (7, 8), "2001:db8::1": (1, 0)}))
    assert series(counters) == {"192.0.2.1": Bytes(7, 8)}
    assert counters.total == (119, 15)
    assert counters.other == (112, 7)
    assert counters.remote("192.0.2.1") == (117, 13)
    assert dict(counters.countries()) == {"ZZ": Bytes(119, 15)}
    assert dict(counters.processes()) == {"curl\t": Bytes(119, 15)}


def test_a_series_ends_after_silence_and_returns_at_zero(tmp_path: Path) -> None:
    counters = opened(tmp_path)
    counters.add(letter(0, {"192.0.2.1": (100, 0)}, seconds=0))
    counters.add(letter(1, {"192.0.2.1": (5, 0)}, seconds=60))
    counters.add(letter(2, {"192.0.2.2": (1, 0)}, seconds=121))
    assert series(counters) == {}
    counters.add(letter(3, {"192.0.2.1": (9, 0)}, seconds=122))
    assert series(counters) == {"192.0.2.1": Bytes(0, 0)}
    assert counters.other == (110, 0)
    assert counters.total == (115, 0)


def test_the_number_of_series_is_bounded(tmp_path: Path) -> None:
    counters = opened(tmp_path)
    counters.add(letter(0, {f"192.0.2.{n}": (1000, 0) for n in range(9)}))
    assert counters.admitted == 3
    assert counters.total == (9000, 0)


def test_they_survive_a_restart_and_a_reboot_that_was_announced(tmp_path: Path) -> None:
    counters = opened(tmp_path)
    for sequence in range(2):
        counters.add(letter(sequence, {"192.0.2.1": (100, 3)}))
    before = state(counters)
    counters.close()
    for boot in (BOOT, NEXT_BOOT, BOOT):
        counters = opened(tmp_path, boot=boot)
        assert state(counters) == before
        assert counters.last == (b"0badcafe", 1, True)
        counters.close()
    del counters
    opened(tmp_path)  # and not closed: as if killed
    assert state(opened(tmp_path)) == before
    reset = opened(tmp_path, boot=NEXT_BOOT)
    assert reset.is_new
    assert reset.total == (0, 0)


def test_a_damaged_or_other_file_is_not_taken(tmp_path: Path) -> None:
    for content in (b"", b"x" * 100, b"\0" * (opened(tmp_path)._map.size())):
        (tmp_path / "counters").write_bytes(content)
        assert opened(tmp_path).is_new
    assert opened(tmp_path, SMALL._replace(slots=512)).is_new


def test_a_full_table_forgets_the_one_idle_for_longest(tmp_path: Path) -> None:
    counters = opened(tmp_path, Policy(slots=128, series=1, admit_bytes=10_000))
    counters.add(letter(0, {"192.0.2.255": (20_000, 0)}, seconds=0))
    for number in range(300):
        counters.add(letter(number + 1, {f"198.51.{number // 250}.{number % 250}": (1, 1)}, number))
    assert counters.tracked == 128
    assert counters.evicted == 301 - 128
    assert counters.total == (20_300, 300)
    assert counters.remote("192.0.2.255") == (20_000, 0)  # one with a series stays
    assert counters.remote("198.51.0.10") is None
    assert counters.remote("198.51.1.49") == (1, 1)


def test_more_names_than_places_share_one(tmp_path: Path) -> None:
    counters = opened(tmp_path)
    for number in range(400):
        rows = [("192.0.2.1", f"p{number}", "x" * 200, None, 1, 0)]
        counters.add(letter_of("0badcafe", number, 1, rows))
    found = dict(counters.processes())
    assert len(found) <= 256
    assert found[OTHER].tx > 100
    assert sum(amounts.tx for amounts in found.values()) == 400
    counters.close()
    again = dict(opened(tmp_path).processes())
    assert again == found


letters = st.lists(
    st.dictionaries(
        st.integers(0, 300).map(lambda n: f"198.51.{n // 250}.{n % 250}"),
        st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)),
        max_size=12,
    ),
    min_size=1,
    max_size=6,
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(letters, st.integers(0, 2**16))
def test_killed_at_any_write_and_continued_they_are_as_if_nothing_was(
    tmp_path_factory: pytest.TempPathFactory, given_letters: list[dict[str, Any]], seed: int
) -> None:
    folder, whole = tmp_path_factory.mktemp("killed"), tmp_path_factory.mktemp("whole")
    policy = SMALL._replace(slots=512)
    reference = opened(whole, policy)
    counters = opened(folder, policy)
    falling = dict[str, int]()
    for sequence, amounts in enumerate(given_letters):
        one = letter(sequence, amounts, seconds=sequence)
        reference.add(one)
        counters = _killed_and_opened(folder, policy, counters, one, seed + sequence)
        for name, value in series(counters).items():
            assert value.tx >= falling.get(name, 0)
            falling[name] = value.tx
    assert {**state(counters), "series": 0} == {**state(reference), "series": 0}
    assert sum(v.tx for v in series(counters).values()) == sum(
        v.tx for v in series(reference).values()
    )
    total = sum(value.tx for value in series(counters).values()) + counters.other.tx
    assert total == counters.total.tx == sum(tx for one in given_letters for tx, _ in one.values())


def _killed_and_opened(
    folder: Path, policy: Policy, counters: Counters, one: Letter, seed: int
) -> Counters:
    """Add a letter, but stop at one of its writes, then go on in another process' place."""
    left = seed % 40
    real = module._add, Counters._mark, Counters._count, Counters._end

    def counting(function: Any) -> Any:
        def call(*given: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return function(*given)

        return call

    try:
        module._add = counting(real[0])
        Counters._mark = counting(real[1])  # type: ignore[method-assign]
        Counters._count = counting(real[2])  # type: ignore[method-assign]
        Counters._end = counting(real[3])  # type: ignore[method-assign]
        counters.add(one)
    except Killed:
        pass
    finally:
        module._add = real[0]
        Counters._mark, Counters._count, Counters._end = real[1:]  # type: ignore[method-assign]
    again = opened(folder, policy)
    if not again.last[2] or again.last[1] != one.sequence:
        again.add(one)
    return again
