"""Opens the console in a real browser. Knows pages and what they must never do; no view."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypedDict

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.server import Process, serving

Scheme = Literal["light", "dark"]
PATIENCE_MS = 10_000
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# What the browser itself says of each answer of 400 and above.
ANSWER = "Failed to load resource: the server responded with a status of"


class Size(TypedDict):
    """Of a window, in CSS pixels."""

    width: int
    height: int


DESK: Size = {"width": 1280, "height": 800}
PHONE: Size = {"width": 360, "height": 740}


def find_chromium() -> str | None:
    """Return the path of a browser, if this machine has one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def running_browser(executable: str) -> Iterator[Browser]:
    """Run a browser without a window until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def ready_service(
    bundles: Path, folder: Path, *, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Serve `bundles` with an event log in `folder`; the block begins when there are answers."""
    log = f"sqlite:///{folder}/events.db"
    with serving("--bundles", str(bundles), "--event-log", log, env=env) as process:
        process.wait_for(r"Ready: bundle (\S+)\.")
        yield process


class Visitor:
    """Somebody at the console of the service at `url`. `faults` is what the pages did wrong."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self.faults: list[str] = []
        self.answers: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def window(
        self,
        *,
        size: Size = DESK,
        scheme: Scheme = "light",
        motion: Literal["reduce", "no-preference"] = "reduce",
        scale: float = 1,
    ) -> Page:
        """Open a window of a fresh profile."""
        context = self._browser.new_context(
            viewport={"width": size["width"], "height": size["height"]},
            color_scheme=scheme,
            reduced_motion=motion,
            device_scale_factor=scale,
            locale="en-GB",
            timezone_id="UTC",
        )
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("pageerror", lambda error: self.faults.append(f"error in the page: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        return page

    def open(
        self,
        route: str = "",
        *,
        size: Size = DESK,
        scheme: Scheme = "light",
        motion: Literal["reduce", "no-preference"] = "reduce",
    ) -> Page:
        """Open the console at `route`, in a fresh profile, and wait until all is there."""
        page = self.window(size=size, scheme=scheme, motion=motion)
        page.goto(f"{self.url}/console{route}")
        settle(page)
        return page

    def get(self, path: str) -> httpx.Response:
        """Ask the service itself."""
        return httpx.get(f"{self.url}{path}", timeout=PATIENCE_MS / 1000)

    def leave(self) -> None:
        """Close every window."""
        for context in self._contexts:
            context.close()

    def _heard(self, kind: str, text: str) -> None:
        if text.startswith(ANSWER):
            self.answers.append(text)
        elif kind in ("error", "warning"):
            self.faults.append(f"{kind} in the console: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith(f"{self.url}/"):
            self.faults.append(f"asked elsewhere: {url}")


def settle(page: Page) -> None:
    """Wait until the page has heard of what was done and awaits no answer."""
    page.evaluate("new Promise(done => setTimeout(() => requestAnimationFrame(done), 20))")
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=PATIENCE_MS)


def overflow(page: Page) -> int:
    """Return how many pixels the page is wider than its window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return wider


def violations(page: Page) -> list[str]:
    """Return what axe-core finds that keeps somebody from using the page."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def listed_ids(page: Page) -> list[str]:
    """Return the ids of the videos in the list that is shown, in their order."""
    links = page.locator(".places > li .what > a.title")
    hrefs: list[str] = links.evaluate_all(
        "all => all.map(one => decodeURIComponent(one.hash.slice('#/videos/'.length)))"
    )
    return hrefs
