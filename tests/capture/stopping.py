"""``gateway-capture`` that is sent a signal at one of its own steps.

``python -m tests.capture.stopping SIGNAL FUNCTION CALL OPTION…`` sends itself the signal at its
n-th call of a Python function of that name, or of ``any``, after the backend was opened, for
n = CALL.
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any

from gateway_assets.capture import cli, daemon


def _signal_at_call(number: int, function: str, at: int) -> None:
    calls = 0

    def count(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal calls
        if event == "call" and function in {"any", frame.f_code.co_name}:
            calls += 1
            if calls == at:
                os.kill(os.getpid(), number)

    sys.setprofile(count)


def main(number: int, function: str, at: int, options: list[str]) -> int:
    def run(*arguments: Any) -> daemon.Summary:
        _signal_at_call(number, function, at)
        try:
            return daemon.run(*arguments)
        finally:
            sys.setprofile(None)

    vars(cli)["run"] = run
    return cli.main(options)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
