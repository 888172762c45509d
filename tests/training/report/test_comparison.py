"""The report of a comparison says the same as a page, as Markdown and as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.comparing import compared, made_up, plan_of
from tests.support.datasets import two_tastes
from tests.support.reading import Reader
from training.compare.protocol import Comparison
from training.report.comparison import short_table, write_comparison

PICTURES = ("recall", "ndcg", "warm-and-cold", "price", "breadth")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    plan = plan_of("popularity", "clcrec", "metammf-mf", seeds=(0, 1), grid=None, max_epochs=3)
    found, _ = compared(folder, plan)
    left_out = found._replace(missing=["vbpr, seed 7 <&"])
    write_comparison(folder, two_tastes(), left_out)
    return folder


def results(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return told


def test_all_figures_are_there_as_json(folder: Path) -> None:
    told = results(folder)
    assert [system["model"] for system in told["systems"]] == ["popularity", "clcrec", "metammf-mf"]
    runs = [(run["model"], run["seed"]) for run in told["runs"]]
    assert len(runs) == 1 + 4 + 4
    system = told["systems"][1]
    mine = [run for run in told["runs"] if run["change"] == system["change"]]
    recalls = [run["test"]["overall"]["recall@20"] for run in mine if run["model"] == "clcrec"]
    spread = system["figures"]["overall"]["recall@20"]
    assert spread["mean"] == pytest.approx(sum(recalls) / 2)
    assert told["asked"]["grids"]["clcrec"] == [
        {"regularisation": pull} for pull in (1e-1, 3e-2, 1e-2)
    ]
    assert set(told["best_is_better_by"]) == {"popularity", "clcrec", "metammf-mf"} - {
        told["best_on_validation"]
    }
    assert told["dataset"]["videos"] == 60
    assert told["machine"]["threads"] >= 1
    assert told["missing"] == ["vbpr, seed 7 <&"]


def test_the_page_is_one_file_that_tells_every_system(folder: Path) -> None:
    page = Reader((folder / "report.html").read_text("utf-8"))
    assert page.open == []
    assert page.count("svg") == len(PICTURES)
    assert not any(tag in ("link", "script", "img") for tag, _ in page.elements)
    for system in results(folder)["systems"]:
        spread = system["figures"]["overall"]["recall@20"]
        assert f"{system['model']} {len(system['seeds'])} {spread['mean']:.4f}" in page.text
    assert "vbpr, seed 7 <&" in page.text


def test_markdown_has_the_same_tables(folder: Path) -> None:
    text = (folder / "report.md").read_text("utf-8")
    page = (folder / "report.html").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) > 20
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        tag = "td" if cells[0] else "th"
        assert "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) in page.replace("&amp;", "&")


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_files_too(name: str, folder: Path) -> None:
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_one_system_without_arrivals_is_no_hindrance(tmp_path: Path) -> None:
    kept = [made_up("bpr-mf", 0, 0.25, cold=False)]
    plan = plan_of("bpr-mf")
    found = Comparison(plan, {"bpr-mf": kept}, kept, [])
    summary = write_comparison(tmp_path, two_tastes(), found)
    assert short_table(summary).rows == [["bpr-mf", "1", "0.2500", "0.1250", "-", "2"]]
    assert Reader((tmp_path / "report.html").read_text()).open == []
