"""Clusters that take sweeps as jobs: a module here for each of `sweeps.config.TARGETS`, which makes a `base.Target`."""
