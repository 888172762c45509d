"""The dashboard of what is served and what comes in: does it keep up?"""

from typing import Final

from monitoring.asking import mean, now, quantiles, total
from monitoring.panels import Panel, Query, Row

CATALOG: Final = (
    Row(
        "What is served",
        (
            Panel(
                "Live videos",
                "Hidden ones too. A fall nobody ordered is a lost log or a bundle of other data.",
                [Query(now("reco_index_videos"), "{{instance}}")],
            ),
            Panel(
                "Rows beside the bundle, and rows that are dead",
                "Arrivals since the bundle, and what was deleted or replaced. Both begin anew with "
                "the next bundle; a nightly training keeps them small.",
                [
                    Query(now("reco_index_arrivals"), "{{instance}} arrivals"),
                    Query(now("reco_index_tombstones"), "{{instance}} tombstones"),
                ],
            ),
            Panel(
                "Age of the bundle",
                "A nightly training makes one every day.",
                [
                    Query(
                        f"time() - {now('reco_bundle_created_timestamp_seconds')}",
                        "{{instance}}",
                    )
                ],
                "s",
                bad=172800,
            ),
            Panel(
                "Bundles and replicas",
                "Which replica serves which bundle. Replicas differ for a minute around a swap.",
                [Query("reco_bundle_info{instance=~'$instance', bundle_id=~'$bundle'}")],
                kind="table",
                width=16,
            ),
            Panel(
                "Bundles begun",
                "How many bundles each process has begun to serve since its start.",
                [Query(now("reco_index_generation"), "{{instance}}")],
            ),
        ),
    ),
    Row(
        "What comes in",
        (
            Panel(
                "Received",
                "Videos and interactions a second.",
                [Query(total("reco_ingest_received_total", "kind"), "{{kind}}")],
            ),
            Panel(
                "Rejected",
                "By reason: invalid is the sender's, all else is the event log's.",
                [
                    Query(
                        total("reco_ingest_rejected_total", "kind", "reason"),
                        "{{kind}} {{reason}}",
                    )
                ],
            ),
            Panel(
                "Accepted by one append",
                "Mean size of a batch. Near 1 under load: senders should batch.",
                [Query(mean("reco_ingest_batch_size", "kind"), "{{kind}}")],
            ),
            Panel(
                "Until a video can be recommended",
                "From being received to being in the view of each replica; the objective is 99 % "
                "within a second.",
                quantiles("reco_ingest_to_visible_seconds", 0.5, 0.9, 0.99),
                "s",
                bad=1,
            ),
            Panel(
                "Fusing a batch of arrivals",
                "Time in the fusion network.",
                quantiles("reco_fusion_seconds", 0.5, 0.99),
                "s",
            ),
            Panel(
                "Events that make one view",
                "Mean. It grows with the load, so that views keep up.",
                [Query(mean("reco_applied_events"), "events")],
            ),
        ),
    ),
    Row(
        "The event log",
        (
            Panel(
                "Behind the log",
                "Since when the view was not seen to hold all of it. A line that rises at 45 "
                "degrees is a log that cannot be read.",
                [Query(now("reco_follower_lag_seconds"), "{{instance}}")],
                "s",
                width=6,
                bad=10,
            ),
            Panel(
                "Events not yet in the view",
                "Of each replica.",
                [Query(now("reco_follower_lag_entries"), "{{instance}}")],
                width=6,
            ),
            Panel(
                "Failed calls",
                "Of the event log, by what was asked of it.",
                [Query(total("reco_event_log_errors_total", "op"), "{{op}}")],
                width=6,
            ),
            Panel(
                "Laid aside or lost",
                "Events that could not be applied, times the log had lost some, bundles refused. "
                "Each wants a look at the log lines.",
                [
                    Query(f"sum({now('reco_events_quarantined_total')})", "quarantined"),
                    Query(f"sum({now('reco_event_log_losses_total')})", "losses"),
                    Query(f"sum({now('reco_bundle_refusals_total')})", "bundles refused"),
                    Query(f"sum({now('reco_follower_failures_total')})", "failures of a loop"),
                ],
                width=6,
            ),
        ),
    ),
)
