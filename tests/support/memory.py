"""Finds the largest thing that torch puts into memory. Knows bytes; nothing of what they hold."""

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile


def largest_allocation(work: Callable[[], Any]) -> int:
    """Return the most bytes that any one operation of `work` left behind or used for itself."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as run:
        work()
    return max(int(event.self_cpu_memory_usage) for event in run.events())
