"""Several processes behind one port: together they are what a user knows of the service."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from tests.support.asking import asking
from tests.support.bundles import write_small_bundle
from tests.support.redis import free_port
from tests.support.server import REPOSITORY, Process, eventually, features, serving

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="several processes need Linux"),
]

LIST = "/v1/users/user-00000/recommendations?k=3"
QUICK = {"RECO_LOG_POLL_SECONDS": "0.02", "RECO_BUNDLE_POLL_SECONDS": "0.05"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one bundle."""
    root = tmp_path_factory.mktemp("trained")
    write_small_bundle(root)
    return root


@contextmanager
def group(bundles: Path, tmp_path: Path, *more: str, **settings: str) -> Iterator[Process]:
    """Serve with two processes, whose temporary files are in `tmp_path`."""
    arguments = ["--bundles", str(bundles), "--event-log", f"sqlite:///{tmp_path}/events.db"]
    environment = {**QUICK, "TMPDIR": str(tmp_path), **settings}
    with serving("--processes", "2", *arguments, *more, env=environment) as process:
        try:
            yield process
        finally:
            # Members of a parent that is killed end by themselves, but not at once.
            members = members_of(process)
            process.stop()
            eventually(lambda: not any(map(runs, members)))


@contextmanager
def ready(process: Process) -> Iterator[httpx.Client]:
    """Yield a client that connects anew for each request, once both processes are there."""
    with asking(process.url) as http:
        http.headers["connection"] = "close"
        eventually(lambda: ready_ones(http) == {"0": 1.0, "1": 1.0})
        yield http


def ready_ones(http: httpx.Client) -> dict[str, float]:
    return by_process(http, "reco_ready")


def by_process(http: httpx.Client, name: str) -> dict[str, float]:
    """Return the values of a metric by process; 0 for all other labels is left out."""
    found: dict[str, float] = {}
    for family in families(http.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name:
                process = sample.labels["process"]
                found[process] = found.get(process, 0.0) + sample.value
    return found


def members_of(process: Process) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text("ascii").split()] if children.exists() else []


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def sockets_in(folder: Path) -> list[Path]:
    return [path for path in folder.glob("recommender-*/*") if path.is_socket()]


def test_both_answer_and_one_scrape_tells_of_both(trained: Path, tmp_path: Path) -> None:
    with group(trained, tmp_path) as process, ready(process) as http:
        # Each connection goes to one of the two by chance: all of forty to one has none.
        lists = [http.get(LIST) for _ in range(40)]
        assert {reply.status_code for reply in lists} == {200}
        assert len({reply.content for reply in lists}) == 1
        answered = by_process(http, "reco_lists_total")
        assert sum(answered.values()) == 40
        assert min(answered.values()) > 0
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        opened = open_families(http.get("/metrics", headers=accept).text)  # type: ignore[no-untyped-call] # it has no types
        for told in (list(families(http.get("/metrics").text)), list(opened)):
            names = [family.name for family in told]
            assert len(names) == len(set(names))
            tellers = {sample.labels.get("process") for one in told for sample in one.samples}
            assert tellers == {"0", "1"}


def test_what_one_has_taken_the_other_knows(trained: Path, tmp_path: Path) -> None:
    with group(trained, tmp_path) as process, ready(process) as http:
        for number in range(10):
            reply = http.put(f"/v1/videos/new-{number}", json={"features": features(number)})
            assert reply.status_code == 201, reply.text
        position = reply.json()["position"]
        # Whichever process is asked: it waits until it has read that far.
        for _ in range(20):
            video = http.get(f"/v1/videos/new-9?min_position={position}")
            assert video.status_code == 200, video.text
        assert by_process(http, "reco_index_videos") == {"0": 70.0, "1": 70.0}


def test_one_that_is_killed_is_replaced_and_the_other_answers_meanwhile(
    trained: Path, tmp_path: Path
) -> None:
    with group(trained, tmp_path) as process, ready(process) as http:
        before = members_of(process)
        os.kill(before[1], signal.SIGKILL)
        # Said once all of it is gone, the connections that waited for it too.
        process.wait_for("(a process ended and is started again)")
        while len(now := [pid for pid in members_of(process) if runs(pid)]) < 2:
            assert http.get(LIST).status_code == 200
        assert now[0] == before[0]
        assert now[1] != before[1]
        eventually(lambda: ready_ones(http) == {"0": 1.0, "1": 1.0})
        for _ in range(20):
            assert http.get(LIST).status_code == 200


def test_one_is_replaced_though_the_folder_of_sockets_was_cleaned_up(
    trained: Path, tmp_path: Path
) -> None:
    with group(trained, tmp_path) as process, ready(process) as http:
        for folder in tmp_path.glob("recommender-*"):
            shutil.rmtree(folder)
        os.kill(members_of(process)[0], signal.SIGKILL)
        process.wait_for("(a process ended and is started again)")
        eventually(lambda: len([pid for pid in members_of(process) if runs(pid)]) == 2)
        # It tells its own again; the other's way to be asked is gone until it is replaced.
        eventually(lambda: "0" in ready_ones(http))
        assert http.get(LIST).status_code == 200
        assert process.output.count("Ready: ") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end_all_end_well(trained: Path, tmp_path: Path, number: signal.Signals) -> None:
    with group(trained, tmp_path) as process:
        with ready(process):
            members = members_of(process)
            assert len(sockets_in(tmp_path)) == 2
        assert process.signal(number) == 0
        assert not any(map(runs, members))
        assert not list(tmp_path.glob("recommender-*"))
        assert process.output.count("Ready: ") == 1


def test_without_their_parent_they_end(trained: Path, tmp_path: Path) -> None:
    with group(trained, tmp_path) as process:
        with ready(process):
            members = members_of(process)
        os.kill(process.pid, signal.SIGKILL)
        eventually(lambda: not any(map(runs, members)))


def test_one_that_hangs_holds_no_scrape_up(trained: Path, tmp_path: Path) -> None:
    with group(trained, tmp_path) as process, ready(process) as http:
        with httpx.Client(base_url=process.url, timeout=20) as kept:
            mine = answering(kept)
            other = members_of(process)[1 - mine]
            os.kill(other, signal.SIGSTOP)
            try:
                assert set(ready_ones(kept)) == {str(mine)}
            finally:
                os.kill(other, signal.SIGCONT)
        eventually(lambda: len(ready_ones(http)) == 2)


def answering(kept: httpx.Client) -> int:
    """Return which process has the connection that `kept` keeps open."""
    before = by_process(kept, "reco_lists_total")
    assert kept.get(LIST).status_code == 200
    after = by_process(kept, "reco_lists_total")
    (number,) = [int(process) for process in after if after[process] > before[process]]
    return number


def test_with_nothing_to_serve_they_say_so(tmp_path: Path) -> None:
    with group(tmp_path / "bundles", tmp_path) as process, asking(process.url) as http:
        assert http.get("/livez").status_code == 200
        assert http.get("/readyz").status_code == 503
        write_small_bundle(tmp_path / "bundles")
        eventually(lambda: ready_ones(http) == {"0": 1.0, "1": 1.0})


def test_lines_say_which_process_wrote_them(trained: Path, tmp_path: Path) -> None:
    with group(trained, tmp_path, RECO_LOG_FORMAT="json") as process, ready(process):
        loaded = [line for line in process.output.splitlines() if "bundle loaded" in line]
        assert {re.search(r'"process": (\d)', line).group(1) for line in loaded} == {"0", "1"}  # type: ignore[union-attr]


def refused(*arguments: str, **settings: str) -> str:
    """Return what a service says that does not start."""
    ended = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "service", "serve", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def started_beside(process: Process, trained: Path, tmp_path: Path) -> Sequence[str]:
    log = f"sqlite:///{tmp_path}/events.db"
    port = process.url.rpartition(":")[2]
    return "--bundles", str(trained), "--event-log", log, "--port", port, "--processes", "2"


def test_a_port_that_others_share_is_taken(trained: Path, tmp_path: Path) -> None:
    with group(trained, tmp_path) as process, ready(process):
        said = refused(*started_beside(process, trained, tmp_path))
    assert "error: cannot listen at 127.0.0.1, port " in said
    assert "Address already in use" in said


def test_a_port_that_somebody_takes_meanwhile_ends_it(tmp_path: Path) -> None:
    # Without a bundle it does not listen for ten seconds.
    port, log = free_port(), f"sqlite:///{tmp_path}/events.db"
    command = [sys.executable, "-m", "service", "serve", "--port", str(port), "--processes", "2"]
    command += ["--bundles", str(tmp_path / "bundles"), "--event-log", log]
    with (
        subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as started,  # noqa: S603 - our own module
        socket.socket() as other,
    ):
        assert started.stderr is not None
        while "Waiting for application startup" not in started.stderr.readline():
            assert started.poll() is None
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        _, said = started.communicate(timeout=60)
    assert started.returncode == 1
    assert "another program listens at this address" in said
    assert "a process cannot start" in said


def test_a_folder_that_no_socket_has_room_in_is_refused(trained: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    log = f"sqlite:///{tmp_path}/events.db"
    arguments = "--bundles", str(trained), "--event-log", log, "--port", "0", "--processes", "2"
    assert "expected a path of at most 104 bytes" in refused(*arguments, TMPDIR=str(long))
    assert not list(long.iterdir())


def test_keys_that_cannot_be_read_stop_the_start(trained: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text("{")
    log = f"sqlite:///{tmp_path}/events.db"
    arguments = "--bundles", str(trained), "--event-log", log, "--port", "0", "--processes", "2"
    assert "keys.json" in refused(*arguments, RECO_API_KEYS=str(keys))
