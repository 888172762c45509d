"""The runbook knows every alert, and its commands do what it says."""

import os
import re
import shutil
import threading
from pathlib import Path

import pytest

from tests.support.asking import answers, asking
from tests.support.bundles import write_small_bundle
from tests.support.commands import run
from tests.support.deployment import ROOT
from tests.support.monitoring import boards, rules
from tests.support.server import eventually, features, serving

TEXT = (ROOT / "docs/operations.md").read_text("utf-8")
ALERTS = TEXT.partition("\n## Alerts\n")[2].partition("\n## ")[0]
SHELL = re.findall(r"```sh\n(.*?)```", TEXT.partition("## Back up and restore")[2], re.DOTALL)


def test_every_alert_has_a_heading_and_every_heading_an_alert() -> None:
    assert re.findall(r"^### (\w+)$", ALERTS, re.MULTILINE) == [*rules("alert")]


def test_each_alert_is_told_in_three_sentences_at_least() -> None:
    for section in ALERTS.split("\n### ")[1:]:
        said = re.findall(r"^- \*\*(.+?):\*\* .+[.?]$", section, re.MULTILINE)
        assert said == ["Means", "Look at", "Do"], section


def test_every_panel_that_is_named_exists() -> None:
    titles = {panel["title"] for board in boards().values() for panel in board["panels"]}
    sections = ALERTS.replace("**Means:**", "").replace("**Look at:**", "").replace("**Do:**", "")
    named = set(re.findall(r"\*\*(.+?)\*\*", sections))
    assert len(named) > 10
    assert named <= titles


def test_every_anchor_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= anchors


@pytest.mark.e2e
def test_what_was_backed_up_under_load_answers_alike_once_restored(tmp_path: Path) -> None:
    bundles, events, backup = (tmp_path / n for n in ("bundles", "events.db", "backup"))
    write_small_bundle(bundles)
    (backup / "bundles").mkdir(parents=True)
    named = {"BUNDLES": str(bundles), "EVENTS": str(events), "BACKUP": str(backup)}
    env = {**os.environ, **named}
    copy_bundles, copy_log, restore = SHELL
    arguments = ("--bundles", str(bundles), "--event-log", f"sqlite:///{events}")
    over = threading.Event()
    with serving(*arguments) as process, asking(process.url) as client:
        process.wait_for("(Ready)")
        put = client.put("/v1/videos/kept", json={"features": features(1)}).json()

        def write() -> None:
            with asking(process.url) as other:
                number = 0
                while not over.is_set():
                    other.put(f"/v1/videos/later-{number}", json={"features": features(number)})
                    number += 1

        writing = threading.Thread(target=write)
        writing.start()
        try:
            for command in (copy_bundles, copy_log):
                done = run(["sh", "-euc", command], cwd=ROOT, env=env)
                assert done.returncode == 0, done.stderr
        finally:
            over.set()
            writing.join()
    shutil.rmtree(bundles)
    bundles.mkdir()
    done = run(["sh", "-euc", restore], cwd=ROOT, env=env)
    assert done.returncode == 0, done.stderr
    with serving(*arguments) as one, asking(one.url) as client:
        one.wait_for("(Ready)")
        assert client.get("/v1/videos/kept").status_code == 200
        found = client.get("/v1/model").json()["position"]
        assert found >= put["position"]
        before = answers(client, found)
    restored = tmp_path / "restored.db"
    shutil.copy(backup / "events.db", restored)
    elsewhere = ("--bundles", str(backup / "bundles"), "--event-log", f"sqlite:///{restored}")
    with serving(*elsewhere) as two, asking(two.url) as client:
        two.wait_for("(Ready)")
        eventually(lambda: client.get("/v1/model").json()["position"] == found)
        assert answers(client, found) == before
