"""The report is one file that tells what was asked and found, wherever and however it is read."""

import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from matplotlib.figure import Figure

from tests.support.datasets import dataset_of, interactions
from tests.support.fitting import SEED, sample, small
from tests.support.reading import Reader
from training.checkpoint import EpochReport
from training.config import FitConfig, recorded
from training.data.dataset import Dataset
from training.data.synthetic import make_synthetic
from training.evaluate import evaluate, inner_products
from training.loop import best_of, fit
from training.report.figures import MOST_POINTS, SERIES, draw_loss
from training.report.page import CURVES, PAGE, Outcome, write_report
from training.servable import servable
from training.untrained import without_training

KINDS = (
    "What the first layer makes", "The signal that steers", "The mean loss", "Recall@20 on",
)  # fmt: skip


def outcome_of(data: Dataset, config: FitConfig) -> Outcome:
    fitted = fit(data, config, seed=SEED)
    assert fitted.fusion is not None
    metrics = evaluate(data, "test", inner_products(fitted.users, fitted.videos))
    return Outcome(data, config, SEED, fitted, fitted.fusion, metrics)


def read(folder: Path, outcome: Outcome) -> Reader:
    assert write_report(folder, outcome) == folder / PAGE
    page = Reader((folder / PAGE).read_text("utf-8"))
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return outcome_of(sample(), small("metammf-mf"))


def test_it_tells_every_metric_of_the_test_split(outcome: Outcome, tmp_path: Path) -> None:
    text = read(tmp_path, outcome).text
    for group in ("overall", "warm", "cold", "cold_among_cold"):
        figures = outcome.metrics[group]
        names = [f"{name}@{k}" for name in ("recall", "ndcg", "precision", "hit") for k in (10, 20)]
        row = " ".join([group.replace("_", " "), *(f"{figures[name]:.4f}" for name in names)])
        assert f"{row} {figures['users']:,}" in text


def test_it_tells_what_was_asked_and_on_what_data(outcome: Outcome, tmp_path: Path) -> None:
    text = read(tmp_path, outcome).text
    data = outcome.dataset
    assert text.startswith(f"{data.name}: {outcome.config.model} {data.name}")
    assert f"users {data.users} " in text
    assert f"videos {data.videos}, of which {data.cold.sum()} are cold" in text
    assert f"{len(data.train):,} train, {len(data.val):,} val, {len(data.test):,} test" in text
    assert "visual 64 (" in text
    assert f"seed {SEED}" in text
    for key, value in recorded(outcome.config).items():
        assert f" {key} {msgspec.json.encode(value).decode()}" in text


def test_where_nothing_was_trained_it_tells_what_is_left(tmp_path: Path) -> None:
    data, config = sample(), small("gf-cf", filter_dim=5)
    fitted = servable(without_training(data, config), data, config, seed=SEED)
    assert fitted.fusion is not None
    metrics = evaluate(data, "test", inner_products(fitted.users, fitted.videos))
    text = read(tmp_path, Outcome(data, config, SEED, fitted, fitted.fusion, metrics)).text
    assert f"test recall@20 {metrics['overall']['recall@20']:.4f}" in text
    assert "What the first layer makes" in text
    assert " filter_dim 5" in text
    for told in ("best epoch", "How training went", "max_epochs", "learning_rate"):
        assert told not in text
    assert not (tmp_path / CURVES).exists()


def test_it_tells_which_epoch_was_best(outcome: Outcome, tmp_path: Path) -> None:
    # Which epoch a fit finds best hangs on the rounding of the machine; here it is not the last.
    fitted = outcome.fitted
    epochs = [
        entry._replace(
            judged=entry.judged and entry.judged | {"overall": {"recall@20": 1 / entry.epoch}}
        )
        for entry in fitted.epochs
    ]
    best = best_of(epochs).epoch
    assert best < len(epochs)
    text = read(tmp_path, replace(outcome, fitted=replace(fitted, epochs=epochs))).text
    assert f"best epoch {best} of {len(epochs)}" in text
    assert f"best, epoch {best}" in text


def test_no_tick_stands_between_two_epochs() -> None:
    axes = Figure().add_subplot()
    draw_loss(axes, [EpochReport(epoch, 4, 1 / epoch, None, None, 1.0) for epoch in range(1, 5)])
    ticks = axes.get_xticks()
    assert len(ticks) > 2
    assert (ticks == ticks.round()).all()


def test_it_needs_no_other_file_and_no_network(outcome: Outcome, tmp_path: Path) -> None:
    page = read(tmp_path, outcome)
    text = (tmp_path / PAGE).read_text("utf-8")
    assert page.count("script") == page.count("link") == page.count("img") == 0
    targets = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "srcset", "data"}
    ]
    assert targets
    assert all(target is not None and target.startswith("#") for target in targets)
    assert "@import" not in text
    assert all(place.startswith("#") for place in re.findall(r"url\(([^)]*)\)", text))
    spaces = {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
    assert set(re.findall(r"https?://[^\"'\s<]*", text)) == spaces


def test_every_reference_inside_a_picture_leads_to_one_element(
    outcome: Outcome, tmp_path: Path
) -> None:
    page = read(tmp_path, outcome)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    text = (tmp_path / PAGE).read_text("utf-8")
    wanted = re.findall(r"(?:xlink:href=\"|url\()#([^)\"]+)", text)
    assert set(wanted) <= set(ids)


def test_pictures_follow_light_and_dark(outcome: Outcome, tmp_path: Path) -> None:
    page = read(tmp_path, outcome)
    text = (tmp_path / PAGE).read_text("utf-8")
    style, _, body = text.partition("</style>")
    assert "prefers-color-scheme: dark" in style
    assert re.findall(r"#[0-9a-fA-F]{6}\b", body) == []
    used = set(re.findall(r"var\((--[\w-]+)\)", body))
    assert {f"--series-{place}" for place in range(1, len(SERIES) + 1)} <= used
    # Every colour that is used has a value in both modes.
    assert all(style.count(f"{name}:") == 2 for name in used)
    assert any(attributes.get("name") == "viewport" for _, attributes in page.elements)


def test_it_has_a_described_picture_of_each_kind(outcome: Outcome, tmp_path: Path) -> None:
    page = read(tmp_path, outcome)
    told = [a.get("aria-label") or "" for _, a in page.elements if a.get("role") == "img"]
    assert page.count("svg") == len(told) == 4
    assert all(any(label.startswith(kind) for label in told) for kind in KINDS)


def test_the_same_outcome_gives_the_same_files(outcome: Outcome, tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_report(tmp_path / name, outcome)
        written.append([(tmp_path / name / file).read_bytes() for file in (PAGE, CURVES)])
    assert written[0] == written[1]


def test_the_curves_are_a_picture_of_their_own(outcome: Outcome, tmp_path: Path) -> None:
    write_report(tmp_path, outcome)
    content = (tmp_path / CURVES).read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width > 1000
    assert height > 300
    assert 10_000 < len(content) < 500_000


def test_a_name_is_text_and_not_markup(outcome: Outcome, tmp_path: Path) -> None:
    named = replace(outcome, dataset=replace(outcome.dataset, name="<script>&\"'</h1>"))
    page = read(tmp_path, named)
    assert page.count("script") == 0
    assert "<script>&\"'</h1>" in page.text


def test_the_static_form_has_no_picture_of_a_signal(tmp_path: Path) -> None:
    static = outcome_of(sample(), small("metammf-mf", fusion="static", max_epochs=2))
    page = read(tmp_path, static)
    assert page.count("svg") == 3
    assert "The signal that steers" not in page.text


@pytest.mark.parametrize("changes", [{"fusion": "gate"}, {"fusion": "full"}, {"signal_dim": 1}])
def test_every_other_form_and_width_has_one(changes: dict[str, Any], tmp_path: Path) -> None:
    outcome = outcome_of(sample(), small("metammf-mf", max_epochs=2, **changes))
    assert read(tmp_path, outcome).count("svg") == 4


def test_without_validation_the_report_says_so(tmp_path: Path) -> None:
    data = replace(sample(), val=interactions([]))
    text = read(tmp_path, outcome_of(data, small("metammf-mf", max_epochs=2))).text
    assert "nothing was held out for validation" in text
    assert "best epoch 2 of 2" in text


def test_a_single_epoch_one_modality_and_nothing_to_judge_are_no_hindrance(tmp_path: Path) -> None:
    data = dataset_of(users=3, videos=9, train=[(0, 0), (0, 3), (1, 1), (2, 2)])
    page = read(tmp_path, outcome_of(data, small("metammf-mf", max_epochs=1)))
    assert "overall - - - - - - - - 0" in page.text
    assert page.count("svg") == 4


def test_a_large_catalog_does_not_make_a_large_page(tmp_path: Path) -> None:
    data = make_synthetic(videos=4 * MOST_POINTS, users=30, seed=0)
    write_report(tmp_path, outcome_of(data, small("metammf-mf", max_epochs=1)))
    assert (tmp_path / PAGE).stat().st_size < 500_000
