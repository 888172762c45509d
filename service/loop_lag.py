"""Measures how late the event loop is: what a request waits before anything is done for it."""

import asyncio
from typing import Final

from prometheus_client import Histogram

SECONDS: Final = 0.05


async def watch_loop(late: Histogram) -> None:
    """Sleep again and again, and observe in `late` by how many seconds it was too long."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + SECONDS
        await asyncio.sleep(SECONDS)
        late.observe(max(0.0, loop.time() - due))
