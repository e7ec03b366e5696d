"""The command ``python -m benchmarks``.

Worker processes that are spawned import this module again, so it loads nothing until it runs.
"""

if __name__ == "__main__":
    import sys

    from benchmarks.command import main

    sys.exit(main())
