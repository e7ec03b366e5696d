"""Which executor? The comparison of threads, processes and asyncio, with evidence."""
