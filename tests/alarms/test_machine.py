"""The state machine against its table written once more, and however samples are batched."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_assets.alarms.actions import acknowledge, in_service, out_of_service, reset, shelve
from gateway_assets.alarms.expression import is_good
from gateway_assets.alarms.machine import advance, expire_shelf, silence
from gateway_assets.alarms.rule import Escalation, Level, NoData, Op, Rule
from gateway_assets.alarms.state import Late, Sample, State, Step, Suppression, Transition
from tests.alarms.reference import MEANINGS, Reference

times = st.sampled_from([0, 0, 1, 2, 3, 5, 8])
halves = st.integers(-8, 8).map(lambda n: n / 2)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    max_gap = draw(st.sampled_from([0, 2, 4, 6]))
    fields: dict[str, Any] = {
        name: draw(times) for name in ("eval_interval", "on_delay", "off_delay", "cooldown")
    }
    escalations = [
        Escalation(level=draw(st.sampled_from([Level.CRITICAL, Level.FATAL])), after=after)
        for after in draw(st.lists(st.integers(1, 6), max_size=1))
    ]
    op = draw(st.none() | st.sampled_from(list(Op)))
    if op is None:
        fields["expression"] = draw(st.sampled_from(list(MEANINGS)))
    elif op in {Op.BETWEEN, Op.NOT_BETWEEN}:
        low = draw(halves)
        fields |= {"op": op, "low": low, "high": low + draw(st.integers(3, 8)) / 2}
        fields["deadband"] = draw(st.sampled_from([0, 0.5]))
    else:
        threshold = draw(halves)
        fields |= {"op": op, "threshold": threshold}
        fields["deadband"] = 0 if op is Op.NE else draw(st.sampled_from([0, 0, 0.5, 1, 2]))
        if op not in {Op.EQ, Op.NE} and draw(st.booleans()):
            sign = 1 if op in {Op.GT, Op.GTE} else -1
            escalations.append(Escalation(level=Level.FATAL, threshold=threshold + sign))
    return Rule(
        id="r",
        max_gap=max_gap,
        no_data=draw(st.sampled_from(list(NoData))) if max_gap else NoData.KEEP,
        use_uncertain=draw(st.booleans()),
        latched=draw(st.booleans()),
        escalations=tuple(escalations),
        suppress_when=draw(st.none() | st.none() | st.sampled_from(list(MEANINGS))),
        **fields,
    )


readings = st.one_of(halves, halves, halves, st.sampled_from([None, math.nan, math.inf]))
qualities = st.sampled_from([None, None, 2, 2, 2, 1, 0])


@st.composite
def series(draw: st.DrawFn) -> list[Sample]:
    time, samples = draw(st.integers(-5, 5)), []
    for _ in range(draw(st.integers(0, 30))):
        time += draw(st.sampled_from([1, 1, 1, 1, 2, 3, 7, 0, -2]))
        samples.append((time, draw(readings), draw(qualities)))
    return samples


def _plain(transition: Transition) -> tuple[Any, ...]:
    return (
        transition.event_time,
        transition.from_state,
        transition.to_state,
        transition.reason,
        transition.value,
        transition.level,
        transition.occurrence,
        transition.notify,
    )


def _assert_agree(step: Step, reference: Reference) -> None:
    assert [_plain(each) for each in step.transitions] == reference.told
    assert [late.time for late in step.late] == reference.late
    state = step.state
    assert (
        state.condition, state.since, state.stale, state.ack, state.latched, state.suppression,
        state.level or "", state.occurrence, state.flap_count, state.fleeting, state.peak_value,
        state.last_fired, state.last_resolved, state.watermark, state.last_value, state.slot,
        state.bad_since, state.announced, state.by_design, state.shelved_until,
    ) == (
        reference.condition, reference.since, reference.stale, reference.acked, reference.latched,
        reference.suppression, reference.level, reference.occurrence, reference.flaps,
        reference.fleeting, reference.peak, reference.fired, reference.resolved, reference.last,
        reference.good, reference.slot, reference.bad_from, reference.announced,
        reference.by_design, reference.shelf,
    )  # fmt: skip


@settings(max_examples=600)
@given(rule=rules(), samples=series())
def test_the_machine_does_what_its_table_says(rule: Rule, samples: list[Sample]) -> None:
    reference = Reference(rule)
    for sample in samples:
        reference.see(*sample)
    step = advance(rule, State(), samples)
    _assert_agree(step, reference)
    assert [each.seq for each in step.transitions] == list(range(1, step.state.seq + 1))


@settings(max_examples=300)
@given(
    rule=rules(),
    first=series(),
    second=series(),
    shelf=st.integers(1, 20),
    kind=st.sampled_from(["shelve", "acknowledge", "out of service", "reset"]),
)
def test_it_does_so_after_actions(
    rule: Rule, first: list[Sample], second: list[Sample], shelf: int, kind: str
) -> None:
    reference = Reference(rule)
    for sample in first:
        reference.see(*sample)
    state = advance(rule, State(), first).state
    at = max((time for time, _, _ in first), default=0)
    active = reference.condition in {"ACTIVE", "RECOVERING"}
    match kind:
        case "shelve":
            state = shelve(rule, state, "ann", "noise", at + shelf, at, 20).state
            reference.suppression, reference.shelf = "SHELVED", at + shelf
        case "out of service":
            state = out_of_service(state, "ann", "repair", at).state
            reference.suppression = "OUT_OF_SERVICE"
        case "acknowledge":
            state = acknowledge(state, "ann", "", at).state
            if reference.acked == "UNACK":
                reference.acked = "ACK" if active or reference.latched else "NONE"
        case _ if not active:
            state = reset(state, "ann", "", at).state
            if reference.latched:
                reference.acked, reference.latched = "NONE", False
    reference.told, reference.late = [], []
    second = [(time + at, value, quality) for time, value, quality in second]
    for sample in second:
        reference.see(*sample)
    _assert_agree(advance(rule, state, second), reference)


@settings(max_examples=300)
@given(
    rule=rules(), samples=series(), cuts=st.sets(st.integers(0, 30)), early=st.integers(0, 10),
    expression=st.booleans(),
)  # fmt: skip
def test_batches_make_no_difference(
    rule: Rule, samples: list[Sample], cuts: set[int], early: int, expression: bool
) -> None:
    """Nor does keeping the state as JSON in between, nor looking for silence before it is over."""
    if expression:
        rule = Rule(
            id="r", expression="avg_over(0.000000004) > 1 and value < 3", max_gap=rule.max_gap,
            no_data=rule.no_data, on_delay=rule.on_delay, eval_interval=rule.eval_interval,
        )  # fmt: skip
    whole = advance(rule, State(), samples)
    state = State()
    transitions: list[Transition] = []
    late: list[Late] = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(samples)), len(samples)]
    for start, end in pairwise(edges):
        batch = samples[start:end]
        if batch and (state.watermark is None or batch[0][0] > state.watermark):
            looked = silence(rule, state, batch[0][0] - early)
            state, transitions = looked.state, [*transitions, *looked.transitions]
        step = advance(rule, state, batch)
        transitions += step.transitions
        late += step.late
        state = State.from_dict(json.loads(json.dumps(step.state.to_dict())))
    assert transitions == list(whole.transitions)
    assert [each.time for each in late] == [each.time for each in whole.late]
    assert state == whole.state


@given(rule=rules(), samples=series(), wait=st.integers(0, 20))
def test_silence_is_found_once(rule: Rule, samples: list[Sample], wait: int) -> None:
    state = advance(rule, State(), samples).state
    now = (state.watermark or 0) + wait
    once = silence(rule, state, now)
    assert silence(rule, once.state, now + 100).transitions == () or not once.transitions
    if not once.transitions:
        assert once.state == state
    else:
        assert once.transitions[0].to_state == "STALE"
        assert once.transitions[0].event_time == (state.watermark or 0) + rule.max_gap


@given(rule=rules(), samples=series())
def test_suppression_withholds_notifications_only(rule: Rule, samples: list[Sample]) -> None:
    def without_notify(transitions: tuple[Transition, ...]) -> list[tuple[Any, ...]]:
        silent = {"suppress_when", "persists"}
        return [_plain(each)[:-1] for each in transitions if each.reason not in silent]

    out = out_of_service(State(), "ann", "repair", -100).state
    suppressed = advance(rule, out, samples)
    assert not any(each.notify for each in suppressed.transitions)
    assert suppressed.state.suppression is Suppression.OUT_OF_SERVICE
    told = advance(rule, State(), samples)
    assert without_notify(suppressed.transitions) == without_notify(told.transitions)
    again = in_service(suppressed.state, "ann", "repaired", 100)
    assert again.transitions[0].notify == (
        suppressed.state.is_active and not suppressed.state.by_design
    )


@given(rule=rules(), samples=series(), shelf=st.integers(1, 20))
def test_a_shelf_ends_whoever_looks_first(rule: Rule, samples: list[Sample], shelf: int) -> None:
    # Only a sample tells that bad ones went on, so all are good here.
    samples = [(time, value or 0.0, None) for time, value, _ in samples if is_good(value, 2, 2)]
    shelved = shelve(rule, State(), "ann", "noise", shelf, 0, 20).state
    by_sample = advance(rule, shelved, samples)
    before = [sample for sample in samples if sample[0] < shelf]
    if samples[: len(before)] != before or any(
        sample[0] < shelf for sample in samples[len(before) :]
    ):
        return
    step = advance(rule, shelved, before)
    next_time = samples[len(before)][0] if len(samples) > len(before) else shelf
    gone = silence(rule, step.state, next_time)
    looked = expire_shelf(rule, gone.state, shelf)
    rest = advance(rule, looked.state, samples[len(before) :])
    if len(samples) > len(before):
        found = [*step.transitions, *gone.transitions, *looked.transitions, *rest.transitions]
        assert found == list(by_sample.transitions)
        assert rest.state == by_sample.state
