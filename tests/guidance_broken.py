"""A module that cannot be imported, for `test_guidance.py`."""

raise LookupError("broken")
