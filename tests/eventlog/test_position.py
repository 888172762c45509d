"""Positions, digests and encoded events: what is one and what is not."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.events import VideoDeleted, decode, encode
from eventlog.log import digest_of
from eventlog.position import START, Place, Position, is_position, new_epoch, place_of

PLACES = st.builds(
    Place, st.integers(0, 2**64 - 1).map(lambda n: f"{n:016x}"), st.integers(0, 10**16 - 1)
)


@given(place=PLACES)
def test_a_place_is_its_position_taken_apart(place: Place) -> None:
    assert is_position(place.position)
    assert place_of(place.position) == place


@given(one=PLACES, other=PLACES)
def test_positions_are_ordered_as_their_places(one: Place, other: Place) -> None:
    assert (one < other) == (one.position < other.position)


def test_the_start_is_before_all_and_no_position() -> None:
    assert place_of(START) == Place("", 0)
    assert Place("", 0).position == START
    assert not is_position(START)


GOOD = Place("0123456789abcdef", 7).position


@pytest.mark.parametrize(
    "text",
    ["x", GOOD + "0", GOOD[1:], GOOD + "\n", GOOD.upper(), GOOD.replace("7", "\u0667"), "-1"],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    assert not is_position(text)
    with pytest.raises(ValueError, match="is no position"):
        place_of(Position(text))


def test_epochs_fit_into_positions_and_differ() -> None:
    epochs = [new_epoch() for _ in range(50)]
    assert len(set(epochs)) > 45
    assert all(is_position(Place(epoch, 1).position) for epoch in epochs)


@given(one=st.lists(st.binary(max_size=3)), other=st.lists(st.binary(max_size=3)))
def test_digests_tell_parts_apart(one: list[bytes], other: list[bytes]) -> None:
    assert (digest_of(*one) == digest_of(*other)) == (one == other)


def test_where_a_part_ends_matters_to_its_digest() -> None:
    assert digest_of(b"ab", b"c") != digest_of(b"a", b"bc") != digest_of(b"abc")


PAYLOAD = encode(VideoDeleted(video_id="v", recorded_at=1))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", PAYLOAD[:-1], PAYLOAD + b"\x00", PAYLOAD.replace(b"\xa1v", b"\xa1\xff")],
)
def test_what_is_no_event_is_named_so(payload: bytes) -> None:
    assert decode(PAYLOAD) == VideoDeleted(video_id="v", recorded_at=1)
    with pytest.raises(msgspec.DecodeError):
        decode(payload)
