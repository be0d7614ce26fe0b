"""A deliverer that is killed, wherever: at least once, under the same key, in order, none lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from gateway_assets.notify.batches import LEASE
from gateway_assets.notify.deliver import Delivered, deliver
from gateway_assets.registry.database import Registry
from gateway_assets.settings import Settings
from tests.notify.receivers import OK, Receiver, receiver
from tests.notify.told import Clock, add_channel, add_rule, never, notices, tell

DELIVER = [sys.executable, "-c", "from gateway_assets.cli.main import main; main()"]
DELIVER += ["notifications", "deliver"]


def test_killed_at_any_call(registry: Registry, registry_settings: Settings) -> None:
    add_rule(registry)
    with receiver() as there:
        add_channel(registry, "hook", "webhook", url=there.url)
        command = [sys.executable, "-m", "tests.notify.kills", "331", "2503"]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=300, env=_environment()
        )
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout)["kills"]
    assert kills > 5
    assert {step for call in there.calls for step in call.steps} == {
        step
        for trial in range(kills + 1)
        for step in (
            (f"trial {trial}", 1, "FIRING"),
            (f"trial {trial}", 2, "RESOLVED"),
            (f"other {trial}", 1, "FIRING"),
        )
    }
    _same_again_or_new(there)
    assert len(notices(registry)) == 3 * (kills + 1)


def test_killed_between_sending_and_marking(
    registry: Registry, registry_settings: Settings
) -> None:
    """The receiver has taken it, and kills the sender before that hears of it."""
    rule = add_rule(registry)
    with receiver() as there:
        add_channel(registry, "hook", "webhook", url=there.url)
        tell(registry, registry_settings, rule, 1)
        with subprocess.Popen(DELIVER, env=_environment()) as process:

            def answer(number: int) -> bytes:
                if number == 1:
                    process.kill()
                    process.wait()
                return OK

            there.answer = answer
            assert process.wait(60) == -9
        assert [one.status for one in notices(registry)] == ["PENDING"]
        clock = Clock(notices(registry)[0].due_at)
        clock.forward(-1)
        assert deliver(registry, registry_settings, clock, never) == Delivered(waiting=1)
        clock.forward(LEASE.total_seconds())
        assert deliver(registry, registry_settings, clock, never) == Delivered(sent=1)
    assert len(there.calls) == 2
    _same_again_or_new(there)


def _same_again_or_new(there: Receiver) -> None:
    """A step comes again under the same key and in the same words only."""
    bodies: dict[str, bytes] = {}
    keys: dict[tuple[str, int, str], str] = {}
    for call in there.calls:
        assert bodies.setdefault(call.key, call.body) == call.body
        for step in call.steps:
            assert keys.setdefault(step, call.key) == call.key


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
