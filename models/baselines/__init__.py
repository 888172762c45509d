"""The systems MetaMMF is compared with, one file each (see `models.recommender.Recommender`)."""
