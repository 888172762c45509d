"""Runs the import command on a source and tells what came of it. Knows the command line alone."""

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from typer.testing import Result

from tests.support.training_command import call
from training.data.dataset import Dataset, Split
from training.data.folder import read_dataset


class Import(NamedTuple):
    """The dataset that was written, where, and what was told meanwhile."""

    dataset: Dataset
    folder: Path
    told: str

    def met(self, split: Split) -> set[tuple[str, str]]:
        """Return the ids of the users and videos that met in a split."""
        part = self.dataset.interactions(split)
        users, videos = self.dataset.user_ids, self.dataset.video_ids
        return {(users[u], videos[v]) for u, v in zip(part.users, part.videos, strict=True)}

    def times(self) -> dict[tuple[str, str], Any]:
        """Return the second in which each user met each video."""
        rows = pq.read_table(self.folder / "interactions.parquet").to_pylist()
        return {(row["user_id"], row["video_id"]): row["timestamp"] for row in rows}

    def features_of(self, video: str) -> list[float]:
        """Return the joined features of a video."""
        features: list[float] = self.dataset.joined_features[
            self.dataset.video_ids.index(video)
        ].tolist()
        return features

    def told_of(self, video: str) -> dict[str, Any]:
        """Return the metadata of a video."""
        return self.dataset.metadata[self.dataset.video_ids.index(video)]


def import_(format_: str, source: Path, *options: object) -> Import:
    """Import `source` into a folder beside it."""
    folder = source.parent / f"{source.name} as {format_}"
    result = _call(format_, source, folder, *options)
    assert result.exit_code == 0, result.output
    return Import(read_dataset(folder), folder, " ".join(result.stderr.split()))


def refusal(format_: str, source: Path, *options: object) -> str:
    """Return what is told of a source that cannot be imported, of which nothing is written."""
    before = sorted(source.parent.iterdir())
    result = _call(format_, source, source.parent / "refused", *options)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert sorted(source.parent.iterdir()) == before
    return result.stderr.partition("error: ")[2]


def _call(format_: str, source: Path, folder: Path, *options: object) -> Result:
    return call("import", format_, source, folder, *map(str, options))
