"""How good is the advice? ``python -m benchmarks.advice`` measures, and scores it."""
