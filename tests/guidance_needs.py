"""A module that needs a package which is not there."""

import no_such_package  # type: ignore[import-not-found]  # noqa: F401  (that it is not there is the point)
