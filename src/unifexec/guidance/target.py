"""What the command line names: a function, and samples for it."""

from __future__ import annotations

import builtins
import json
import sys
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unifexec.guidance.alone import shown, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_SAMPLES = 1000  # of more, the first


def load_function(text: str) -> Callable[[Any], Any]:
    """The function that ``package.module:function`` names; the folder of the caller is searched.

    Raises:
        ValueError: no such module or function, or not in this form.
    """
    module_name, colon, path = text.partition(":")
    if not (module_name and colon and path):
        raise ValueError(f"a function is named package.module:function, got {text!r}")
    if module_name.endswith(".py") or "/" in module_name or module_name.startswith("."):
        raise ValueError(
            f"a function is named package.module:function, got {text!r}: "
            f"try {_module_of(module_name) + ':' + path!r} where that module is found"
        )
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        value: Any = import_module(module_name)
    except ImportError as error:
        its_own = error.name is None or f"{module_name}.".startswith(f"{error.name}.")
        cure = "run this where it is found" if its_own else "install or mend what it imports"
        raise ValueError(f"module {module_name!r} cannot be imported ({error}): {cure}") from error
    except SystemExit as error:
        raise ValueError(
            f"importing module {module_name!r} ended with sys.exit({error.code!r}): guard what it "
            "runs with if __name__ == '__main__'"
        ) from error
    except Exception as error:
        raise ValueError(f"importing module {module_name!r} raised {told(error)}") from error
    for name in path.split("."):
        value = _attribute(value, name, module_name, path)
    if not callable(value):
        raise ValueError(f"{text!r} is not a function but {shown(value)}")
    found: Callable[[Any], Any] = value
    return found


def _attribute(value: Any, name: str, module: str, path: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError as error:
        cure = "; name the function, without calling it" if "(" in name else ""
        raise ValueError(
            f"{module!r} has no {path!r}: there is no attribute {name!r}{cure}"
        ) from error
    except (Exception, SystemExit) as error:
        raise ValueError(f"looking for {path!r} in {module!r} raised {told(error)}") from error


def _module_of(path: str) -> str:
    """The name that a module in a file of this path may have."""
    return path.removesuffix(".py").strip("./").replace("/", ".")


def load_samples(text: str) -> list[Any]:
    """Inputs from a file or an expression.

    A file that ends in ``.json`` holds a list; any other file, or a pipe such as
    ``/dev/stdin``, one text on each line. An expression is evaluated as Python, where any
    module may be named: ``range(100)``, ``[bytes(n) for n in (1, 1000)]``,
    ``pathlib.Path('.').glob('*.py')``.

    Raises:
        ValueError: neither a file nor an expression for an iterable of inputs, or a folder.
    """
    path = Path(text)
    if text and _is(path.is_dir):
        raise ValueError(
            f"samples {text!r} are a folder: give a file, or an expression such as "
            f"{f'pathlib.Path({text!r}).iterdir()'!r}"
        )
    inputs = _from_file(path) if text and _is(path.exists) else _from_expression(text)
    if not inputs:
        raise ValueError(f"samples {text!r} are empty: give at least one input")
    return inputs


def _from_expression(text: str) -> list[Any]:
    try:
        value = eval(text, _Modules())
        iterator = None if isinstance(value, str | bytes) else _iterator(value)
        inputs = None if iterator is None else list(islice(iterator, MOST_SAMPLES))
    except SyntaxError as error:
        raise ValueError(
            f"samples {text!r} are neither a file nor a Python expression ({error.msg})"
        ) from error
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"samples {text!r} are no file here, and as an expression: {told(error)}"
        ) from error
    if inputs is None:
        raise ValueError(
            f"samples {text!r} gave {shown(value)}, which is no iterable of inputs: "
            "put it into a list"
        )
    return inputs


def _iterator(value: Any) -> Iterator[Any] | None:
    try:
        iterator: Iterator[Any] = iter(value)
    except TypeError:
        return None
    return iterator


def _is(question: Callable[[], bool]) -> bool:
    """The answer to a question about a path."""
    try:
        return question()
    except (OSError, ValueError):  # too long to be a name, or with a null
        return False


def _from_file(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # many editors begin with a mark
    except OSError as error:
        raise ValueError(f"samples {str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"samples {str(path)!r} are no text in UTF-8 ({error}): give one input on each line, "
            "or an expression that reads the file"
        ) from error
    if path.suffix != ".json":
        return text.removesuffix("\n").split("\n") if text else []
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(value, list):
        raise ValueError(f"{path} must hold a list of inputs, it holds a {type(value).__name__}")
    return value


class _Modules(dict[str, Any]):
    """The names of an expression: those of Python, and any module that can be imported."""

    def __missing__(self, name: str) -> Any:
        if name in vars(builtins):  # a file of that name in this folder does not hide it
            return vars(builtins)[name]
        try:
            return import_module(name)
        except ImportError:
            raise KeyError(name) from None
