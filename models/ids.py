"""What an external id may be: the one rule that datasets, bundles and HTTP share."""

import unicodedata
from typing import Final, NewType

UserId = NewType("UserId", str)
VideoId = NewType("VideoId", str)

MAX_ID_BYTES: Final = 512


def fault_in_id(text: str) -> str | None:
    """Say what is wrong with `text` as an id, or None: non-empty UTF-8, no control characters."""
    if not text:
        return "is empty"
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return "is not valid UTF-8 text"
    if size > MAX_ID_BYTES:
        return f"is {size} bytes long, at most {MAX_ID_BYTES} are allowed"
    # Most are printable, and then there is nothing to look for.
    if not text.isprintable() and any(unicodedata.category(each) == "Cc" for each in text):
        return "holds a control character"
    return None
