"""Ray Tune's searchers and schedulers, by name and with options of their own. Ray is in this room."""
