"""When a run that nobody started is worth it, that it is the only one, that it tries again, and who hears of it."""
