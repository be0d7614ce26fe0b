"""What must hold of archived days: counts, values, nothing twice, nothing left behind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from gateway_assets import clock
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.plan import Export, look, plan, rules_for
from gateway_assets.archive.source import Source
from gateway_assets.archive.verify import damage
from gateway_assets.settings import Settings

RULES = {
    "counts_equal_manifest": "Every file of the day holds as many rows as the manifest names.",
    "values_equal_hash": "Every value of the day's files is what was archived, by content hash.",
    "no_overlap": "The day's folder holds the manifest's files, no other, and no other day's rows.",
    "no_gap": "No row of the day that should be archived was left behind.",
}


@dataclass(slots=True)
class Checked:
    """Failures by rule, and what was looked at."""

    failures: dict[str, list[str]] = field(default_factory=lambda: {rule: [] for rule in RULES})
    files: list[ArchiveFile] = field(default_factory=list)


def check_days(source: Source, settings: Settings, days: Collection[int]) -> Checked:
    """Read every file of some days again."""
    checked = Checked()
    for day in sorted(days):
        files = live_files(source.connection, source.table, day)
        checked.files += files
        for file in files:
            wrong = damage(file, source.fields_of(file), source.root)
            if wrong:
                rule = "counts_equal_manifest" if " rows, the " in wrong else "values_equal_hash"
                checked.failures[rule].append(wrong)
        checked.failures["no_overlap"] += _overlaps(source, day, files)
    rules = rules_for(source.table, settings)
    checked.failures["no_gap"] = [
        f"{clock.day_text(step.day)}: {step.reason}"
        for step in plan(look(source.connection, source.table), rules)
        if isinstance(step, Export) and step.day in days
    ]
    return checked


def _overlaps(source: Source, day: int, files: list[ArchiveFile]) -> list[str]:
    start, end = clock.day_range(day)
    found = [
        f"{file.path} has rows of another day"
        for file in files
        if not start <= file.first_time <= file.last_time < end
    ]
    known = {(source.root / file.path).name for file in files}
    for folder in {(source.root / file.path).parent for file in files}:
        strange = {path.name for path in folder.glob("*.parquet")} - known
        found += [f"{folder / name} is in no manifest" for name in sorted(strange)]
    return found
