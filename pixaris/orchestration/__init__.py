"""Experiment runs: one eval set, one workflow, one parameter set."""
