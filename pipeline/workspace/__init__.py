"""Can a run work here, and what is out of date? The checks before a run, and DVC."""
