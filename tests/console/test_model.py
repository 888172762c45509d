"""The bundle in the console: the figures of the manifest, as they are."""

import re

from playwright.sync_api import expect

from tests.support.browser import Visitor


def test_every_metric_of_every_group_is_shown(visitor: Visitor) -> None:
    page = visitor.open("#/model")
    model = visitor.get("/v1/model").json()
    names = [name for name in model["metrics"]["overall"] if name != "users"]
    assert len(names) >= 5
    for name in names:
        row = page.get_by_role("row", name=name)
        figures = row.locator(".figure").all_inner_texts()
        groups = ("overall", "warm", "cold")
        assert figures == [f"{model['metrics'][group][name]:.4f}" for group in groups]


def test_sizes_ages_position_and_index_are_shown(visitor: Visitor) -> None:
    page = visitor.open("#/model")
    model = visitor.get("/v1/model").json()
    tiles = page.locator(".tile")
    expect(tiles.filter(has_text="videos live")).to_contain_text("60")
    expect(tiles.filter(has_text="arrivals since")).to_contain_text("0")
    expect(tiles.filter(has_text="users trained")).to_contain_text("20")
    expect(tiles.filter(has_text="age of the bundle")).to_contain_text(re.compile("second|minute"))
    facts = page.locator(".facts").last
    position = model["position"] or "start of the log"
    for text in (model["bundle_id"], position, model["dataset"], "64 visual"):
        expect(facts).to_contain_text(text)
    expect(facts).to_contain_text("flat, recall@20 1.000")
    expect(page.get_by_text("None.")).to_be_visible()
