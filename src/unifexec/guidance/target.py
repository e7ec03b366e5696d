"""What the command line names: a function, and samples for it."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def load_function(text: str) -> Callable[[Any], Any]:
    """The function that ``package.module:function`` names; the folder of the caller is searched.

    Raises:
        ValueError: no such module or function, or not in this form.
    """
    module_name, colon, path = text.partition(":")
    if not (module_name and colon and path):
        raise ValueError(f"a function is named package.module:function, got {text!r}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        value: Any = import_module(module_name)
    except ImportError as error:
        raise ValueError(
            f"module {module_name!r} cannot be imported ({error}): run this where it is found"
        ) from error
    except Exception as error:
        raise ValueError(
            f"importing module {module_name!r} raised {type(error).__name__}: {error}"
        ) from error
    for name in path.split("."):
        if not hasattr(value, name):
            raise ValueError(f"{module_name!r} has no {path!r}: there is no attribute {name!r}")
        value = getattr(value, name)
    if not callable(value):
        raise ValueError(f"{text!r} is not a function but {value!r}")
    found: Callable[[Any], Any] = value
    return found


def load_samples(text: str) -> list[Any]:
    """Inputs from a file or an expression.

    A file that ends in ``.json`` holds a list; any other file one text on each line. An
    expression is evaluated as Python, where any module may be named: ``range(100)``,
    ``[bytes(n) for n in (1, 1000)]``, ``pathlib.Path('.').glob('*.py')``.

    Raises:
        ValueError: neither a file nor an expression for an iterable of inputs.
    """
    path = Path(text)
    if _is_file(path):
        return _from_file(path)
    try:
        value = eval(text, _Modules())
    except SyntaxError as error:
        raise ValueError(f"samples {text!r} are neither a file nor a Python expression") from error
    except NameError as error:
        raise ValueError(
            f"samples {text!r} are no file here, and as an expression: {error}"
        ) from error
    except Exception as error:
        raise ValueError(f"samples {text!r} raised {type(error).__name__}: {error}") from error
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise ValueError(
            f"samples {text!r} gave {value!r}, which is no iterable of inputs: put it into a list"
        )
    from itertools import islice

    return list(islice(value, 1000))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long to be a name, or with a null
        return False


def _from_file(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".json":
        return text.splitlines()
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(value, list):
        raise ValueError(f"{path} must hold a list of inputs, it holds a {type(value).__name__}")
    return value


class _Modules(dict[str, Any]):
    """The names of an expression: any module that can be imported."""

    def __missing__(self, name: str) -> Any:
        try:
            return import_module(name)
        except ImportError:
            raise KeyError(name) from None
