"""What may be said of a device, a tag, a rule, a channel, a driver: fields, limits, defaults.

One declaration for commands, files and Python. An entry is whole: what it does not say has its
default. It names others by their names. How a device or rule is doing just now (status, last seen,
out of service) is no part of it.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from gateway_assets.registry.durations import Milliseconds
from gateway_assets.registry.words import (
    AlertLevel,
    ChannelType,
    CompareOp,
    LogLevel,
    NoData,
    Protocol,
    TagAccess,
    TagType,
)

ID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_RANGES = {CompareOp.BETWEEN, CompareOp.NOT_BETWEEN}
_LEVELS = list(AlertLevel)
_WHOLE = 2**53  # what both databases give back as it was, also inside of JSON
_DEPTH = 16
_INT32 = 2**31 - 1


def _printable(text: str) -> str:
    for character in text:
        category = unicodedata.category(character)
        if category == "Cs" or (category == "Cc" and character not in "\t\n\r"):
            raise ValueError(f"it has the control character U+{ord(character):04X}")
    return text


def _one_line(text: str) -> str:
    if any(character in "\t\n\r" for character in _printable(text)):
        raise ValueError("it has more than one line, or a tab")
    if text != text.strip():
        raise ValueError("it begins or ends with a space")
    return text


def _no_id(text: str) -> str:
    if ID.fullmatch(text):
        raise ValueError("it has the form of an id, which a name must not have")
    return text


def _json(value: Any, depth: int = 0) -> Any:
    """The value, if both databases keep it as it is."""
    if depth > _DEPTH:
        raise ValueError(f"it is nested deeper than {_DEPTH} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            _json_key(key)
            _json(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _json(item, depth + 1)
    else:
        _json_scalar(value)
    return value


def _json_key(key: Any) -> None:
    if not isinstance(key, str):
        raise ValueError(f"the key {key!r} is no text")  # noqa: TRY004 pydantic's kind
    _printable(key)


def _json_scalar(value: Any) -> None:
    match value:
        case None | bool():
            pass
        case str():
            _printable(value)
        case int() if abs(value) > _WHOLE:
            raise ValueError("a whole number is beyond 2^53: write it as text")
        case float() if not math.isfinite(value):
            raise ValueError("a number is not finite")
        case int() | float():
            pass
        case _:
            raise ValueError(f"{type(value).__name__} is no JSON")


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    AfterValidator(_one_line),
    AfterValidator(_no_id),
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_one_line)]
ShortLine = Annotated[
    str, StringConstraints(min_length=1, max_length=50), AfterValidator(_one_line)
]
Text = Annotated[
    str, StringConstraints(min_length=1, max_length=10_000), AfterValidator(_printable)
]
Empty = BeforeValidator(_none_if_empty)
Number = Annotated[float, Field(allow_inf_nan=False)]
Document = Annotated[dict[str, Any], AfterValidator(_json)]
Count = Annotated[int, Field(ge=1, le=_INT32)]


class Entry(BaseModel):
    """Strict: no text becomes a number, no number a text, and no field is unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    name: Name = Field(description="Name, of which there is one only, in any case of letters.")

    def plain(self) -> dict[str, Any]:
        """Its fields as Python values, with every default."""
        return self.model_dump()

    def short(self) -> dict[str, Any]:
        """Its fields as a file has them: words for enumerations and durations, no defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)


class DeviceEntry(Entry):
    protocol: Protocol = Field(strict=False, description="What it speaks.")
    endpoint: Line = Field(description="Where it is, such as tcp://10.0.0.9:502.")
    description: Annotated[Text | None, Empty] = Field(None, description="What it is.")
    location: Annotated[Line | None, Empty] = Field(None, description="Where it stands.")
    config: Document = Field(default_factory=dict, description="Its driver's settings: JSON.")
    enabled: bool = Field(True, description="Whether it is read.")


class TagEntry(Entry):
    address: Line = Field(description="Where the device has it, such as 40001.")
    data_type: TagType = Field(strict=False, description="Type of the raw value.")
    description: Annotated[Text | None, Empty] = Field(None, description="What it measures.")
    access_type: TagAccess = Field(
        TagAccess.READ, strict=False, description="What may be done with it."
    )
    unit: Annotated[ShortLine | None, Empty] = Field(None, description="Unit of the value.")
    scaling: Number = Field(1.0, description="Value = scaling * raw + tag_offset; never 0.")
    tag_offset: Number = Field(0.0, description="Added after scaling, in the unit.")
    min_value: Number | None = Field(None, description="Least value to expect, in the unit.")
    max_value: Number | None = Field(None, description="Greatest value to expect.")
    deadband: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="Changes up to this, in the unit, are not passed on."
    )
    scan_rate: Count | None = Field(None, description="How often it is read, in ms.")
    enabled: bool = Field(True, description="Whether it is read.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.scaling == 0:
            raise ValueError("scaling is 0; 1 leaves readings as they are")
        low, high = self.min_value, self.max_value
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_value {low} is above max_value {high}")
        return self


class Escalation(BaseModel):
    """When the level of an active alarm rises: at another threshold, or after a while."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    level: AlertLevel = Field(strict=False)
    threshold: Number | None = None
    after: Milliseconds | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.threshold is None and self.after is None:
            raise ValueError("an escalation needs a threshold, or after")
        return self


class RuleEntry(Entry):
    """It looks at one tag (device and tag), the tags of one device (device, all or those called
    metric), or every device's tags called metric (fleet).
    """

    device: Name | None = Field(None, description="Device that it looks at.")
    tag: Name | None = Field(None, description="Tag of that device; without one, all.")
    fleet: bool = Field(False, description="Look at every device's tags called metric.")
    metric: Annotated[Line | None, Empty] = Field(None, description="Tags that it looks at.")
    op: CompareOp | None = Field(None, strict=False, description="Comparison with thresholds.")
    threshold_value: Number | None = Field(None, description="Threshold, in the tag's unit.")
    threshold_low: Number | None = Field(None, description="Lower end of a range.")
    threshold_high: Number | None = Field(None, description="Upper end of a range.")
    tolerance: Annotated[Number, Field(ge=0)] | None = Field(
        None, description="For EQ and NE: how far apart equal values may be."
    )
    condition_expression: Annotated[Text | None, Empty] = Field(
        None, description="Condition instead of op, such as value > 80 and rate() > 0."
    )
    deadband: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="How far a value must come back to end the alarm, in the unit."
    )
    level: AlertLevel = Field(AlertLevel.WARNING, strict=False, description="How grave it is.")
    escalations: list[Escalation] = Field(
        default_factory=list, description="When it gets graver: JSON of level, threshold, after."
    )
    eval_interval: Milliseconds = Field(
        0, description="Look at the first value of each; 0: at every value."
    )
    eval_duration: Milliseconds = Field(0, description="How long it must hold to be an alarm.")
    off_delay: Milliseconds = Field(0, description="How long it must be over to end the alarm.")
    cooldown_duration: Milliseconds = Field(
        300_000, description="Again so soon after its end, it is the same alarm."
    )
    max_gap: Milliseconds | None = Field(None, description="Silence after which no_data applies.")
    no_data: NoData = Field(NoData.KEEP, strict=False, description="What silence does.")
    use_uncertain: bool = Field(False, description="Whether uncertain values count.")
    latched: bool = Field(False, description="Whether an alarm stays until it is reset.")
    suppress_expression: Annotated[Text | None, Empty] = Field(
        None, description="While this holds, nobody is told."
    )
    message: Annotated[Text | None, Empty] = Field(None, description="What people are told.")
    channels: list[Name] = Field(
        default_factory=list, description="Channels that it tells; none: all that are enabled."
    )
    description: Annotated[Text | None, Empty] = Field(None, description="What it is for.")
    enabled: bool = Field(True, description="Whether it is looked at.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_scope()
        self._check_condition()
        for one in self.escalations:
            if _LEVELS.index(one.level) <= _LEVELS.index(self.level):
                raise ValueError(f"an escalation to {one.level} is not above {self.level}")
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("a channel is named twice")
        return self

    def _check_scope(self) -> None:
        if self.fleet:
            if self.device or self.tag or not self.metric:
                raise ValueError("fleet needs a metric, and neither device nor tag")
        elif not self.device:
            raise ValueError(
                "it looks at nothing: give device, device and tag, or fleet and metric"
            )
        elif self.tag and self.metric:
            raise ValueError("it has a tag and a metric: give one of them")

    def _check_condition(self) -> None:
        if (self.op is None) == (self.condition_expression is None):
            raise ValueError("it needs op or condition_expression, one of them")
        low, high = self.threshold_low, self.threshold_high
        if self.op in _RANGES:
            if low is None or high is None or low > high:
                raise ValueError(f"{self.op} needs threshold_low and threshold_high, low first")
            if self.op is CompareOp.NOT_BETWEEN and high - low <= 2 * self.deadband:
                raise ValueError("twice the deadband leaves nothing of the range: it never clears")
        elif self.op is not None and self.threshold_value is None:
            raise ValueError(f"{self.op} needs threshold_value")


DURATIONS = (
    "eval_interval",
    "eval_duration",
    "off_delay",
    "cooldown_duration",
    "max_gap",
)  # of rules, in ms


class ChannelEntry(Entry):
    type: ChannelType = Field(strict=False, description="How people are told.")
    config: Document = Field(
        default_factory=dict, description="Its settings: JSON; secrets by name of a variable."
    )
    enabled: bool = Field(True, description="Whether it is used.")


class DriverEntry(Entry):
    """How a driver reads. Sizes in bytes, times in ms."""

    protocol: Protocol = Field(strict=False, description="What it speaks.")
    connection_type: ShortLine = Field(description="Such as tcp or serial.")
    description: Annotated[Text | None, Empty] = Field(None, description="What it is for.")
    enabled: bool = Field(True, description="Whether it is used.")
    config: Document = Field(default_factory=dict, description="Settings of its own.")
    scan_interval: Count = 1_000
    timeout: Count = 5_000
    max_concurrent: Count = 10
    batch_size: Count = 100
    max_retries: int = Field(3, ge=0, le=_INT32)
    retry_interval: Count = 1_000
    exponential_backoff: bool = True
    max_retry_interval: Count = 30_000
    log_level: LogLevel = Field(LogLevel.INFO, strict=False)
    enable_request_log: bool = False
    enable_response_log: bool = False
    max_log_size: Count = 1_000_000
    enable_ssl: bool = False
    verify_certificate: bool = True
    client_cert_path: Annotated[Text | None, Empty] = None
    client_key_path: Annotated[Text | None, Empty] = None
    ca_cert_path: Annotated[Text | None, Empty] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_retry_interval < self.retry_interval:
            raise ValueError("max_retry_interval is below retry_interval")
        return self


def folded(name: str) -> str:
    """Names that differ only in this way are the same: as SQLite's ``lower`` does it."""
    return "".join(one.lower() if one.isascii() else one for one in name)


def canonical(value: Any) -> str:
    """Equal values of fields as equal texts, also where PostgreSQL wrote a number another way."""
    return json.dumps(settled(value), sort_keys=True, ensure_ascii=False)


def settled(value: Any) -> Any:
    """JSON with its keys in order, and floats beyond 2^53, which PostgreSQL writes as whole
    numbers, as floats.
    """
    match value:
        case bool():
            return value
        case int() if abs(value) > _WHOLE:
            return float(value)
        case float():
            return value + 0.0  # no negative zero
        case dict():
            return {key: settled(item) for key, item in sorted(value.items())}
        case list() | tuple():
            return [settled(item) for item in value]
        case _:
            return value
