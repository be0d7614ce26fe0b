"""Delivering: in groups, in order, again after failures, never more than the limit, by any number
of processes, in both databases.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from gateway_assets.errors import RegistryUnavailable
from gateway_assets.notify import deliver as delivering
from gateway_assets.notify.batches import LEASE, Taken, due_channels, retry_in, take
from gateway_assets.notify.deliver import Delivered, chance, deliver, deliver_forever
from gateway_assets.notify.outbox import requeue
from gateway_assets.notify.sink import State
from gateway_assets.registry.alerts import Channel, Notice
from gateway_assets.registry.database import Registry
from gateway_assets.settings import Settings, load_settings
from tests.collect.servers import refused_port, serving, silent
from tests.notify.receivers import OK, Receiver, receiver, status
from tests.notify.told import (
    NOON,
    Clock,
    add_channel,
    add_rule,
    never,
    notices,
    statuses,
    tell,
)


class World:
    """A registry with one rule, a clock, and settings."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self.registry = registry
        self.settings = settings
        self.clock = Clock()
        self.rule = add_rule(registry)

    def hook(self, there: Receiver, name: str = "hook", **config: Any) -> str:
        return add_channel(self.registry, name, "webhook", url=there.url, **config)

    def tell(self, seq: int, series: str = "s", state: State = State.FIRING, **given: Any) -> int:
        rule = given.pop("rule", self.rule)
        now = self.clock()
        return tell(self.registry, self.settings, rule, seq, series, state, now, **given)

    def deliver(self) -> Delivered:
        return deliver(self.registry, self.settings, self.clock, never)

    def after(self, seconds: float) -> Delivered:
        self.clock.forward(seconds)
        return self.deliver()

    def with_settings(self, **given: Any) -> None:
        self.settings = self.settings.model_copy(update=given)


@pytest.fixture
def world(registry: Registry, registry_settings: Settings) -> World:
    return World(registry, registry_settings)


def answers(*codes: int) -> Callable[[int], bytes]:
    """The n-th call gets the n-th code, those after the last one 204."""
    return lambda number: status(codes[number - 1]) if number <= len(codes) else OK


def test_nothing_to_be_done(world: World) -> None:
    assert world.deliver() == Delivered()


def test_the_first_of_a_group_waits_for_others(world: World) -> None:
    with receiver() as there:
        world.hook(there)
        world.tell(1, "a")
        assert world.after(9) == Delivered(waiting=1)
        world.tell(1, "b")
        world.tell(2, "a", State.RESOLVED)
        assert world.after(1) == Delivered(sent=3)
        assert world.after(3600) == Delivered()
    (call,) = there.calls
    assert call.steps == [("a", 1, "FIRING"), ("b", 1, "FIRING"), ("a", 2, "RESOLVED")]
    assert [one.sent_at for one in notices(world.registry)] == [NOON + timedelta(seconds=10)] * 3


def test_groups_and_channels_go_each_by_itself(world: World) -> None:
    other = add_rule(world.registry, "other")
    with receiver() as first, receiver() as second:
        world.hook(first, "first")
        world.hook(second, "second")
        world.tell(1, "a")
        world.tell(1, "a", rule=other)
        world.tell(2, "a", group_key="mine")
        assert world.after(10) == Delivered(sent=6)
    for there in (first, second):
        groups = [call.content["group_key"] for call in there.calls]
        assert groups == [f"rule:{world.rule}", f"rule:{other}", "mine"]


def test_a_large_group_goes_in_parts(world: World) -> None:
    with receiver() as there:
        world.hook(there)
        for number in range(101):
            world.tell(1, f"{number:03}")
        assert world.after(10) == Delivered(sent=101)
    assert [len(call.steps) for call in there.calls] == [100, 1]
    assert [step for call in there.calls for step in call.steps] == [
        (f"{number:03}", 1, "FIRING") for number in range(101)
    ]


def test_failures_are_tried_again_under_the_same_key(world: World) -> None:
    with receiver(answers(500, 503)) as there:
        world.hook(there)
        world.tell(1)
        assert world.after(10) == Delivered(failed=1, waiting=1)
        assert world.after(29) == Delivered(waiting=1)
        world.tell(2, state=State.RESOLVED)
        assert world.after(1) == Delivered(failed=1, waiting=2)
        assert world.after(59) == Delivered(waiting=2)
        assert world.after(1) == Delivered(sent=2)
    assert [call.steps for call in there.calls] == [[("s", 1, "FIRING")]] * 3 + [
        [("s", 2, "RESOLVED")]
    ]
    assert len({call.key for call in there.calls[:3]}) == 1
    assert there.calls[0].body == there.calls[2].body
    assert there.calls[3].key != there.calls[0].key
    assert [one.last_error for one in notices(world.registry)] == [None, None]


def test_a_receiver_says_when_to_come_again(world: World) -> None:
    with receiver(lambda n: status(429, "Retry-After: 100") if n == 1 else OK) as there:
        world.hook(there)
        world.tell(1)
        world.after(10)
        assert notices(world.registry)[0].last_error == "127.0.0.1 answered 429"
        assert world.after(99) == Delivered(waiting=1)
        assert world.after(1) == Delivered(sent=1)


def test_what_is_refused_is_dead_and_the_next_one_goes(world: World) -> None:
    with receiver(answers(400)) as there:
        world.hook(there)
        world.tell(1)
        assert world.after(10) == Delivered(dead=1)
        world.tell(2, state=State.RESOLVED)
        assert world.after(10) == Delivered(sent=1)
    assert statuses(world.registry) == ["DEAD", "SENT"]
    assert notices(world.registry)[0].last_error == "127.0.0.1 answered 400"
    assert len(there.calls) == 2


def test_after_the_last_attempt_it_is_dead_until_somebody_says_so(world: World) -> None:
    world.with_settings(notify_attempts=3)
    with receiver(answers(500, 500, 500)) as there:
        world.hook(there)
        world.tell(1)
        results = [world.after(3600) for _ in range(4)]
        assert results == [
            Delivered(failed=1, waiting=1),
            Delivered(failed=1, waiting=1),
            Delivered(dead=1),
            Delivered(),
        ]
        with world.registry.writing() as session:
            assert requeue(session, world.clock()) == 1
        assert world.deliver() == Delivered(sent=1)
    assert len(there.calls) == 4


def test_a_channel_that_is_off_waits(world: World) -> None:
    with receiver() as there:
        channel = world.hook(there)
        world.tell(1)
        with world.registry.writing() as session:
            session.execute(update(Channel).values(enabled=False))
        assert world.after(3600) == Delivered(waiting=1)
        with world.registry.writing() as session:
            assert due_channels(session, world.clock()) == []
            assert take(session, channel, world.clock(), world.settings) == Taken(None)
        assert there.calls == []
        with world.registry.writing() as session:
            session.execute(update(Channel).where(Channel.id == channel).values(enabled=True))
        assert world.deliver() == Delivered(sent=1)


def test_a_channel_that_fails_delays_no_other(world: World) -> None:
    with receiver() as there, serving(silent) as hanging:
        url = f"http://127.0.0.1:{refused_port()}/"
        add_channel(world.registry, "gone", "webhook", url=url)
        url = f"http://127.0.0.1:{hanging}/"
        add_channel(world.registry, "hangs", "webhook", url=url, timeout_seconds=0.2)
        add_channel(world.registry, "wrong", "webhook", colour="blue")
        world.hook(there)
        add_channel(world.registry, "log", "log")
        world.tell(1)
        assert world.after(10) == Delivered(sent=2, failed=3, waiting=3)
    found = {notice.last_error or "" for notice in notices(world.registry)}
    assert any("connection refused" in text for text in found)
    assert any("in time" in text for text in found)
    assert any("colour" in text for text in found)
    lines = (world.settings.data_dir / "notifications.log").read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1]


def test_a_channel_that_fails_costs_its_other_groups_no_attempt(world: World) -> None:
    with receiver(answers(500)) as there:
        world.hook(there)
        for number in range(3):
            world.tell(1, group_key=f"g{number}", series=f"{number}")
        assert world.after(10) == Delivered(failed=1, waiting=3)
        assert [one.attempts for one in notices(world.registry)] == [1, 0, 0]
        assert world.deliver() == Delivered(sent=2, waiting=1)
    assert len(there.calls) == 3


def test_what_exceeds_the_limit_is_told_in_one_summary(world: World) -> None:
    world.with_settings(notify_per_hour=2)
    with receiver() as there:
        world.hook(there)
        for number in range(6):
            world.tell(1, group_key=f"g{number}", series=f"{number}")
        assert world.after(10) == Delivered(sent=2, dropped=4)
        assert statuses(world.registry) == ["SENT"] * 2 + ["DROPPED"] * 4
        assert world.after(9) == Delivered()
        assert world.after(1) == Delivered()
        assert len(there.calls) == 3
        summary = there.calls[2].content
        assert summary["alerts"][0]["rule"] == "4 more notifications were held back"
        assert summary["alerts"][0]["state"] == "HELD_BACK"
        assert summary["alerts"][0]["message"].startswith("4 WARNING; see: gateway notif")
        assert world.after(60) == Delivered()
        assert all(one.sent_at for one in notices(world.registry))
        # One summary an hour: what is held back meanwhile is told when the hour is over.
        world.tell(2, group_key="g0", series="0")
        assert world.after(10) == Delivered(dropped=1)
        assert world.after(3600 - 71) == Delivered()
        assert len(there.calls) == 3
        assert world.after(1) == Delivered()
        assert there.calls[3].content["alerts"][0]["rule"].startswith("1 more")
        world.tell(3, group_key="g0", series="0")
        assert world.after(10) == Delivered(sent=1)


def test_a_summary_that_fails_is_tried_again_as_it_was(world: World) -> None:
    world.with_settings(notify_per_hour=1)
    with receiver(lambda n: status(500) if n == 2 else OK) as there:
        world.hook(there)
        world.tell(1, "a", group_key="g1")
        world.tell(1, "b", group_key="g2")
        assert world.after(10) == Delivered(sent=1, dropped=1)
        assert world.after(10) == Delivered(failed=1)
        world.tell(1, "c", group_key="g3")
        assert world.after(10) == Delivered(dropped=1)
        assert world.after(20) == Delivered()
        assert len(there.calls) == 3
        assert len({call.key for call in there.calls[1:]}) == 1
        assert there.calls[1].body == there.calls[2].body
        assert [bool(one.sent_at) for one in notices(world.registry)] == [True, True, False]


def test_what_failed_counts_for_the_limit_once(world: World) -> None:
    world.with_settings(notify_per_hour=1)
    with receiver(answers(500)) as there:
        world.hook(there)
        world.tell(1, "a", group_key="g1")
        assert world.after(10) == Delivered(failed=1, waiting=1)
        assert world.after(30) == Delivered(sent=1)
    assert len(there.calls) == 2


def test_a_claim_that_nobody_ends_is_taken_over(world: World) -> None:
    with receiver() as there:
        channel = world.hook(there)
        world.tell(1)
        world.clock.forward(10)
        with world.registry.writing() as session:
            assert take(session, channel, world.clock(), world.settings).batch
        world.tell(2)
        assert world.after(LEASE.total_seconds() - 1) == Delivered(waiting=2)
        assert world.after(1) == Delivered(sent=2)
    assert [call.steps for call in there.calls] == [[("s", 1, "FIRING")], [("s", 2, "FIRING")]]


def test_a_claim_that_always_ends_the_process_is_given_up(world: World) -> None:
    world.with_settings(notify_attempts=2)
    with receiver() as there:
        channel = world.hook(there)
        world.tell(1)
        world.clock.forward(10)
        for _ in range(2):
            with world.registry.writing() as session:
                assert take(session, channel, world.clock(), world.settings).batch
            world.clock.forward(LEASE.total_seconds())
        world.tell(2)
        assert world.after(10) == Delivered(dead=1, sent=1)
    assert statuses(world.registry) == ["DEAD", "SENT"]
    assert "killed" in (notices(world.registry)[0].last_error or "")


def test_who_comes_too_late_changes_nothing(world: World) -> None:
    """A claimer that slept past its lease, while another one's attempt failed as well."""

    def answer(number: int) -> bytes:
        if number == 1:
            with world.registry.writing() as session:
                values = {"attempts": 2, "due_at": NOON + timedelta(hours=1)}
                session.execute(update(Notice).values(**values))
        return status(500)

    with receiver(answer) as there:
        world.hook(there)
        world.tell(1)
        assert world.after(10) == Delivered(failed=0, waiting=1)
    (notice,) = notices(world.registry)
    assert (notice.attempts, notice.due_at) == (2, NOON + timedelta(hours=1))


def test_what_cannot_be_read_is_dead_and_the_others_go(world: World) -> None:
    with receiver() as there:
        world.hook(there)
        for seq in range(1, 4):
            world.tell(seq)
        with world.registry.writing() as session:
            session.execute(update(Notice).where(Notice.seq == 2).values(payload={"x": 1}))
        assert world.after(10) == Delivered(sent=2, dead=1)
    assert [call.steps for call in there.calls] == [[("s", 1, "FIRING"), ("s", 3, "FIRING")]]
    assert statuses(world.registry) == ["SENT", "DEAD", "SENT"]


@pytest.mark.parametrize("registries", [1, 2], ids=["threads", "processes"])
def test_several_deliverers_send_each_once(world: World, registries: int) -> None:
    with receiver() as there:
        world.hook(there)
        for number in range(40):
            world.tell(1, group_key=f"g{number % 20}", series=f"{number}")
        world.clock.forward(10)
        others = [Registry(world.settings) for _ in range(registries)]
        done: list[Delivered] = []

        def work(number: int) -> None:
            registry = others[number % registries]
            done.append(deliver(registry, world.settings, world.clock, never))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for other in others:
            other.close()
        rest = world.deliver()
    assert sum(one.sent for one in done) + rest.sent == 40
    steps = [step for call in there.calls for step in call.steps]
    assert len(steps) == len(set(steps)) == 40
    assert len(there.calls) == 20


@pytest.mark.parametrize("seed", range(4))
def test_whatever_fails_nothing_is_lost_and_order_is_kept(world: World, seed: int) -> None:
    chances = random.Random(seed)

    def answer(_: int) -> bytes:
        return chances.choice([OK, status(500), status(503), b"", b"HTTP/1.1 2", status(429)])

    with receiver(answer) as there:
        world.hook(there)
        world.with_settings(notify_attempts=100, notify_per_hour=100_000)
        steps = dict.fromkeys("abc", 0)
        for _ in range(40):
            series = chances.choice("abc")
            steps[series] += 1
            world.tell(steps[series], series, group_key="other" if series == "c" else "g")
            world.after(chances.choice([1, 10, 60]))
        for _ in range(100):
            if world.after(3600).waiting == 0:
                break
    assert set(statuses(world.registry)) == {"SENT"}
    assert _in_order(there, steps)


def _in_order(there: Receiver, steps: dict[str, int]) -> bool:
    """Each step came, and none for the first time after a later one."""
    first_seen: dict[str, list[int]] = {series: [] for series in steps}
    for call in there.calls:
        for series, seq, _ in call.steps:
            if seq not in first_seen[series]:
                first_seen[series].append(seq)
    return first_seen == {series: list(range(1, most + 1)) for series, most in steps.items()}


def test_how_long_to_wait() -> None:
    def seconds(attempts: int, asked: float | None = None, part: float = 0.0) -> float:
        return retry_in(attempts, asked, lambda: part).total_seconds()

    assert [seconds(n) for n in (1, 2, 3, 7, 8, 9, 1_000)] == [30, 60, 120, 1920, 3600, 3600, 3600]
    assert seconds(1, part=0.5) == 22.5
    assert (seconds(1, 5.0), seconds(1, 300.0)) == (30, 300)
    assert all(0 <= chance() < 1 for _ in range(100))


def test_a_registry_that_cannot_be_reached_is_an_error(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("GATEWAY_REGISTRY_URL", f"postgresql://x@127.0.0.1:{refused_port()}/x")
    registry = Registry(load_settings())
    with pytest.raises(RegistryUnavailable):
        deliver(registry, load_settings())
    registry.close()


def test_the_loop_goes_on_after_errors_and_ends_when_told(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(delivering, "EVERY_SECONDS", 0.01)
    stop = threading.Event()
    said: list[str] = []

    def heard() -> str:
        said.append(capfd.readouterr().err)
        return "".join(said)

    with receiver() as there:
        world.hook(there)
        world.with_settings(notify_group_seconds=0)
        loop = threading.Thread(
            target=deliver_forever, args=(world.registry, world.settings, stop), daemon=True
        )
        loop.start()
        world.tell(1)
        _until(lambda: statuses(world.registry) == ["SENT"])
        _rename(world.registry, "notifications", "hidden")
        _until(lambda: "notifications" in heard())
        _rename(world.registry, "hidden", "notifications")
        world.tell(2)
        _until(lambda: statuses(world.registry) == ["SENT", "SENT"])
        _until(lambda: "notifications are delivered again" in heard())
        stop.set()
        loop.join(30)
    assert not loop.is_alive()
    assert heard().count("gateway notifications: ") == 2


def test_in_the_loop_a_channel_that_hangs_delays_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(delivering, "_FAREWELL_SECONDS", 0.1)
    world.with_settings(notify_group_seconds=0)
    stop, there_is_more = threading.Event(), threading.Event()
    hanging: list[bool] = []

    def hang(_: object) -> None:
        hanging.append(True)
        there_is_more.wait(60)

    with receiver() as there, serving(hang) as port:
        url = f"http://127.0.0.1:{port}/"
        add_channel(world.registry, "hangs", "webhook", url=url, timeout_seconds=60)
        world.hook(there)
        loop = threading.Thread(
            target=deliver_forever, args=(world.registry, world.settings, stop), daemon=True
        )
        loop.start()
        for seq in (1, 2):
            world.tell(seq, group_key=f"g{seq}")
            _until(lambda seq=seq: len(there.calls) == seq and bool(hanging))  # type: ignore[misc]
        _until(lambda: statuses(world.registry).count("SENT") == 2)
        assert len(hanging) == 1
        stop.set()
        there_is_more.set()
        loop.join(30)
    assert not loop.is_alive()


def _rename(registry: Registry, old: str, new: str) -> None:
    with registry.writing() as session:
        session.connection().exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


def _until(holds: Callable[[], bool], turns: int = 3_000) -> None:
    pause = threading.Event()
    for _ in range(turns):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come about")
