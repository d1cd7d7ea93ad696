"""`pixaris space`: a search file drafted from a workflow."""
