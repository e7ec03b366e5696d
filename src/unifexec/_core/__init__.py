"""Values and decisions: no thread, no pipe, no loop, no clock."""
