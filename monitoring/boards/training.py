"""The dashboard of the last training: did it go well?"""

from typing import Final

from monitoring.panels import Panel, Query, Row

TRAINING: Final = (
    Row(
        "The last training",
        (
            Panel(
                "Ended with a bundle",
                "1 if so. Told by node exporter from the file of --metrics-file.",
                [Query("max(reco_training_succeeded)")],
                kind="stat",
                width=6,
                bad=1,
                falls=True,
            ),
            Panel(
                "Since it began",
                "A nightly training begins once a day.",
                [Query("time() - max(reco_training_started_timestamp_seconds)")],
                "s",
                kind="stat",
                width=6,
                bad=172800,
            ),
            Panel(
                "How long it took",
                "Or has taken, while it goes on.",
                [
                    Query(
                        "max(reco_training_finished_timestamp_seconds > 0 or time() + 0 * "
                        "reco_training_started_timestamp_seconds) "
                        "- max(reco_training_started_timestamp_seconds)"
                    )
                ],
                "s",
                kind="stat",
                width=6,
            ),
            Panel(
                "Best validation recall@20",
                "Overall.",
                [Query("max(reco_training_best_validation_recall)")],
                "percentunit",
                kind="stat",
                width=6,
            ),
        ),
        height=4,
    ),
    Row(
        "How it goes",
        (
            Panel(
                "Epochs",
                "Done, and the most there may be; it ends early when validation gets no better.",
                [
                    Query("max(reco_training_epoch)", "done"),
                    Query("max(reco_training_max_epochs)", "at most"),
                ],
            ),
            Panel(
                "Loss",
                "Mean of the last epoch. Not finite: the learning rate is too high.",
                [Query("max(reco_training_loss)", "loss")],
                least=None,
            ),
            Panel(
                "Validation recall@20",
                "By group of videos.",
                [
                    Query(
                        'max by (group) (reco_training_validation_metric{metric="recall@20"})',
                        "{{group}}",
                    )
                ],
            ),
        ),
    ),
    Row(
        "Night after night",
        (
            Panel(
                "Test metrics of what was trained",
                "recall@20 and ndcg@20 by group. A fall from one night to the next is a reason to "
                "roll back.",
                [
                    Query(
                        'max by (group, metric) (reco_training_test_metric{metric=~".*@20"})',
                        "{{group}} {{metric}}",
                    )
                ],
                width=12,
            ),
            Panel(
                "How much there is to learn from",
                "It grows; a fall is an import that read too little.",
                [Query("max by (of) (reco_training_dataset_size)", "{{of}}")],
                width=12,
            ),
            Panel(
                "What was trained",
                "The bundle that the last training has written.",
                [Query("reco_training_bundle_info")],
                kind="table",
                width=12,
            ),
            Panel(
                "What is served",
                "Bundles by how many replicas serve them.",
                [Query("count by (bundle_id) (reco_bundle_info)")],
                kind="table",
                width=12,
            ),
        ),
    ),
)
