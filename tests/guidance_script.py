"""A script that runs when it is imported."""

import sys

sys.exit("no arguments")
