"""The file of API keys and the commands that change it."""

import json
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from service.__main__ import app
from service.keys import LOOK_SECONDS, Keyring, KeysError, Scope, create_key, read_keys, revoke_key
from tests.support.commands import run
from tests.support.deployment import ROOT

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def call(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(app, ["keys", *map(str, arguments)], env=environment)


def made(file: Path, name: str, *scopes: Scope, days: int | None = None) -> str:
    expires_at = None if days is None else NOW + timedelta(days=days)
    return create_key(file, name, scopes or (Scope.READ,), now=NOW, expires_at=expires_at)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now

    def pass_a_look(self) -> None:
        self.now += LOOK_SECONDS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_token_is_nowhere_in_the_file_and_finds_its_key(file: Path) -> None:
    token = made(file, "feed", Scope.READ, Scope.INGEST)
    assert token.removeprefix("reco_") not in file.read_text()
    found = Keyring(file, clock=Clock()).find(token)
    assert found is not None
    assert (found.name, found.scopes) == ("feed", (Scope.READ, Scope.INGEST))


def test_tokens_are_long_and_never_alike(file: Path) -> None:
    tokens = {made(file, f"key-{number}") for number in range(20)}
    assert len(tokens) == 20
    assert all(len(token) == len("reco_") + 43 for token in tokens)


def test_the_file_is_for_the_eyes_of_its_owner(file: Path) -> None:
    made(file, "feed")
    made(file, "bulk")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


@given(token=st.text(max_size=60))
def test_no_other_text_finds_a_key(tmp_path_factory: pytest.TempPathFactory, token: str) -> None:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    real = made(file, "feed")
    keyring = Keyring(file, clock=Clock())
    assert keyring.find(token) is None
    assert keyring.find(real[:-1]) is None
    assert keyring.find(real + "=") is None
    assert keyring.find(real.swapcase()) is None


def test_a_key_is_good_until_the_second_it_expires(file: Path) -> None:
    token, clock = made(file, "guest", days=1), Clock()
    keyring = Keyring(file, clock=clock)
    clock.now += 24 * 3600 - 1
    assert keyring.find(token)
    clock.now += 1
    assert keyring.find(token) is None


def test_keys_come_and_go_without_a_restart(file: Path) -> None:
    first, clock = made(file, "first"), Clock()
    keyring = Keyring(file, clock=clock)
    assert keyring.find(first)
    second = made(file, "second")
    clock.pass_a_look()
    assert keyring.find(second)
    revoke_key(file, "first")
    clock.pass_a_look()
    assert keyring.find(first) is None
    assert keyring.find(second)


@pytest.mark.parametrize("spoil", ["{", "gone"])
def test_a_file_that_cannot_be_read_locks_nobody_out_and_is_told_once(
    file: Path, spoil: str
) -> None:
    token, clock = made(file, "feed"), Clock()
    keyring = Keyring(file, clock=clock)
    assert keyring.find(token)
    good = file.read_bytes()
    file.unlink() if spoil == "gone" else file.write_text(spoil)
    with capture_logs() as lines:
        for _ in range(3):
            clock.pass_a_look()
            assert keyring.find(token)
    assert [line["log_level"] for line in lines] == ["warning"]
    file.write_bytes(good)
    revoke_key(file, "feed")
    clock.pass_a_look()
    assert keyring.find(token) is None


def test_a_clock_that_is_set_back_does_not_stop_the_looking(file: Path) -> None:
    token, clock = made(file, "feed"), Clock()
    keyring = Keyring(file, clock=clock)
    assert keyring.find(token)
    revoke_key(file, "feed")
    clock.now -= 3600
    assert keyring.find(token) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"format_version": 2, "keys": []}',
        '{"keys": [{"name": "SECRET"}]}',
        '{"keys": [], "more": "SECRET"}',
        '{"keys": "SECRET"}',
        json.dumps(
            {
                "keys": [
                    {
                        "name": "a",
                        "scopes": ["read"],
                        "sha256": "SECRET",
                        "created_at": "2026-01-31T12:00:00Z",
                    }
                ]
            }
        ),
    ],
)
def test_what_is_no_file_of_keys_is_refused_and_not_repeated(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(KeysError) as refused:
        read_keys(file)
    assert str(file) in str(refused.value)
    assert "SECRET" not in str(refused.value)


def test_two_keys_of_one_name_are_refused(file: Path) -> None:
    made(file, "feed")
    document = json.loads(file.read_text())
    document["keys"] *= 2
    file.write_text(json.dumps(document))
    with pytest.raises(KeysError, match="same name"):
        read_keys(file)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "é", "x" * 65, "a\n"])
def test_a_name_that_is_no_name_makes_no_key(file: Path, name: str) -> None:
    with pytest.raises(KeysError, match="name"):
        made(file, name)
    assert not file.exists()


def test_a_name_in_use_makes_no_key(file: Path) -> None:
    token = made(file, "feed")
    with pytest.raises(KeysError, match="revoke it"):
        made(file, "feed")
    assert Keyring(file, clock=Clock()).find(token)


def test_keys_made_at_the_same_time_are_all_kept(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda number: made(file, f"key-{number}"), range(24)))
    keyring = Keyring(file, clock=Clock())
    assert all(keyring.find(token) for token in tokens)


def test_a_file_behind_a_link_is_changed_where_it_is(file: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file.symlink_to(tmp_path / "there/real.json")
    made(tmp_path / "there/real.json", "feed")
    made(file, "bulk")
    assert file.is_symlink()
    assert [key.name for key in read_keys(tmp_path / "there/real.json")] == ["feed", "bulk"]


# The commands


def test_create_prints_the_token_alone_and_list_never_does(file: Path) -> None:
    result = call("create", "feed", "--scope", "read", "--scope", "ingest", "--file", file)
    assert result.exit_code == 0, result.output
    token = result.stdout.strip()
    assert Keyring(file, clock=lambda: datetime.now(UTC).timestamp()).find(token)
    listed = call("list", RECO_API_KEYS=str(file), COLUMNS="120").output
    assert "feed" in listed
    assert "read ingest" in listed
    assert token not in listed
    assert read_keys(file)[0].sha256[:12] not in listed


def test_an_expiry_is_given_in_days_and_shown(file: Path) -> None:
    call("create", "guest", "--scope", "read", "--days", 7, "--file", file)
    (key,) = read_keys(file)
    assert key.expires_at == key.created_at + timedelta(days=7)
    assert f"{key.expires_at:%Y-%m-%d}" in call("list", "--file", file, COLUMNS="120").output


def test_an_expired_key_is_listed_as_such(file: Path) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    create_key(file, "old", [Scope.READ], now=long_ago, expires_at=long_ago + timedelta(days=1))
    assert "(expired)" in call("list", "--file", file, COLUMNS="120").output


def test_a_revoked_key_is_gone(file: Path) -> None:
    made(file, "feed")
    assert call("revoke", "feed", "--file", file).output.strip() == "feed"
    assert read_keys(file) == ()
    again = call("revoke", "feed", "--file", file)
    assert again.exit_code == 1
    assert "no key 'feed'" in again.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "feed"),
        ("create", "feed", "--scope", "write"),
        ("create", "feed", "--scope", "read", "--days", "0"),
        ("create", "a b", "--scope", "read"),
        ("create", "feed", "--scope", "read", "--days", "36501"),
    ],
)
def test_a_wrong_command_makes_nothing(file: Path, arguments: tuple[str, ...]) -> None:
    assert call(*arguments, "--file", file).exit_code != 0
    assert not file.exists()


@pytest.mark.parametrize("command", [("list",), ("revoke", "feed")])
def test_without_a_file_a_command_says_what_is_missing(command: tuple[str, ...]) -> None:
    result = call(*command)
    assert result.exit_code == 1
    assert "RECO_API_KEYS" in result.output


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "not-a-folder").write_text("")
    result = call("create", "feed", "--scope", "read", "--file", tmp_path / "not-a-folder/keys")
    assert result.exit_code == 1
    assert "not-a-folder" in result.output
    assert "Traceback" not in result.output


def test_a_start_with_a_file_that_is_none_is_refused(file: Path, tmp_path: Path) -> None:
    file.write_text("reco_a-token-put-here-by-mistake")
    command = [sys.executable, "-m", "service", "serve", "--port", "0"]
    command += ["--event-log", f"sqlite:///{tmp_path}/events.db"]
    result = run(command, cwd=ROOT, env={**os.environ, "RECO_API_KEYS": str(file)})
    assert result.returncode == 1
    assert "is no file of keys" in result.stderr
    assert "reco_a-token" not in result.stdout + result.stderr
