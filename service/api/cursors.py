"""Where a reader of a list is: text that says nothing to clients. Knows bytes; no resource.

A cursor carries a checksum over what it is for, so that one of another list is refused.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final

from service.errors import Fault, InvalidInput

CHECKED: Final = 6


def to_cursor(purpose: str, content: bytes) -> str:
    """Return `content` as text for clients of the list that `purpose` names."""
    return urlsafe_b64encode(_checksum(purpose, content) + content).rstrip(b"=").decode("ascii")


def from_cursor(purpose: str, cursor: str, field: str) -> bytes:
    """Return the content of a `cursor` that came in `field`.

    Raises:
        InvalidInput: it is not one that was handed out for this list.
    """
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    content = raw[CHECKED:]
    # Compared as text too: the same bytes may be written in several ways.
    if raw[:CHECKED] != _checksum(purpose, content) or to_cursor(purpose, content) != cursor:
        wanted = "next_cursor of an answer to this list"
        raise InvalidInput([Fault(field, wanted, repr(cursor[:40]))])
    return content


def _checksum(purpose: str, content: bytes) -> bytes:
    return blake2b(purpose.encode() + b"\0" + content, digest_size=CHECKED).digest()
