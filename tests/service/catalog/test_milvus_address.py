"""What RECO_INDEX may be, and what things are called in a Milvus."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from service.catalog.milvus.address import Address, is_turn, read_address, turn, whole
from service.settings import Settings

OURS = Address("http://h:1", "", "reco")
BUNDLE_IDS = st.from_regex(re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{10}", re.ASCII), fullmatch=True)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("milvus://h", Address("http://h:19530", "", "reco")),
        ("milvus://h:1/films", Address("http://h:1", "films", "reco")),
        ("https://h:1?prefix=staging", Address("https://h:1", "", "staging")),
        ("http://[::1]:1/", Address("http://[::1]:1", "", "reco")),
    ],
)
def test_a_url_names_a_server_a_database_and_a_prefix(url: str, address: Address) -> None:
    assert read_address(url) == address
    assert Settings(index=url).index == url


@pytest.mark.parametrize(
    "url",
    [
        *("", "milvus", "milvus://", "redis://h", "FAISS", "a.db", "milvus://h:x"),
        *("milvus://h/a/b", "milvus://h/a-b", "milvus://h?prefix=", "milvus://h?prefix=a-b"),
        *("milvus://h?token=x", "milvus://h#x", "milvus://h?prefix=a&prefix=b;c"),
    ],
)
def test_what_names_no_milvus_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match=r"index\n"):
        Settings(index=url)


def test_a_secret_in_the_url_is_refused() -> None:
    with pytest.raises(ValueError, match="RECO_INDEX_TOKEN") as caught:
        read_address("milvus://reader:geheim@h")
    assert "geheim" not in str(caught.value)


def test_the_token_is_not_shown() -> None:
    settings = Settings(index_token=SecretStr("reader:geheim"))
    assert settings.index_token is not None
    assert settings.index_token.get_secret_value() == "reader:geheim"
    assert "geheim" not in f"{settings!r}{settings}{settings.model_dump_json()}"


@given(BUNDLE_IDS)
def test_the_bundle_of_a_collection_is_known_and_nothing_else_is_one(bundle_id: str) -> None:
    collection = OURS.collection(bundle_id)
    assert re.fullmatch(r"[A-Za-z_]\w*", collection, re.ASCII)
    assert OURS.bundle_id(collection) == bundle_id
    assert is_turn(turn(collection, 1), collection)
    for other in (turn(collection, 1), whole(collection), OURS.current, f"x{collection}"):
        assert OURS.bundle_id(other) == ""
    assert Address("http://h:1", "", "other").bundle_id(collection) == ""
