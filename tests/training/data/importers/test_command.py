"""The import command takes what a format takes, and its document says the same."""

import re
from pathlib import Path

import pytest

from tests.support.deployment import named_rows
from tests.support.importing import refusal
from training.data.importers.formats import IMPORTERS

VALUES = {"first_video": "1", "seed": "1"}
ALL = (
    "user_column", "video_column", "time_column", "split_column", "first_video", "base", "seed"
)  # fmt: skip


def flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def test_every_format_is_documented_with_the_options_it_takes() -> None:
    rows = named_rows("importing.md")
    written = {name: re.findall(r"`(--[a-z-]+)`", rows[name][-1]) for name in IMPORTERS}
    assert written == {
        name: [flag(option) for option in importer.takes] for name, importer in IMPORTERS.items()
    }


@pytest.mark.parametrize("format_", IMPORTERS)
@pytest.mark.parametrize("option", ALL)
def test_an_option_that_a_format_does_not_take_is_refused(
    format_: str, option: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    told = refusal(format_, tmp_path / "empty", flag(option), VALUES.get(option, "x"))
    refused = told.startswith(f"{flag(option)}: not for the format {format_!r}")
    assert refused == (option not in IMPORTERS[format_].takes)


@pytest.mark.parametrize("format_", IMPORTERS)
def test_a_folder_that_is_missing_or_a_file_is_told(format_: str, tmp_path: Path) -> None:
    assert refusal(format_, tmp_path / "gone")
    (tmp_path / "file").write_text("x")
    assert refusal(format_, tmp_path / "file")
