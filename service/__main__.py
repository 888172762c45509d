"""The service's command line: serve, doctor, bundles, keys."""

import gc
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

# Before numpy, torch and faiss read it: they share the machine with the event loop.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What is imported stays: to look for garbage among it takes a third of the start.
gc.disable()

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Column, Table

from eventlog.errors import EventLogError
from models.bundle.errors import BundleError, NoBundle
from models.bundle.reader import list_bundle_ids, read_bundle, read_current_id
from models.bundle.writer import make_current
from service.catalog.milvus.engine import EngineAway
from service.doctor import examine
from service.errors import CannotStart, ServiceError
from service.keys import KeysError, Scope, create_key, read_keys, revoke_key
from service.pushing import push
from service.server import serve as run_server
from service.settings import Settings

gc.freeze()
gc.enable()

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
bundles_app = typer.Typer(help="What is there to serve, and which is served.", no_args_is_help=True)
app.add_typer(bundles_app, name="bundles")
keys_app = typer.Typer(help="Who may use the service, and for what.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

Bundles = Annotated[
    Path | None, typer.Option("--bundles", help="Folder of bundles [env: RECO_BUNDLES].")
]
EventLogUrl = Annotated[
    str | None, typer.Option("--event-log", help="Event log URL [env: RECO_EVENT_LOG].")
]
Host = Annotated[str | None, typer.Option(help="Address to listen on [env: RECO_HOST].")]
Port = Annotated[int | None, typer.Option(help="Port to listen on [env: RECO_PORT].")]
Processes = Annotated[
    int | None, typer.Option(help="Processes that listen there [env: RECO_PROCESSES].")
]
Example = Annotated[
    Path | None, typer.Option(help="Write a made-up video here and show how to send it.")
]
KeysFile = Annotated[Path | None, typer.Option("--file", help="Keys [env: RECO_API_KEYS].")]


@app.command()
def serve(
    bundles: Bundles = None,
    event_log: EventLogUrl = None,
    host: Host = None,
    port: Port = None,
    processes: Processes = None,
    example: Example = None,
) -> None:
    """Serve until interrupted. Every other setting is RECO_<NAME> in the environment."""
    where = {"host": host, "port": port, "processes": processes}
    settings = _settings(bundles=bundles, event_log=event_log, **where)
    try:
        run_server(settings, example=example)
    except (CannotStart, EventLogError, KeysError, ServiceError) as error:
        _fail(str(error))


@app.command()
def doctor(
    bundles: Bundles = None,
    event_log: EventLogUrl = None,
    host: Host = None,
    port: Port = None,
) -> None:
    """Examine bundle, event log, port, threads and keys; say what mends each, exit 1 if any."""
    findings = examine(_settings(bundles=bundles, event_log=event_log, host=host, port=port))
    for finding in findings:
        typer.echo(f"{'ok  ' if finding.good else 'FAIL'}  {finding.subject:10} {finding.text}")
        if finding.mend:
            typer.echo(f"      {'mend:':10} {finding.mend}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


@bundles_app.command("list")
def list_bundles(bundles: Bundles = None) -> None:
    """List the bundles, newest first, with the one that CURRENT names marked."""
    root = _settings(bundles=bundles).bundles
    current = _current(root)
    bundle_ids = list_bundle_ids(root)
    # An id is there to be copied: other columns give way.
    longest = max(map(len, bundle_ids), default=0)
    id_column = Column("bundle", no_wrap=True, min_width=longest)
    table = Table("", id_column, "dataset", "videos", "users", "recall@20")
    for bundle_id in bundle_ids:
        try:
            manifest = read_bundle(root / bundle_id).manifest
        except BundleError as error:
            table.add_row("!", bundle_id, f"refused: {error.fault}", "", "", "")
            continue
        recall = manifest.metrics.get("overall", {}).get("recall@20")
        sizes = (f"{manifest.videos:,}", f"{manifest.users:,}")
        shown = "" if recall is None else f"{recall:.4f}"
        table.add_row(
            "*" if bundle_id == current else "", bundle_id, manifest.dataset, *sizes, shown
        )
    Console().print(table)


@bundles_app.command("push")
def push_bundle(
    bundle_id: Annotated[str, typer.Argument(help="The bundle to have there.")],
    bundles: Bundles = None,
) -> None:
    """Put a bundle into the index engine (RECO_INDEX) ahead of its being served."""
    settings = _settings(bundles=bundles)
    _known(settings.bundles, bundle_id)
    try:
        if not push(settings, bundle_id):
            _fail("there is no index engine: RECO_INDEX is faiss")
    except (BundleError, EngineAway, OSError) as error:
        _fail(str(error))
    typer.echo(bundle_id)


@bundles_app.command()
def activate(
    bundle_id: Annotated[str, typer.Argument(help="The bundle to serve.")], bundles: Bundles = None
) -> None:
    """Verify a bundle and make it current; running services load it within seconds.

    With an index engine it is put there first; an engine that is away holds nothing up.
    """
    settings = _settings(bundles=bundles)
    _known(settings.bundles, bundle_id)
    _activate(settings, bundle_id)


@bundles_app.command()
def rollback(bundles: Bundles = None) -> None:
    """Make the bundle before the current one current."""
    settings = _settings(bundles=bundles)
    root = settings.bundles
    current = _current(root)
    older = [bundle_id for bundle_id in list_bundle_ids(root) if current and bundle_id < current]
    if not older:
        _fail(f"{root} holds no bundle older than the current one, {current!r}")
    _activate(settings, older[0])


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is called; no secret.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; several times for more.")],
    days: Annotated[int | None, typer.Option(min=1, max=36500, help="Days it is good.")] = None,
    file: KeysFile = None,
) -> None:
    """Make a key and print its token, this once; running services know it within a second."""
    now = datetime.now(UTC).replace(microsecond=0)
    expires_at = None if days is None else now + timedelta(days=days)
    try:
        token = create_key(_keys_file(file), name, scope, now=now, expires_at=expires_at)
    except KeysError as error:
        _fail(str(error))
    typer.echo(token)
    typer.echo("Keep it now: only its hash is in the file.", err=True)


@keys_app.command("list")
def list_keys(file: KeysFile = None) -> None:
    """List the keys; no token can be read from them."""
    path, now = _keys_file(file), datetime.now(UTC).timestamp()
    table = Table("key", "scopes", "created", "expires")
    try:
        keys = read_keys(path)
    except KeysError as error:
        _fail(str(error))
    for key in keys:
        expires = "" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M}"
        expires += " (expired)" if key.expired(now) else ""
        created = f"{key.created_at:%Y-%m-%d %H:%M}"
        table.add_row(key.name, " ".join(key.scopes), created, expires)
    Console().print(table)


@keys_app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The key that shall be good no more.")],
    file: KeysFile = None,
) -> None:
    """Take a key out of the file; running services refuse it within a second."""
    try:
        revoke_key(_keys_file(file), name)
    except KeysError as error:
        _fail(str(error))
    typer.echo(name)


def _keys_file(flag: Path | None) -> Path:
    file = flag or _settings().api_keys
    if file is None:
        _fail("say which file: --file FILE, or RECO_API_KEYS in the environment")
    return file


def _known(root: Path, bundle_id: str) -> None:
    if bundle_id not in list_bundle_ids(root):
        _fail(f"{root} holds no bundle {bundle_id!r}")


def _activate(settings: Settings, bundle_id: str) -> None:
    try:
        read_bundle(settings.bundles / bundle_id)
        try:
            push(settings, bundle_id)
        except EngineAway as error:
            typer.echo(f"the index engine does not hold {bundle_id} yet: {error}", err=True)
        make_current(settings.bundles, bundle_id)
    except (BundleError, OSError) as error:
        _fail(str(error))
    typer.echo(bundle_id)


def _current(root: Path) -> str | None:
    try:
        return read_current_id(root)
    except NoBundle:
        return None


def _settings(**flags: Any) -> Settings:
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        _fail(
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()),
        )


def _fail(text: str) -> NoReturn:
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
