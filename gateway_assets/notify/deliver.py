"""Sends what is due: each channel in a thread of its own, so that one that hangs delays no other.

A channel that does not answer is left alone until the next pass, so its other groups lose no
attempt by that.
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from gateway_assets.collect.parallel import in_parallel
from gateway_assets.errors import GatewayError, SinkRefused, SinkUnavailable
from gateway_assets.notify import batches
from gateway_assets.notify.batches import Batch
from gateway_assets.notify.channels import sink_of
from gateway_assets.registry.database import Registry
from gateway_assets.settings import Settings

Clock = Callable[[], datetime]
Random = Callable[[], float]
EVERY_SECONDS = 1.0
_PASS_SECONDS = 30.0  # after which a channel begins no other call
_LONGEST_CALL = 60.0
_BUSY_SECONDS = 60.0  # that other writers of the registry may take, all in all
_FAREWELL_SECONDS = 5.0
_THREADS = 32


class Delivered(NamedTuple):
    """What a pass did, in notifications: SENT, failed and to be tried again, DEAD, held back by
    the limit of an hour; and how many wait now, due or not.
    """

    sent: int = 0
    failed: int = 0
    dead: int = 0
    dropped: int = 0
    waiting: int = 0

    def plus(self, other: Delivered) -> Delivered:
        return Delivered(*(a + b for a, b in zip(self, other, strict=True)))


def utc_now() -> datetime:
    return datetime.now(UTC)


def chance() -> float:
    """At least 0, less than 1."""
    return secrets.randbelow(2**32) / 2**32


def deliver(
    registry: Registry, settings: Settings, clock: Clock = utc_now, random: Random = chance
) -> Delivered:
    """Send all that is due by ``clock``. Any number of processes may do it at the same time.

    Raises what kept a channel from it altogether (Busy, RegistryError), after the others.
    """
    with registry.reading() as session:
        ids = batches.due_channels(session, clock())
    jobs = {id_: partial(_caught, registry, id_, settings, clock, random) for id_ in ids}
    deadline = time.monotonic() + _PASS_SECONDS + _LONGEST_CALL + _BUSY_SECONDS
    done = in_parallel(jobs, _THREADS, deadline)
    total = Delivered()
    problem: Exception | None = None
    for result in done.values():
        if isinstance(result, Delivered):
            total = total.plus(result)
        else:
            problem = problem or result
    if problem:
        raise problem
    with registry.reading() as session:
        return total._replace(waiting=batches.waiting(session))


def deliver_forever(registry: Registry, settings: Settings, stop: threading.Event) -> None:
    """Look each second for channels that have something due, and deliver, until ``stop`` is set.

    A channel that is still at work is left to it, so the others never wait. What fails is said
    once, and tried again. A call that lasts longer than a few seconds after ``stop`` is left
    behind, as if the process had been killed.
    """
    working: dict[str, threading.Thread] = {}
    problems: SimpleQueue[Exception] = SimpleQueue()
    said = ""
    while not stop.is_set():
        _start_due(registry, settings, working, problems)
        problem = "" if problems.empty() else _told(problems.get())
        if problem != said and (problem or not _at_work(working)):
            _say(problem or "notifications are delivered again")
            said = problem
        stop.wait(EVERY_SECONDS)
    until = time.monotonic() + _FAREWELL_SECONDS
    for thread in working.values():
        thread.join(max(0.0, until - time.monotonic()))


def _start_due(
    registry: Registry,
    settings: Settings,
    working: dict[str, threading.Thread],
    problems: SimpleQueue[Exception],
) -> None:
    def work(channel_id: str) -> None:
        done = _caught(registry, channel_id, settings, utc_now, chance)
        if isinstance(done, Exception):
            problems.put(done)

    try:
        with registry.reading() as session:
            ids = batches.due_channels(session, utc_now())
    except Exception as error:  # noqa: BLE001  the loop outlives whatever it is
        problems.put(error)
        return
    for id_ in ids:
        if id_ not in working or not working[id_].is_alive():
            working[id_] = threading.Thread(target=work, args=(id_,), daemon=True)
            working[id_].start()


def _at_work(working: dict[str, threading.Thread]) -> bool:
    return any(thread.is_alive() for thread in working.values())


def _caught(
    registry: Registry, channel_id: str, settings: Settings, clock: Clock, random: Random
) -> Delivered | Exception:
    """A thread's error is raised by who waits for it."""
    try:
        return _deliver_channel(registry, channel_id, settings, clock, random)
    except Exception as error:  # noqa: BLE001
        return error


def _deliver_channel(
    registry: Registry, channel_id: str, settings: Settings, clock: Clock, random: Random
) -> Delivered:
    total = Delivered()
    until = time.monotonic() + _PASS_SECONDS
    while time.monotonic() < until:
        with registry.writing() as session:
            taken = batches.take(session, channel_id, clock(), settings)
        total = total.plus(Delivered(dropped=taken.dropped, dead=taken.dead))
        if taken.batch is None:
            if taken.dead:
                continue
            break
        done = _attempted(registry, taken.batch, settings, clock, random)
        total = total.plus(done)
        if done.failed:
            break
    return total


def _attempted(
    registry: Registry, batch: Batch, settings: Settings, clock: Clock, random: Random
) -> Delivered:
    try:
        messages = batch.messages
    except ValueError:
        with registry.writing() as session:
            return Delivered(dead=batches.mark_unreadable(session, batch))
    try:
        note = sink_of(batch.channel, settings).send(messages)
    except SinkRefused as error:
        with registry.writing() as session:
            return Delivered(dead=batches.mark_dead(session, batch, error.message))
    except Exception as error:  # noqa: BLE001  a defect, too, must not cost a notification
        return _failed(registry, batch, error, settings, clock, random)
    with registry.writing() as session:
        sent = batches.mark_sent(session, batch, clock(), note)
    return Delivered() if batch.is_summary else Delivered(sent=sent)


def _failed(
    registry: Registry,
    batch: Batch,
    error: Exception,
    settings: Settings,
    clock: Clock,
    random: Random,
) -> Delivered:
    told = _told(error)
    with registry.writing() as session:
        if batch.attempts >= settings.notify_attempts:
            return Delivered(dead=batches.mark_dead(session, batch, told))
        asked = error.retry_after if isinstance(error, SinkUnavailable) else None
        due_at = clock() + batches.retry_in(batch.attempts, asked, random)
        return Delivered(failed=batches.mark_failed(session, batch, due_at, told))


def _told(error: Exception) -> str:
    return error.message if isinstance(error, GatewayError) else type(error).__name__


def _say(text: str) -> None:
    """One line; a reader that has gone is no reason to stop."""
    with suppress(OSError):
        sys.stderr.write(f"gateway notifications: {text}\n")
        sys.stderr.flush()
