"""What people do with alarms, and what an alarm's life looks like from outside."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from gateway_assets.alarms.actions import (
    acknowledge,
    close,
    in_service,
    out_of_service,
    reset,
    shelve,
    unshelve,
)
from gateway_assets.alarms.machine import advance, expire_shelf, silence
from gateway_assets.alarms.rule import Escalation, Level, NoData, Op, Rule
from gateway_assets.alarms.state import Ack, Condition, State, Step, Suppression
from gateway_assets.errors import StoreError, UsageError

HOT: dict[str, Any] = {"id": "hot", "op": Op.GT, "threshold": 80.0}


def _lived(
    *values: float | None, state: State | None = None, start: int = 0, **fields: Any
) -> Step:
    samples = [(start + time, value, None) for time, value in enumerate(values)]
    return advance(Rule(**HOT, **fields), state or State(), samples)


def _told(step: Step) -> list[tuple[str, str, bool]]:
    return [(each.from_state, each.to_state, each.notify) for each in step.transitions]


def test_an_alarm_fires_is_seen_and_ends() -> None:
    fired = _lived(70, 90)
    assert _told(fired) == [("NORMAL", "ACTIVE", True)]
    assert fired.state.ack is Ack.UNACK
    seen = acknowledge(fired.state, "ann", "looking", 2)
    assert _told(seen) == [("UNACK", "ACK", False)]
    assert (seen.transitions[0].actor, seen.transitions[0].reason) == ("ann", "looking")
    assert acknowledge(seen.state, "bob", "", 3) == Step(seen.state)
    ended = _lived(70, state=seen.state, start=4)
    assert _told(ended) == [("ACTIVE", "NORMAL", True)]
    assert ended.state.ack is Ack.NONE
    assert [step.transitions[0].seq for step in (fired, seen, ended)] == [1, 2, 3]


def test_one_that_nobody_saw_waits() -> None:
    ended = _lived(90, 70)
    assert _told(ended)[-1] == ("ACTIVE", "RTN_UNACK", True)
    assert ended.state.standing == "RTN_UNACK"
    seen = acknowledge(ended.state, "ann", "", 5)
    assert _told(seen) == [("UNACK", "ACK", False), ("RTN_UNACK", "NORMAL", False)]
    assert seen.state.standing == "NORMAL"


def test_a_latched_one_waits_to_be_reset() -> None:
    active = _lived(90, latched=True).state
    with pytest.raises(UsageError, match="active"):
        reset(active, "ann", "", 1)
    seen = acknowledge(active, "ann", "", 1).state
    ended = _lived(70, state=seen, start=2, latched=True)
    assert _told(ended) == [("ACTIVE", "RTN_UNACK", True)]
    done = reset(ended.state, "ann", "valve mended", 3)
    assert _told(done) == [("RTN_UNACK", "NORMAL", False)]
    assert done.state.standing == "NORMAL"
    assert reset(done.state, "ann", "", 4) == Step(done.state)
    unseen = _lived(90, 70, latched=True).state
    assert reset(unseen, "ann", "", 3).state.standing == "NORMAL"


def test_a_shelved_alarm_is_told_when_its_shelf_ends() -> None:
    rule = Rule(**HOT)
    shelved = shelve(rule, State(), "ann", "sensor is being moved", 100, 0, 100)
    assert _told(shelved) == [("NONE", "SHELVED", False)]
    fired = _lived(90, state=shelved.state, start=1)
    assert _told(fired) == [("NORMAL", "ACTIVE", False)]
    assert expire_shelf(rule, fired.state, 99) == Step(fired.state)
    expired = expire_shelf(rule, fired.state, 500)
    assert _told(expired) == [("SHELVED", "NONE", True)]
    assert expired.transitions[0].event_time == 100
    assert _lived(91, state=fired.state, start=500).transitions == expired.transitions
    assert _told(unshelve(fired.state, "ann", "moved", 50)) == [("SHELVED", "NONE", True)]
    assert unshelve(expired.state, "ann", "", 600) == Step(expired.state)
    assert _told(_lived(70, state=expired.state, start=600)) == [("ACTIVE", "RTN_UNACK", True)]


def test_what_is_opened_again_in_silence_and_stays_is_told() -> None:
    again = _lived(90, 70, 90, 70, cooldown=3).state
    stays = _lived(90, 90, 90, 90, state=again, start=4, cooldown=3)
    assert _told(stays) == [("RTN_UNACK", "ACTIVE", False)]
    told = _lived(90, 90, state=stays.state, start=8, cooldown=3)
    assert _told(told) == [("ACTIVE", "ACTIVE", True)]
    assert told.transitions[0].event_time == 8
    assert _told(_lived(70, state=told.state, start=10, cooldown=3))[0][2]
    seen = acknowledge(stays.state, "ann", "", 7).state
    assert _told(_lived(90, state=seen, start=8, cooldown=3)) == []


def test_whoever_was_not_told_of_the_start_is_not_told_of_the_end() -> None:
    out = out_of_service(State(), "ann", "repair", 0).state
    fired = _lived(90, state=out, start=1).state
    gone = _lived(70, state=fired, start=2).state
    assert _told(in_service(gone, "ann", "", 3)) == [("OUT_OF_SERVICE", "NONE", False)]
    back = in_service(fired, "ann", "", 2)
    assert _told(back) == [("OUT_OF_SERVICE", "NONE", True)]


@pytest.mark.parametrize(
    ("actor", "reason", "until"),
    [("", "noise", 50), ("ann", " ", 50), ("ann", "noise", 10), ("ann", "noise", 111)],
    ids=["nobody", "no reason", "past", "too long"],
)
def test_a_shelf_needs_a_name_a_reason_and_an_end(actor: str, reason: str, until: int) -> None:
    with pytest.raises(UsageError) as refused:
        shelve(Rule(**HOT), State(), actor, reason, until, 10, 100)
    assert refused.value.hint


def test_what_is_out_of_service_is_not_shelved() -> None:
    out = out_of_service(State(), "ann", "repair", 0)
    assert out_of_service(out.state, "bob", "too", 1) == Step(out.state)
    with pytest.raises(UsageError, match="out of service"):
        shelve(Rule(**HOT), out.state, "ann", "noise", 50, 10, 100)


def test_actions_need_names() -> None:
    for act in (acknowledge, reset, unshelve, out_of_service, in_service):
        with pytest.raises(UsageError):
            act(State(), " ", "why", 1)
    with pytest.raises(UsageError):
        close(State(), "", 1)


def test_a_closed_alarm_is_over_and_never_opens_again() -> None:
    fired = _lived(90, cooldown=100, latched=True).state
    closed = close(fired, "rule_changed", 5)
    assert _told(closed) == [("ACTIVE", "NORMAL", True)]
    assert closed.state.standing == "NORMAL"
    assert _lived(91, state=closed.state, start=6, cooldown=100).state.occurrence == 2
    twice = _lived(90, 70, 90, cooldown=100).state
    assert (twice.occurrence, twice.flap_count) == (1, 1)
    closed = close(twice, "rule_changed", 5)
    assert _lived(91, state=closed.state, start=6, cooldown=100).state.occurrence == 2
    waits = _lived(70, state=fired, start=1, latched=True).state
    assert _told(close(waits, "rule_deleted", 5)) == [("RTN_UNACK", "NORMAL", False)]
    assert close(State(), "rule_deleted", 5).transitions == ()
    assert close(_lived(90, on_delay=5).state, "x", 5).state.condition is Condition.NORMAL


def test_no_alarm_ends_by_age() -> None:
    day = 86_400 * 10**9
    fired = _lived(90, max_gap=3600 * 10**9).state
    gone = silence(Rule(**HOT, max_gap=3600 * 10**9), fired, 365 * day)
    assert _told(gone) == [("OK", "STALE", True)]
    assert gone.state.condition is Condition.ACTIVE


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (NoData.KEEP, [("OK", "STALE", True)]),
        (NoData.ALARM, [("OK", "STALE", True), ("NORMAL", "ACTIVE", True)]),
        (NoData.RESOLVE, [("OK", "STALE", True)]),
    ],
    ids=str,
)
def test_silence_does_what_the_rule_says(policy: NoData, told: list[tuple[str, str, bool]]) -> None:
    rule = Rule(**HOT, max_gap=10, no_data=policy)
    quiet = advance(rule, State(), [(0, 70, None)]).state
    assert silence(rule, quiet, 10) == Step(quiet)
    gone = silence(rule, quiet, 11)
    assert _told(gone) == told
    assert {each.event_time for each in gone.transitions} == {10}
    assert advance(rule, quiet, [(500, 70, None)]).transitions[: len(told)] == gone.transitions
    active = advance(rule, State(), [(0, 90, None)]).state
    resolves = ("ACTIVE", "RTN_UNACK", True) in _told(silence(rule, active, 11))
    assert resolves is (policy is NoData.RESOLVE)


def test_a_good_sample_ends_silence_and_a_run_of_bad_ones() -> None:
    rule = Rule(**HOT, max_gap=10)
    stale = silence(rule, advance(rule, State(), [(0, 70, None)]).state, 11).state
    assert _told(advance(rule, stale, [(12, 70, None)])) == [("STALE", "OK", True)]
    delayed = advance(rule, stale, [(8, 70, None)])  # it was on its way when silence was found
    assert _told(delayed) == [("STALE", "OK", True)]
    bad = advance(rule, State(), [(0, 70, None), (5, 70, 0)]).state
    assert bad.bad_since == 5
    good = advance(rule, bad, [(6, 70, None)])
    assert good.state.bad_since is None
    assert not advance(rule, good.state, [(16, None, None)]).transitions
    assert _told(advance(rule, bad, [(9, 70, 0), (15, 70, 0), (16, 70, 0)])) == [
        ("OK", "STALE", True)
    ]


def test_a_level_only_rises() -> None:
    escalations = (
        Escalation(level=Level.CRITICAL, after=3),
        Escalation(level=Level.FATAL, threshold=95),
    )
    step = _lived(90, 96, 81, 81, 81, 70, 90, 90, 90, 90, escalations=escalations)
    assert [each.to_state for each in step.transitions] == [
        "ACTIVE", "FATAL", "RTN_UNACK", "ACTIVE", "CRITICAL",
    ]  # fmt: skip
    assert step.state.level is Level.CRITICAL
    assert step.state.peak_value == 90


def test_by_design_stays_under_a_shelf() -> None:
    """A shelf that ends while the plant is off does not tell of alarms that its rule suppresses."""
    rule = Rule(**HOT, suppress_when="value > 95")
    shelved = shelve(rule, State(), "ann", "noise", 5, 0, 10).state
    fired = advance(rule, shelved, [(1, 99, None)]).state
    expired = expire_shelf(rule, fired, 6)
    assert _told(expired) == [("SHELVED", "BY_DESIGN", False)]
    assert _told(advance(rule, expired.state, [(7, 90, None)])) == [("BY_DESIGN", "NONE", True)]


def test_a_noisy_signal_alarms_ten_times_less() -> None:
    """Noise of 2 around a slow wave that crosses the limit four times an hour, every second."""
    noise = random.Random(191)
    second = 10**9
    samples = [
        (n * second, 80 + 6 * (1 if (n // 450) % 2 else -1) * min(n % 450, 450 - n % 450) / 225
         + noise.gauss(0, 2), None)
        for n in range(7200)
    ]  # fmt: skip

    def activations(**fields: Any) -> int:
        step = advance(Rule(**HOT, **fields), State(), samples)
        return sum(1 for each in step.transitions if each.reason in {"fired", "reopened"})

    bare = activations()
    cured = activations(deadband=2.0, on_delay=10 * second, off_delay=30 * second)
    hidden = activations(cooldown=300 * second)
    assert cured >= 8  # each true crossing is still told
    assert bare >= 10 * cured
    assert hidden == bare  # a cooldown cures nothing


def test_a_state_is_kept_as_json() -> None:
    step = _lived(90, 81, 70, None, 99, escalations=(Escalation(level=Level.FATAL, after=1),))
    kept = json.loads(json.dumps(step.state.to_dict()))
    assert State.from_dict(kept) == step.state
    assert State.from_dict({}) == State()
    assert isinstance(State.from_dict(kept).condition, Condition)
    assert isinstance(State.from_dict(kept).suppression, Suppression)


@pytest.mark.parametrize(
    "kept",
    [{"colour": 1}, {"condition": "LOUD"}, {"level": "HIGH"}, {"window": [1]}, {"ack": None}],
    ids=["name", "condition", "level", "window", "null"],
)
def test_a_state_of_another_version_is_refused(kept: dict[str, Any]) -> None:
    with pytest.raises(StoreError) as refused:
        State.from_dict(kept)
    assert refused.value.hint
