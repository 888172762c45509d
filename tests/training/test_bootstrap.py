"""The paired bootstrap knows a sure difference from a doubtful one."""

import numpy as np
import pytest

from training.bootstrap import paired_difference


def test_the_mean_is_over_users_that_both_were_judged_on() -> None:
    first = np.array([1.0, np.nan, 0.5, 0.0], dtype=np.float32)
    second = np.array([0.5, 1.0, 0.25, np.nan], dtype=np.float32)
    assert paired_difference(first, second, np.random.default_rng(0)).mean == pytest.approx(0.375)


def test_the_interval_is_that_of_the_normal_approximation() -> None:
    rng = np.random.default_rng(1)
    first = rng.random(2000, dtype=np.float32)
    second = first - 0.02 + rng.normal(0, 0.3, 2000).astype(np.float32)
    found = paired_difference(first, second, np.random.default_rng(2))
    error = 1.96 * float((first - second).std()) / 2000**0.5
    assert found.low == pytest.approx(found.mean - error, abs=error / 10)
    assert found.high == pytest.approx(found.mean + error, abs=error / 10)


def test_pairing_finds_what_two_means_would_hide() -> None:
    rng = np.random.default_rng(3)
    users = rng.random(500, dtype=np.float32)
    assert paired_difference(users + 0.01, users, rng).low > 0


def test_nobody_judged_is_no_difference() -> None:
    none = np.full(3, np.nan, dtype=np.float32)
    assert paired_difference(none, none, np.random.default_rng(0)) == (0.0, 0.0, 0.0)
