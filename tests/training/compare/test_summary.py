"""What is summed up is the mean over seeds, and the best is who validation says it is."""

import pytest

from tests.support.comparing import made_up, plan_of
from training.compare.protocol import Comparison
from training.compare.runs import Kept
from training.compare.summary import summarise


def comparison(**chosen: list[Kept]) -> Comparison:
    return Comparison(plan_of(), chosen, [kept for runs in chosen.values() for kept in runs], [])


def test_a_summary_is_the_mean_and_deviation_over_seeds() -> None:
    runs = [made_up("a", 0, 0.1, peak_mib=7.0), made_up("a", 1, 0.3, seconds=4.0)]
    (system,) = summarise(comparison(a=runs)).systems
    assert (system.model, system.seeds) == ("a", [0, 1])
    assert system.figures["overall"]["recall@20"] == pytest.approx((0.2, 0.2 / 2**0.5))
    assert system.figures["cold"]["ndcg@20"].mean == pytest.approx(0.1)
    assert system.lists["coverage@20"] == (0.25, 0)
    assert (system.seconds, system.peak_mib, system.arrival_ms) == (3.0, 100.0, None)


def test_a_group_that_nobody_asked_for_has_no_figures() -> None:
    (system,) = summarise(comparison(a=[made_up("a", 0, 0.1, cold=False)])).systems
    assert system.figures["cold"] == {}
    assert system.figures["warm"]["recall@20"].deviation == 0


def test_the_best_is_that_of_validation_and_is_set_against_all_others() -> None:
    found = summarise(
        comparison(
            good_on_test=[made_up("good_on_test", 0, 0.9, val=0.1)],
            best=[made_up("best", 0, 0.4, val=0.6), made_up("best", 1, 0.6, val=0.6)],
            last=[made_up("last", 0, 0.2, val=0.2)],
        )
    )
    assert found.best == "best"
    assert set(found.differences) == {"good_on_test", "last"}
    assert found.differences["last"]["recall@20"] == pytest.approx((0.3, 0.3, 0.3))
    assert found.differences["last"]["ndcg@20"] == pytest.approx((0.15, 0.15, 0.15))
    assert found.differences["good_on_test"]["recall@20"].mean == pytest.approx(-0.4)
