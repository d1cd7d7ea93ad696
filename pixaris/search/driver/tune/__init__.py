"""What Ray Tune is given and tells: trials and their reports, the scheduler's decisions, callbacks."""
