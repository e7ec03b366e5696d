"""Nothing breaks an executor: real processes, real signals, one behaviour each."""
