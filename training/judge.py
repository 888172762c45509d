"""Judges a bundle on a data set: finds the bundle's rows for the data set's ids. Knows both."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.bundle.ids import IdTable
from models.bundle.reader import Bundle
from training.data.dataset import Dataset, Rows, Split
from training.errors import InvalidDataset
from training.evaluate import evaluate, inner_products


def judge(bundle: Bundle, dataset: Dataset, split: Split) -> dict[str, Any]:
    """Evaluate the vectors of `bundle` on `dataset` (see `training.evaluate.evaluate`).

    Raises:
        InvalidDataset: the data set holds users or videos that the bundle does not.
    """
    users = _rows(bundle.user_ids, dataset.user_ids, "user")
    videos = _rows(bundle.video_ids, dataset.video_ids, "video")
    scorer = inner_products(bundle.users[users], bundle.videos[videos])
    return evaluate(dataset, split, scorer)


def _rows(known: IdTable, wanted: Sequence[str], what: str) -> Rows:
    rows = [known.row(name) for name in wanted]
    missing = [name for name, row in zip(wanted, rows, strict=True) if row is None]
    if missing:
        raise InvalidDataset(
            [f"{len(missing)} {what}s are not in the bundle, the first is {missing[0]!r}"]
        )
    return np.array(rows, dtype=np.int64)
