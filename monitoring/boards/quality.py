"""The dashboard of lists: what do users get, and is it good?"""

from typing import Final

from monitoring.asking import now, quantiles, share, total
from monitoring.panels import Panel, Query, Row

USERS: Final = "personal|fold_in|fallback"

QUALITY: Final = (
    Row(
        "What users get",
        (
            Panel(
                "What lists stand on",
                "Lists of users a second: by their trained vector, folded in from what they met, "
                "or the fallback. One that jumps is a client with other ids, or a wrong bundle.",
                [Query(total("reco_lists_total", "basis", basis=USERS), "{{basis}}")],
                stacked=True,
            ),
            Panel(
                "Where places come from",
                "Share of all places by source.",
                [
                    Query(
                        f"{total('reco_recommendations_total', 'source')} / ignoring (source) "
                        f"group_left () {total('reco_recommendations_total')}",
                        "{{source}}",
                    )
                ],
                "percentunit",
                stacked=True,
            ),
            Panel(
                "Short and empty lists",
                "Share of lists that have fewer places than were asked for, or none. Filters of "
                "the caller, or users who have seen nearly all.",
                [
                    Query(
                        share(total("reco_lists_total", length=length), total("reco_lists_total")),
                        length,
                    )
                    for length in ("short", "empty")
                ],
                "percentunit",
            ),
            Panel(
                "Places of new videos",
                "Share of places that arrivals have. RECO_FRESH_SHARE promises them some.",
                [
                    Query(
                        share(
                            total("reco_recommended_arrivals_total"),
                            total("reco_recommendations_total"),
                        ),
                        "arrivals",
                    )
                ],
                "percentunit",
            ),
            Panel(
                "Coverage",
                "Different videos recommended in 10 minutes, of all live ones, by replica.",
                [
                    Query(
                        f"{now('reco_recommended_videos')} / {now('reco_index_videos')}",
                        "{{instance}}",
                    )
                ],
                "percentunit",
            ),
            Panel(
                "Why better videos are not shown",
                "Of those that suit better than the last place, per place of an inspected list.",
                [
                    Query(
                        f"{total('reco_inspected_filtered_total', 'reason')} / ignoring (reason) "
                        f"group_left () {total('reco_inspected_places_total')}",
                        "{{reason}}",
                    )
                ],
                stacked=True,
            ),
        ),
    ),
    Row(
        "How good the search is",
        (
            Panel(
                "Live recall",
                "Share of the best videos, by exact search, that the index found; a sample.",
                [
                    Query(
                        f"{total('reco_inspected_places_right_total')} / "
                        f"{total('reco_inspected_places_total')}",
                        "recall",
                    )
                ],
                "percentunit",
                bad=0.95,
                falls=True,
            ),
            Panel(
                "Candidates per place",
                "Videos looked at for each place that was filled; 1 if nothing was filtered.",
                [
                    Query(
                        f"{total('reco_inspected_candidates_total')} / "
                        f"{total('reco_inspected_places_total')}",
                        "candidates",
                    )
                ],
            ),
            Panel(
                "The best score of a list",
                "A cosine. The distribution should be the same tomorrow; a step at a swap says "
                "that the new bundle is another kind of model.",
                [
                    *quantiles("reco_top_score", 0.1, 0.5, 0.9),
                    Query("reco:top_score:mean1d", "mean of a day"),
                ],
                least=None,
            ),
        ),
    ),
    Row(
        "What training measured of the bundle",
        (
            Panel(
                "Offline recall@20",
                "On the test split, by group of videos. It moves at a swap alone.",
                [
                    Query(
                        f"max by (group) ({now('reco_bundle_offline_metric', metric='recall@20')})",
                        "{{group}}",
                    )
                ],
                width=12,
            ),
            Panel(
                "All offline metrics",
                "Of the bundles that are served.",
                [Query(f"max by (group, metric) ({now('reco_bundle_offline_metric')})")],
                kind="table",
                width=12,
            ),
        ),
    ),
)
