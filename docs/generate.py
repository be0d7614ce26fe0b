"""Writes the pages of docs/ that repeat what the code says; a test fails when they are stale.

``python docs/generate.py`` rewrites ``docs/settings.md``, ``docs/tables.md``, ``docs/pull.md``
and ``docs/cli.md``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from gateway_assets.points.pulls import Pull
from gateway_assets.settings import Settings, spellings
from gateway_assets.tables import TABLES
from gateway_assets.tiers.registry import TableLine
from gateway_assets.tiers.times import FORMATS

FOLDER = Path(__file__).parent
NOTICE = "<!-- Written by docs/generate.py; run `make docs` instead of editing. -->\n"
COMMANDS = (
    ("gateway",),
    ("gateway", "alerts"),
    ("gateway", "alerts", "ack"),
    ("gateway", "alerts", "evaluate"),
    ("gateway", "alerts", "kpi"),
    ("gateway", "alerts", "list"),
    ("gateway", "alerts", "reset"),
    ("gateway", "alerts", "shelve"),
    ("gateway", "alerts", "show"),
    ("gateway", "alerts", "unshelve"),
    ("gateway", "archive"),
    ("gateway", "archive", "backup"),
    ("gateway", "archive", "compact"),
    ("gateway", "archive", "erase"),
    ("gateway", "archive", "export"),
    ("gateway", "archive", "plan"),
    ("gateway", "archive", "restore"),
    ("gateway", "archive", "run"),
    ("gateway", "archive", "status"),
    ("gateway", "archive", "verify"),
    ("gateway", "backup"),
    ("gateway", "channels"),
    ("gateway", "channels", "add"),
    ("gateway", "channels", "delete"),
    ("gateway", "channels", "edit"),
    ("gateway", "channels", "list"),
    ("gateway", "clusters"),
    ("gateway", "clusters", "advice"),
    ("gateway", "clusters", "forecast"),
    ("gateway", "clusters", "growth"),
    ("gateway", "clusters", "history"),
    ("gateway", "clusters", "latency"),
    ("gateway", "clusters", "loads"),
    ("gateway", "clusters", "overview"),
    ("gateway", "clusters", "running"),
    ("gateway", "clusters", "slow"),
    ("gateway", "clusters", "trend"),
    ("gateway", "clusters", "views"),
    ("gateway", "collect"),
    ("gateway", "config"),
    ("gateway", "demo", "cluster"),
    ("gateway", "demo", "forward-db"),
    ("gateway", "devices"),
    ("gateway", "devices", "add"),
    ("gateway", "devices", "delete"),
    ("gateway", "devices", "edit"),
    ("gateway", "devices", "list"),
    ("gateway", "devices", "restore"),
    ("gateway", "devices", "show"),
    ("gateway", "devices", "status"),
    ("gateway", "geoip"),
    ("gateway", "geoip", "re-enrich"),
    ("gateway", "geoip", "status"),
    ("gateway", "load"),
    ("gateway", "notifications"),
    ("gateway", "notifications", "deliver"),
    ("gateway", "notifications", "list"),
    ("gateway", "notifications", "retry"),
    ("gateway", "notifications", "test"),
    ("gateway", "pull"),
    ("gateway", "query"),
    ("gateway", "restore"),
    ("gateway", "registry"),
    ("gateway", "registry", "as-of"),
    ("gateway", "registry", "history"),
    ("gateway", "registry", "mirror"),
    ("gateway", "registry", "snapshot"),
    ("gateway", "registry"),
    ("gateway", "registry", "export"),
    ("gateway", "registry", "import"),
    ("gateway", "registry", "seed-demo"),
    ("gateway", "registry", "status"),
    ("gateway", "registry", "upgrade"),
    ("gateway", "rollup"),
    ("gateway", "rules"),
    ("gateway", "rules", "add"),
    ("gateway", "rules", "delete"),
    ("gateway", "rules", "disable"),
    ("gateway", "rules", "edit"),
    ("gateway", "rules", "enable"),
    ("gateway", "rules", "list"),
    ("gateway", "rules", "service"),
    ("gateway", "rules", "show"),
    ("gateway", "rules", "simulate"),
    ("gateway", "rules", "sql"),
    ("gateway", "tables"),
    ("gateway", "tags"),
    ("gateway", "tags", "add"),
    ("gateway", "tags", "delete"),
    ("gateway", "tags", "edit"),
    ("gateway", "tags", "list"),
    ("gateway", "tags", "show"),
    ("gateway", "tour"),
    ("gateway", "up"),
    ("gateway", "users"),
    ("gateway", "users", "add"),
    ("gateway", "users", "audit"),
    ("gateway", "users", "disable"),
    ("gateway", "users", "edit"),
    ("gateway", "users", "list"),
    ("gateway", "users", "password"),
    ("gateway", "users", "sessions"),
    ("gateway", "users", "token"),
    ("gateway", "users", "token", "add"),
    ("gateway", "users", "token", "list"),
    ("gateway", "users", "token", "revoke"),
    ("gateway", "users", "unlock"),
)


VIEWS = """
### Tables with a view

Rows that name what they belong to by a number alone say nothing once they stand in a file. With
`view`, hot rows are read through a view that adds what the number stands for, and so the Parquet
files describe themselves:

```sql
CREATE VIEW points_described AS
    SELECT points.*, series.device, series.metric
    FROM points JOIN series ON series.id = points.series;
```

- The view shows every row of the table exactly once and as it is. This is looked at before a day is
  published; a day of which it does not hold stays hot, and the run fails naming the view.
- The table has an INTEGER PRIMARY KEY or is WITHOUT ROWID. `where` and `order_by` name its own
  columns.
- Hot rows have what the view adds now. Archived rows keep what it added when they were archived,
  whatever changes later in the other tables; rows that are restored have what it adds by then.
- Nothing of what a view adds is written to the table. `gateway archive erase` takes added columns,
  too, but removes rows of the table only. `gateway archive export` writes them as columns.
- SQLite finds rows by the indexes of all tables of a JOIN. With a LEFT JOIN it reads the whole
  table where one of several values of an added column is asked for. `ANALYZE` lets it read a day
  in the order of a composite key without sorting.
- A table of more than 10,000 rows needs an index on the time, or a primary key `(a, time)` and an
  `ANALYZE` that found many rows, at least 18, of each `a`: then SQLite goes from one `a` to the
  next, and the table does without an index that might be as large as itself.
"""


def settings_page() -> str:
    rows = ["| setting | environment | default | what it does |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        names = "<br>".join(f"`{spelling}`" for spelling in spellings(name))
        rows.append(f"| `{name}` | {names} | `{default}` | {field.description} |")
    return "\n".join(["# Settings\n", NOTICE, *rows, ""])


def tables_page() -> str:
    parts = ["# Tables\n", NOTICE]
    for table in TABLES:
        parts.append(f"## {table.name}\n\n{table.about} Hot for {table.hot_days} days.\n")
        parts.append("| column | kind | unit | NULL | what it is |\n|---|---|---|---|---|")
        parts += [
            f"| `{column.name}` | {column.kind} | {column.unit} "
            f"| {'yes' if column.nullable else ''} | {column.about} |"
            for column in table.stored
        ]
        parts.append("")
    parts.append("## Tables of other databases\n")
    parts.append(
        "One `[[tables]]` line each, in `gateway.toml` or `tables.toml` in the data directory. The "
        "table stays where it is; its columns come by reflection.\n"
    )
    parts.append("| field | default | what it does |\n|---|---|---|")
    for name, field in TableLine.model_fields.items():
        default = "required" if field.is_required() else f"`{field.default!r}`"
        parts.append(f"| `{name}` | {default} | {field.description} |")
    parts.append(VIEWS)
    parts.append("\n`time_format` is one of:\n")
    parts += [f"- `{name}`" for name in FORMATS]
    parts.append("")
    return "\n".join(parts)


def pull_page() -> str:
    parts = ["# Pulling PostgreSQL and TimescaleDB tables\n", NOTICE, _PULL_ABOUT]
    parts.append("| field | default | what it does |\n|---|---|---|")
    for name, field in Pull.model_fields.items():
        default = "required" if field.is_required() else f"`{field.default!r}`"
        parts.append(f"| `{name}` | {default} | {field.description} |")
    parts.append("")
    return "\n".join(parts)


_PULL_ABOUT = """\
A `[[pulls]]` line in `gateway.toml`, or in `pulls.toml` of the data directory, names a table:

```toml
[[pulls]]                             # a row is one value of one metric
name = "metrics"
url_env = "PLANT_URL"                 # export PLANT_URL=postgresql://reader:…@plant/telemetry
table = "device_metrics"
device = "device_id"
metric = "metric_name"
values = ["metric_value"]
unit = "unit"
tags = ["tags"]                       # a jsonb object: each key becomes a tag

[[pulls]]                             # a row is several values of one moment
name = "cpu"
url_file = "plant.url"
table = "public.cpu"
device = "hostname"
values = ["usage_user", "usage_system"]
tags = ["region"]
```

`gateway pull` reads what is new, in order of time, and keeps it in the frame log before it notes
how far it came (`data/pulls/<name>.json`). A run that is killed or loses its server goes on where
it was; rows that are read twice are one point. `gateway load` makes points of what was pulled.

- The user needs CONNECT, USAGE of the schema and SELECT. The transaction is read-only, as of one
  moment; on a primary it holds back VACUUM while it lasts, so pull a long history from a standby.
- The time column needs an index. Rows of the future wait until their time; rows without a time are
  never read, and rows that come later than the last one read only with `overlap_seconds`.
- Rows that are changed or deleted there after they were read stay as they were read.
- NaN, infinities, texts of more than 64 KiB, times outside of 1677 to 2262 and rows without their
  device or metric are left out, counted by reason, and told.
- Looking up the name of a host cannot be given up before the system's resolver does.
"""


def cli_page() -> str:
    parts = ["# Commands\n", NOTICE]
    for command, shown in zip(COMMANDS, _helps(), strict=True):
        text = "\n".join(line.rstrip() for line in shown.splitlines()).strip()
        parts.append(f"## {' '.join(command)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


_SHOW = """
import contextlib, io, json, sys
from gateway_assets.cli.main import gateway

told = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        gateway.main([*arguments, "--help"], "gateway", standalone_mode=False)
    told.append(shown.getvalue())
json.dump(told, sys.stdout)
"""


def _helps() -> list[str]:
    """What each command says of itself: one process for all of them, because imports take long."""
    own = [command for command in COMMANDS if command[0] == "gateway"]
    told = json.loads(_ran([sys.executable, "-c", _SHOW], json.dumps([one[1:] for one in own])))
    shown = dict(zip(own, told, strict=True))
    folder = Path(sys.executable).parent
    return [
        shown.get(command) or _ran([str(folder / command[0]), *command[1:], "--help"])
        for command in COMMANDS
    ]


def _ran(command: list[str], given: str = "") -> str:
    return subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "100", "HOSTNAME": "box"},
    ).stdout


PAGES = {
    "settings.md": settings_page,
    "tables.md": tables_page,
    "pull.md": pull_page,
    "cli.md": cli_page,
}


def main() -> None:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
