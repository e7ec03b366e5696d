"""Values and decisions. `dispatch` and what it imports know no thread, pipe, loop or clock.

`collect` and `task` are what callers hold: they wait, by way of `_wait`, and start nothing.
"""
