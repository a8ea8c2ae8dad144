"""Distributed sweeps over pruning methods: configuration, plan, engine, trial, store, tracking, reporting."""

from prune_core import __version__ as __version__
