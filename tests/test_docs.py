"""Documents say what the code says."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_assets.bridge.derived import DERIVED
from gateway_assets.bridge.macros import MACROS
from gateway_assets.tables import TABLES

ROOT = Path(__file__).parents[1]
PAGES: dict[str, Callable[[], str]] = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == PAGES[name](), "run: make docs"


def test_the_readme_lists_every_table() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for table in TABLES:
        assert f"| `{table.name}` |" in readme


def test_the_page_of_questions_lists_every_function() -> None:
    page = (ROOT / "docs" / "queries.md").read_text("utf-8")
    for macro in MACROS:
        assert f"| `{macro.call}` | {macro.about} |" in page


def test_the_page_of_questions_lists_every_view() -> None:
    page = (ROOT / "docs" / "queries.md").read_text("utf-8")
    for view in DERIVED:
        columns = ", ".join(f"`{column.name}`" for column in view.columns)
        assert f"| `{view.name}` | {view.about} | {columns} |" in page


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)\)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize(
    "package", sorted((ROOT / "gateway_assets").glob("*/__init__.py")), ids=str
)
def test_packages_say_which_file_does_what(package: Path) -> None:
    text = package.read_text("utf-8")
    for module in package.parent.glob("*.py"):
        if not module.name.startswith("__"):
            assert f"``{module.stem}``" in text or package.parent.name == "sources", module
