"""``unifexec compare``: real work through every executor, on the user's own machine."""
