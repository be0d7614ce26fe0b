"""Every error this project raises on purpose, as one tree.

    GatewayError                      exit code 1
    ├── UsageError                    2   the command or its arguments cannot be used
    │   ├── NotThere                      nothing has that name
    │   └── NotNow                        what is named is in no state for that
    ├── ConfigError                   3   a setting is wrong
    ├── CaptureError                  4   traffic cannot be captured
    ├── LandingError                  5   a landing file cannot be read or written
    │   └── DamagedFile                   its content breaks the landing contract
    ├── StoreError                    6   a hot database cannot be read or written
    ├── ArchiveError                  7   a day cannot be archived or restored
    │   └── ArchiveDamaged                a Parquet file is missing or not what the manifest says
    ├── QueryError                    8   a query is refused or fails
    ├── Busy                          9   another process holds what is needed; try again later
    ├── FrameError                   10   a frame log cannot be used
    │   └── FramesUnavailable             it cannot be read or written now; try again later
    ├── PullError                    11   a table of another server cannot be read
    │   └── PullUnavailable               its server does not answer; try again later
    ├── RegistryError                12   devices, rules or users cannot be read or changed
    │   ├── RegistryUnavailable           its server does not answer; try again later
    │   └── LoginRefused                  somebody is not let in
    ├── BackupError                  13   a backup cannot be made, proven or restored
    └── NotifyError                  14   a notification cannot be sent
        ├── SinkRefused                   its receiver will not take it
        └── SinkUnavailable               its receiver does not answer; try again later

An error says what went wrong and where, and carries a hint: what to do next, where possible a
command to type. ``transient`` tells a scheduler whether the same call may succeed later.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of the tree: a message for people and, where known, a hint."""

    exit_code = 1
    transient = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(GatewayError):
    exit_code = 2


class NotThere(UsageError):
    pass


class NotNow(UsageError):
    pass


class ConfigError(GatewayError):
    exit_code = 3


class CaptureError(GatewayError):
    exit_code = 4


class LandingError(GatewayError):
    exit_code = 5


class DamagedFile(LandingError):
    pass


class StoreError(GatewayError):
    exit_code = 6


class ArchiveError(GatewayError):
    exit_code = 7


class ArchiveDamaged(ArchiveError):
    pass


class QueryError(GatewayError):
    exit_code = 8


class Busy(GatewayError):
    exit_code = 9
    transient = True


class FrameError(GatewayError):
    exit_code = 10


class FramesUnavailable(FrameError):
    transient = True


class PullError(GatewayError):
    exit_code = 11


class PullUnavailable(PullError):
    transient = True


class RegistryError(GatewayError):
    exit_code = 12


class RegistryUnavailable(RegistryError):
    transient = True


class LoginRefused(RegistryError):
    """``reason`` is for the audit; the message is always the same and tells nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__("authorization failed")
        self.reason = reason


class BackupError(GatewayError):
    exit_code = 13


class NotifyError(GatewayError):
    exit_code = 14


class SinkRefused(NotifyError):
    pass


class SinkUnavailable(NotifyError):
    """``retry_after``: seconds that the receiver asks for, if it asks."""

    transient = True

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
