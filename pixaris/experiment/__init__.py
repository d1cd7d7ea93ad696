"""One experiment run: an eval set through one workflow with one parameter set."""
