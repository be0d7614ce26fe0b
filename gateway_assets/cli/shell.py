"""``gateway shell``: SQL line by line, with history, completion and timing."""

from __future__ import annotations

import readline
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from gateway_assets.bridge.macros import MACROS
from gateway_assets.bridge.sandbox import Sandbox
from gateway_assets.cli.answers import print_answer, print_explained
from gateway_assets.cli.query import timezone_option
from gateway_assets.errors import GatewayError
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import catalog

HISTORY_LINES = 5_000
PROMPT, MORE = "gateway> ", "    ...> "
HELP = """\
A statement ends with ; and may take several lines. Ctrl-C stops it, Ctrl-D leaves.
  .tables            the declared tables
  .schema TABLE      its columns
  .mode table|json|csv
  .explain on|off    what was read, after each answer
  .timing on|off
  .functions         functions for time series
  .help   .quit"""
_WORDS = """
SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT OFFSET JOIN LEFT USING ON AND OR NOT NULL IN LIKE
BETWEEN AS DISTINCT COUNT SUM MIN MAX AVG DESC ASC WITH UNION ALL CASE WHEN THEN ELSE END INTERVAL
DESCRIBE SUMMARIZE PIVOT QUALIFY OVER PARTITION FILTER time_bucket date_trunc
""".split()  # noqa: SIM905  easier to read than a list


@click.command()
@timezone_option
@click.pass_obj
def shell(settings: Settings, timezone: str) -> None:
    """Ask one SELECT after the other, hot and cold rows as one table.

    Reads standard input when that is no terminal, and stops at the first error.

    \b
    Examples:
      gateway shell
      gateway shell --tz Europe/Berlin
      echo "SELECT count(*) FROM ip_traffic;" | gateway shell
    """
    with Sandbox(settings, timezone) as sandbox:
        session = _Session(settings, sandbox)
        if sys.stdin.isatty():
            session.talk(settings.data_dir / "shell_history")
        else:
            session.run(sys.stdin.read())


class _Session:
    """What has been set, and how a line is answered."""

    def __init__(self, settings: Settings, sandbox: Sandbox) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._form = "table"
        self._explains = False
        self._tells_time = sys.stdin.isatty()
        self._names: list[str] = []

    def talk(self, history: Path) -> None:
        """Until Ctrl-D or .quit."""
        _remember(history, self._completed)
        click.echo("SQL over hot and cold rows. .help shows more.")
        waiting = ""
        while True:
            try:
                line = input(MORE if waiting else PROMPT)
            except EOFError:
                click.echo()
                break
            except KeyboardInterrupt:
                click.echo()
                waiting = ""
                continue
            if not waiting and line.strip() in {".quit", ".exit"}:
                break
            waiting += line + "\n"
            if not waiting.strip().startswith(".") and not is_complete(waiting):
                continue
            statement, waiting = waiting.strip(), ""
            self._try(statement)
        readline.set_history_length(HISTORY_LINES)
        readline.write_history_file(history)

    def run(self, script: str) -> None:
        """Statements of a file or pipe; the first error ends it."""
        waiting = ""
        for line in script.splitlines():
            waiting += line + "\n"
            if waiting.strip().startswith(".") or is_complete(waiting):
                self._answer(waiting.strip())
                waiting = ""
        if waiting.strip():
            self._answer(waiting.strip())

    def _try(self, statement: str) -> None:
        try:
            self._answer(statement)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
        except GatewayError as error:
            click.echo(f"error: {error.message}", err=True)
            if error.hint:
                click.echo(f"  hint: {error.hint}", err=True)

    def _answer(self, statement: str) -> None:
        if statement.startswith("."):
            self._command(*statement.split())
            return
        if not statement.strip(";\n\t "):
            return
        started = time.perf_counter()
        reply = self._sandbox.ask(statement)
        spent = time.perf_counter() - started
        print_answer(reply.table, self._form)
        if self._explains:
            print_explained(reply.explained)
        if self._tells_time:
            click.echo(f"{spent * 1000:,.0f} ms", err=True)

    def _command(self, name: str, *rest: str) -> None:
        match (name, *rest):
            case (".tables",):
                click.echo("\n".join(self._tables()))
            case (".schema", table):
                print_answer(self._sandbox.ask(f'DESCRIBE "{table}"').table, "table")
            case (".mode", "table" | "json" | "csv" as form):
                self._form = form
            case (".explain", "on" | "off" as state):
                self._explains = state == "on"
            case (".timing", "on" | "off" as state):
                self._tells_time = state == "on"
            case (".functions",):
                click.echo("\n".join(f"{macro.call}\n    {macro.about}" for macro in MACROS))
            case _:
                click.echo(HELP)

    def _tables(self) -> list[str]:
        return [declared.name for declared in catalog(self._settings)]

    def _completed(self, start: str, number: int) -> str | None:
        """The number-th word that begins so: tables, columns, SQL's own."""
        if not self._names:
            self._names = [*self._tables(), *self._columns(), *_WORDS]
        found = [name for name in self._names if name.lower().startswith(start.lower())]
        return found[number] if number < len(found) else None

    def _columns(self) -> list[str]:
        names: dict[str, None] = {}
        for table in self._tables():
            try:
                found = self._sandbox.ask(f'DESCRIBE "{table}"').table
            except GatewayError:
                continue  # a table that cannot be opened has nothing to complete
            names |= dict.fromkeys(found["column_name"].to_pylist())
        return list(names)


def is_complete(text: str) -> bool:
    """Whether a statement ends here: a ; stands last, outside of quotes and comments."""
    quote = ""
    ended = False
    place = 0
    while place < len(text):
        here = text[place]
        if quote:
            quote = "" if here == quote else quote
        elif here in "'\"":
            quote, ended = here, False
        elif text.startswith("--", place):
            place = text.find("\n", place) if "\n" in text[place:] else len(text)
            continue
        elif here == ";":
            ended = True
        elif not here.isspace():
            ended = False
        place += 1
    return ended and not quote


def _remember(history: Path, complete: Callable[[str, int], str | None]) -> None:
    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n\"'(),;=<>+-*/")
    readline.parse_and_bind("tab: complete")
    history.parent.mkdir(parents=True, exist_ok=True)
    if history.exists():
        readline.read_history_file(history)
