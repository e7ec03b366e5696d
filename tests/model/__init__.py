"""The decision core against fake workers and a fake clock; and faults planted in it."""
