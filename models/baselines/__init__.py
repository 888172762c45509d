"""The systems MetaMMF is compared with, one file each; all follow `models.recommender.Recommender`."""
