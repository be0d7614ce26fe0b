"""Writes the pages of docs/ that repeat what the code says; a test fails when they are stale.

``python docs/generate.py`` rewrites ``docs/settings.md``, ``docs/tables.md`` and ``docs/cli.md``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gateway_assets.settings import Settings, spellings
from gateway_assets.tables import TABLES
from gateway_assets.tiers.registry import TableLine
from gateway_assets.tiers.times import FORMATS

FOLDER = Path(__file__).parent
NOTICE = "<!-- Written by docs/generate.py; run `make docs` instead of editing. -->\n"
COMMANDS = (
    ("gateway",),
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
    ("gateway", "geoip"),
    ("gateway", "geoip", "re-enrich"),
    ("gateway", "geoip", "status"),
    ("gateway", "load"),
    ("gateway", "query"),
    ("gateway", "rollup"),
    ("gateway", "tables"),
    ("gateway", "tour"),
    ("gateway", "up"),
)


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
    parts.append("\n`time_format` is one of:\n")
    parts += [f"- `{name}`" for name in FORMATS]
    parts.append("")
    return "\n".join(parts)


def cli_page() -> str:
    parts = ["# Commands\n", NOTICE]
    for command in COMMANDS:
        program = str(Path(sys.executable).with_name(command[0]))
        shown = subprocess.run(
            [program, *command[1:], "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={"COLUMNS": "100", "HOSTNAME": "box"},
        )
        text = "\n".join(line.rstrip() for line in shown.stdout.splitlines()).strip()
        parts.append(f"## {' '.join(command)}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


PAGES = {"settings.md": settings_page, "tables.md": tables_page, "cli.md": cli_page}


def main() -> None:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
