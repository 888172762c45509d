"""API keys at rest: who may do what, until when. Knows a file of hashes; nothing of HTTP.

A token is shown once, when its key is made; only its SHA-256 is kept. Tokens are 256 random bits,
so there is nothing for a slow hash to protect.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

# Lets scanners of repositories and logs know one of ours when they see it.
TOKEN_PREFIX: Final = "reco_"  # noqa: S105 - the part of it that is no secret
TOKEN_BYTES: Final = 32
LONGEST_TOKEN: Final = 200
# How often the file is looked at. A look is one stat, some microseconds.
LOOK_SECONDS: Final = 1.0

log = structlog.get_logger()


class Scope(StrEnum):
    """What a key may be good for. None includes another."""

    READ = "read"
    INGEST = "ingest"
    ADMIN = "admin"


class KeysError(Exception):
    """The file of keys cannot be used, or not for what was asked of it."""


class Key(BaseModel):
    """One key, without its token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None

    def expired(self, now: float) -> bool:
        """Say if the key is good no more at `now`, in Unix seconds."""
        return self.expires_at is not None and self.expires_at.timestamp() <= now


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    keys: tuple[Key, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> "_File":
        names = [key.name for key in self.keys]
        if len(set(names)) < len(names):
            raise ValueError("two keys have the same name")
        return self


def read_keys(file: Path) -> tuple[Key, ...]:
    """Return the keys in `file`.

    Raises:
        KeysError: it is not there, cannot be read or is no file of keys.
    """
    try:
        return _File.model_validate_json(file.read_bytes()).keys
    except OSError as error:
        raise KeysError(f"{file}: {error.strerror}") from None
    except ValidationError as error:
        # Places and kinds of faults, never what stands there: it may be a token put in by mistake.
        faults = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise KeysError(f"{file} is no file of keys: {'; '.join(faults)}") from None


def create_key(
    file: Path, name: str, scopes: Sequence[Scope], *, now: datetime, expires_at: datetime | None
) -> str:
    """Add a key to `file`, which is made if it is not there, and return its token.

    Raises:
        KeysError: there is a key of this name, name or file are not good, or it cannot be written.
    """
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    kept = tuple(scope for scope in Scope if scope in scopes)
    try:
        made = Key(
            name=name, scopes=kept, sha256=_digest(token), created_at=now, expires_at=expires_at
        )
    except ValidationError as error:
        fault = error.errors()[0]
        raise KeysError(f"{fault['loc'][0]}: {fault['msg']}") from None
    with _changing(file) as keys:
        if any(key.name == name for key in keys):
            raise KeysError(f"{file} has a key {name!r} already: revoke it, or take another name")
        _write(file, [*keys, made])
    return token


def revoke_key(file: Path, name: str) -> None:
    """Take a key out of `file`.

    Raises:
        KeysError: there is none of this name, or the file cannot be read or written.
    """
    with _changing(file) as keys:
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            raise KeysError(f"{file} has no key {name!r}")
        _write(file, left)


class Keyring:
    """The keys of a file, read again when it has changed: no restart to add or revoke one."""

    def __init__(self, file: Path, *, clock: Callable[[], float]) -> None:
        """Open nothing yet."""
        self._file = file
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._read_at: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        self._fault = ""

    def find(self, token: str) -> Key | None:
        """Return the key of `token`, if there is one and it has not expired."""
        now = self._clock()
        self._look(now)
        digest = _digest(token)
        found = None
        for key in self._keys:
            # All are compared, each in constant time: how long it takes tells nothing of any.
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return None if found is None or found.expired(now) else found

    def _look(self, now: float) -> None:
        if 0 <= now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            state = self._file.stat()
            seen = (state.st_mtime_ns, state.st_size, state.st_ino)
            if seen == self._read_at:
                return
            self._keys = read_keys(self._file)
            self._read_at, self._fault = seen, ""
            log.info("API keys read", keys=len(self._keys))
        except (OSError, KeysError) as error:
            # Nobody is locked out by a slip of the pen: the last good keys stay good.
            self._read_at = None
            if str(error) != self._fault:
                self._fault = str(error)
                log.warning("API keys cannot be read", fault=self._fault, kept=len(self._keys))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def _changing(file: Path) -> Iterator[tuple[Key, ...]]:
    """Yield the keys in `file` to the only one who changes it now."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield read_keys(file) if file.exists() else ()
        finally:
            os.close(folder)
    except OSError as error:
        raise KeysError(f"{file}: {error.strerror}") from None


def _write(file: Path, keys: Sequence[Key]) -> None:
    """Replace `file`, for its owner's eyes alone, whole or not at all."""
    text = _File(keys=tuple(keys)).model_dump_json(indent=2, exclude_none=True)
    target = file.resolve()
    handle, name = tempfile.mkstemp(prefix=".keys-", dir=target.parent)
    try:
        with os.fdopen(handle, "w") as scratch:
            scratch.write(f"{text}\n")
            scratch.flush()
            os.fsync(scratch.fileno())
        Path(name).replace(target)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
