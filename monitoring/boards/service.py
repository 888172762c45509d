"""The dashboard of processes and requests: does it answer, how fast, has it room?"""

from typing import Final

from monitoring.asking import mean, now, quantile, quantiles, rate, share, total
from monitoring.panels import Panel, Query, Row

ASKED: Final = "/v1/.+"
# A dot for each brace: a regular expression would count by them.
LISTS: Final = "/v1/users/.user_id./recommendations"
REQUESTS: Final = "http_requests_total"
SECONDS: Final = "http_request_duration_seconds"


GLANCE: Final = Row(
    "At a glance",
    (
        Panel(
            "Ready replicas",
            "Replicas to which traffic may come. Fewer than there should be: see the log of "
            "those that are missing, and /readyz.",
            [Query(f"sum({now('reco_ready')})")],
            kind="stat",
            width=4,
            bad=1,
            falls=True,
        ),
        Panel(
            "Requests a second",
            "All requests under /v1.",
            [Query(total(REQUESTS, route=ASKED))],
            "reqps",
            kind="stat",
            width=4,
        ),
        Panel(
            "Failed",
            "Share of requests answered 5xx; the objective is 0.1 %.",
            [Query(share(total(REQUESTS, route=ASKED, code="5.."), total(REQUESTS, route=ASKED)))],
            "percentunit",
            kind="stat",
            width=4,
            bad=0.001,
        ),
        Panel(
            "Slow lists",
            "Share of users' lists that take longer than 25 ms; the objective is 1 %.",
            [
                Query(
                    "1 - "
                    + share(
                        total(f"{SECONDS}_bucket", route=LISTS, le="0.025"),
                        total(f"{SECONDS}_count", route=LISTS),
                    )
                )
            ],
            "percentunit",
            kind="stat",
            width=4,
            bad=0.01,
        ),
        Panel(
            "Behind the log",
            "The replica that is farthest behind the event log.",
            [Query(f"max({now('reco_follower_lag_seconds')})")],
            "s",
            kind="stat",
            width=4,
            bad=10,
        ),
        Panel(
            "Degraded",
            "Kinds of fault that answers suffer from, over all replicas. They carry X-Degraded.",
            [Query(f"sum({now('reco_degraded')})")],
            kind="stat",
            width=4,
            bad=1,
        ),
    ),
    height=4,
)

SERVICE: Final = (
    GLANCE,
    Row(
        "Requests",
        (
            Panel(
                "What is asked",
                "By route template. A route that falls to nothing is a client that has gone.",
                [Query(total(REQUESTS, "route"), "{{route}}")],
                "reqps",
                stacked=True,
            ),
            Panel(
                "How it is answered",
                "By status. 5xx are our fault; 4xx that rise are a client's; 503 is overload, or a "
                "log that cannot be written; 499 went away.",
                [Query(total(REQUESTS, "code"), "{{code}}")],
                "reqps",
                stacked=True,
            ),
            Panel(
                "How long a user's list takes",
                "From the first byte of a request to the last of its answer.",
                quantiles(SECONDS, 0.5, 0.9, 0.99, 0.999, route=LISTS),
                "s",
                bad=0.025,
            ),
        ),
    ),
    Row(
        "Room",
        (
            Panel(
                "Being worked on",
                "Requests at once, and those that wait. At RECO_MAX_CONCURRENCY others wait.",
                [
                    Query(f"sum by (kind) ({now('reco_requests_in_work')})", "{{kind}}"),
                    Query(f"sum by (kind) ({now('reco_requests_waiting')})", "{{kind}}, waiting"),
                ],
                width=6,
            ),
            Panel(
                "Refused",
                "Requests that no route saw. `line` and `bodies` are overload: add replicas.",
                [Query(total("reco_requests_refused_total", "reason"), "{{reason}}")],
                "reqps",
                width=6,
            ),
            Panel(
                "Lists answered in one pass",
                "Mean. Requests of the same moment share a pass; it grows with the load.",
                [Query(mean("reco_lists_together"), "lists")],
                width=6,
            ),
            Panel(
                "Where a list's time goes",
                "99 % of inspected lists take less, by step.",
                [Query(quantile(0.99, "reco_list_step_seconds", "step"), "{{step}}")],
                "s",
                width=6,
            ),
        ),
    ),
    Row(
        "Process",
        (
            Panel(
                "How late the event loop is",
                "99 % of looks; every request waits as long. Above 2 ms something computes in it.",
                [Query(quantile(0.99, "reco_event_loop_lag_seconds", "instance"), "{{instance}}")],
                "s",
                width=6,
                bad=0.05,
            ),
            Panel(
                "Cores in use",
                "One process serves from about one core and searches on others.",
                [Query(rate("process_cpu_seconds_total"), "{{instance}}")],
                width=6,
            ),
            Panel(
                "Memory",
                "Resident; mapped vectors count once they were read. It should be flat.",
                [Query(now("process_resident_memory_bytes"), "{{instance}}")],
                "bytes",
                width=6,
            ),
            Panel(
                "Open files",
                "Share of those that may be open.",
                [
                    Query(
                        f"{now('process_open_fds')} / {now('process_max_fds')}",
                        "{{instance}}",
                    )
                ],
                "percentunit",
                width=6,
                bad=0.8,
            ),
        ),
    ),
)
