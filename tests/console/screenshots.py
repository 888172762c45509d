"""Makes the pictures in docs/images: the sample, trained as `make serve` does, in a real browser.

python -m tests.console.screenshots
"""

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page

from tests.support.browser import (
    PHONE,
    Size,
    Visitor,
    find_chromium,
    ready_service,
    running_browser,
    settle,
)
from tests.support.commands import run
from tests.support.server import REPOSITORY

IMAGES: Final = REPOSITORY / "docs/images"
MAX_BYTES: Final = 150_000
TALL: Final[Size] = {"width": 1280, "height": 860}
LOW: Final[Size] = {"width": 1280, "height": 760}


def _user(visitor: Visitor) -> Page:
    page = visitor.open("#/users/user-00083", size=TALL)
    page.locator(".places > li").nth(2).get_by_role("button").click()
    page.locator(".notice").wait_for()
    return page


def _video(visitor: Visitor) -> Page:
    return visitor.open("#/videos/video-00830", size=LOW, scheme="dark")


def _add(visitor: Visitor) -> Page:
    page = visitor.open("#/add", size=LOW)
    page.get_by_label("Id", exact=True).fill("my-first-video")
    page.get_by_label("Title").fill("My first video")
    page.get_by_label("Tags").fill("gaming, new")
    page.get_by_label("Look for it in the list of user").fill("user-00083")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator(".steps").wait_for()
    return page


def _model(visitor: Visitor) -> Page:
    return visitor.open("#/model", size=LOW)


def _phone(visitor: Visitor) -> Page:
    page = visitor.open("#/users/user-00083", size=PHONE, scheme="dark")
    page.locator(".tools").scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, document.querySelector('.tools').offsetTop - 12)")
    return page


PICTURES: Final[dict[str, Callable[[Visitor], Page]]] = {
    "console-user": _user,
    "console-video": _video,
    "console-add": _add,
    "console-model": _model,
    "console-phone": _phone,
}


def _train(folder: Path) -> None:
    """Make the sample and a bundle of it, as `make serve` does."""
    for verb in (["synth", "sample"], ["fit", "sample", "--out", "bundles"]):
        call = [sys.executable, "-m", "training", *verb]
        made = run(
            call,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        )
        if made.returncode:
            sys.exit(made.stderr)


@contextmanager
def _visitor(folder: Path) -> Iterator[Visitor]:
    executable = find_chromium()
    if executable is None:
        sys.exit("no Chromium on the PATH")
    _train(folder)
    with running_browser(executable) as browser, ready_service(folder / "bundles", folder) as own:
        visitor = Visitor(browser, own.url)
        yield visitor
        visitor.leave()


def main() -> None:
    """Make every picture anew."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, _visitor(Path(folder)) as visitor:
        for name, draw in PICTURES.items():
            page = draw(visitor)
            settle(page)
            # Titles come after their rows.
            page.wait_for_load_state("networkidle")
            _save(page.screenshot(), IMAGES / f"{name}.png")


def _save(drawn: bytes, file: Path) -> None:
    """Write the picture in 256 colours: half the size, and hardly an eye sees it."""
    image = Image.open(io.BytesIO(drawn)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(file, optimize=True)
    size = file.stat().st_size
    if size > MAX_BYTES:
        sys.exit(f"{file} has {size} bytes, more than {MAX_BYTES}")


if __name__ == "__main__":
    main()
