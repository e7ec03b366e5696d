"""Places to run: they perform actions and decide nothing."""
