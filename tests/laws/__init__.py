"""Each law, the test that shows it, and a fault that the test must see."""
