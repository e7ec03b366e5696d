"""Random programs with random faults, against the accounting of L3."""
