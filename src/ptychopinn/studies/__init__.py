"""Studies: many runs, one table. Nothing is imported here, so that one study does not load what another needs."""
