"""The command line: options, help, and how little it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway_assets.capture.cli import main

FORBIDDEN = [
    "asyncio",
    "click",
    "ctypes",
    "dagster",
    "dataclasses",
    "duckdb",
    "http.server",
    "logging",
    "pandas",
    "pyarrow",
    "pydantic",
    "rich",
    "sqlite3",
    "subprocess",
]


def test_the_daemon_loads_little() -> None:
    program = (
        "import sys, gateway_assets.capture.cli, gateway_assets.capture.backends.sockdiag; "
        f"print(sorted(set({FORBIDDEN!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--interval", "0"], "from 1 to 3600"),
        (["--interval", "3601"], "from 1 to 3600"),
        (["--interval", "1.5"], "from 1 to 3600"),
        (["--duration", "-1"], "not a number of seconds"),
        (["--duration", "nan"], "not a number of seconds"),
        (["--backend", "nosuch"], "invalid choice"),
        (["--start", "yesterday"], "not a time in ISO 8601"),
        (["--backend", "replay"], "needs a recording"),
        (["--backend", "replay", "--file", "x", "-i", "lo"], "a replay has no interface"),
        (["--backend", "replay", "--file", "x", "--duration", "3"], "ends with its file"),
        (["--backend", "pcap"], "needs a capture"),
        (["--backend", "pcap", "--file", "x", "-i", "lo"], "has no --interface"),
        (["--backend", "pcap", "--file", "x", "--duration", "3"], "ends with its file"),
        (["--backend", "pcap", "--file", "x", "--local-net", "10/8,"], "'10/8' is not a network"),
        (["--backend", "sockdiag", "-i", "lo"], "sees connections, not interfaces"),
        (["--file", "x"], "reads no --file"),
        (["nonsense"], "invalid choice: 'nonsense'"),
    ],
)
def test_a_wrong_command_is_one_error_and_a_hint(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("gateway-capture: error: ") == 1
    assert printed.err.count("hint: ") == 1
    assert words in printed.err


@pytest.mark.parametrize(("option", "words"), [("--help", "examples:"), ("--version", "0.")])
def test_help_and_version(option: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([option])
    assert caught.value.code == 0
    assert words in capsys.readouterr().out
