"""What is said of the bundle that is served, and of what came since."""

from tests.support.server import Api


def test_arrivals_are_counted_while_they_are_there(api: Api) -> None:
    assert api.model()["arrivals"] == 0
    api.put_video("first")
    api.put_video("second")
    api.put_video("video-00000", seed=3)
    assert (api.model()["arrivals"], api.model()["videos"]) == (3, 62)
    api.delete_video("first")
    assert (api.model()["arrivals"], api.model()["videos"]) == (2, 61)


def test_the_index_is_told_with_its_recall(api: Api) -> None:
    index = api.model()["index"]
    assert index == {"kind": "flat", "recall_at_20": 1.0}


def test_the_examples_are_far_apart_and_still_there(api: Api) -> None:
    examples = api.model()["examples"]
    assert examples["videos"] == [f"video-{row:05d}" for row in range(0, 60, 5)]
    assert examples["users"] == [f"user-{row:05d}" for row in range(12)]
    api.delete_video("video-00005")
    api.erase("user-00003")
    examples = api.model()["examples"]
    assert "video-00005" not in examples["videos"]
    assert "user-00003" not in examples["users"]
