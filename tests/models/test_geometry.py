"""How vectors lie is measured in parts, to the same end."""

import numpy as np
import pytest

from models import geometry as geometry_module
from models.geometry import survey
from tests.support.bundles import unit


def test_where_all_users_are_one_what_somebody_met_says_nothing() -> None:
    videos = unit(np.random.default_rng(0).normal(1, 1, (100, 5)))
    alike = survey(videos[[3] * 9], videos)
    assert not alike.evening.any()
    assert survey(videos[[3]], videos).evening.any()
    assert survey(videos[[3, 3, 4]], videos).evening.any()


def test_however_many_rows_are_measured_at_once_the_geometry_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    videos, users = unit(rng.normal(1, 1, (100, 5))), unit(rng.normal(1, 1, (9, 5)))
    whole = survey(users, videos)
    offsets = videos - videos.mean(axis=0, dtype=np.float64)
    spread = (offsets @ whole.evening.T) ** 2
    assert spread.sum(axis=1).mean() == pytest.approx(1)
    np.testing.assert_allclose(whole.typical, users.mean(axis=0), rtol=1e-6)
    monkeypatch.setattr(geometry_module, "VIDEOS_AT_ONCE", 7)
    for part, all_ in zip(survey(users, videos), whole, strict=True):
        np.testing.assert_allclose(part, all_, rtol=1e-9, atol=1e-12)
