"""Where a Milvus is and what our things in it are called. Knows text; speaks to nobody."""

import re
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

SCHEMES: Final = {"milvus": "http", "http": "http", "https": "https"}
WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}", re.ASCII)
PORT: Final = 19530
PREFIX: Final = "reco"


class Address(NamedTuple):
    """A Milvus, a database in it, and what the names of all that is ours there begin with."""

    uri: str
    database: str
    prefix: str

    def collection(self, bundle_id: str) -> str:
        """Return the name of the collection with the vectors of a bundle."""
        return f"{self.prefix}_{bundle_id.replace('-', '_')}"

    def bundle_id(self, collection: str) -> str:
        """Return which bundle's a collection is; "" if it is none of ours."""
        found = re.fullmatch(rf"{self.prefix}_(\d{{8}}T\d{{6}})_([0-9a-f]{{10}})", collection)
        return f"{found[1]}-{found[2]}" if found else ""

    @property
    def current(self) -> str:
        """The alias of the collection whose bundle is served."""
        return f"{self.prefix}_current"


def whole(collection: str) -> str:
    """Return the alias that a collection has once it holds all of its bundle, indexed."""
    return f"{collection}_whole"


def turn(collection: str, number: int) -> str:
    """Return the name of the empty collection whose maker may fill `collection`.

    Turns are counted from 1. Making one is the only thing that Milvus lets but one of many do.
    """
    return f"{collection}_turn_{number:06d}"


def is_turn(name: str, collection: str) -> bool:
    """Tell whether `name` is that of a turn at `collection`."""
    return name.startswith(f"{collection}_turn_")


def read_address(url: str) -> Address:
    """Return what `milvus://host[:port][/database][?prefix=word]` names; https:// is over TLS.

    Raises:
        ValueError: it is no such URL, or has a secret in it.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError("expected faiss, or milvus:// or https:// with a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected no user or password in the URL: RECO_INDEX_TOKEN is for those")
    database = parts.path.strip("/")
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    prefix = options.pop("prefix", PREFIX)
    if options or parts.fragment or not WORD.fullmatch(prefix):
        raise ValueError("expected nothing behind the database but ?prefix=, a word of letters")
    if database and not WORD.fullmatch(database):
        raise ValueError("expected a database whose name is a word of letters, digits and _")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(f"{SCHEMES[parts.scheme]}://{host}:{parts.port or PORT}", database, prefix)
