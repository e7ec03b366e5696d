"""Callers: plain code, asyncio and trio, so that each law is tried from each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unifexec import Results, Task

PATIENCE = 20.0  # seconds that anything may take


class Plain:
    """Waits by blocking."""

    def value(self, task: Task[Any]) -> Any:
        return task.result(PATIENCE)

    def items(self, results: Results[Any]) -> list[Any]:
        return list(results)

    def items_until_error(self, results: Results[Any]) -> tuple[list[Any], BaseException | None]:
        seen: list[Any] = []
        try:
            for item in results:
                seen.append(item)
        except BaseException as error:
            return seen, error
        return seen, None


class Looping:
    """Waits by awaiting, in a loop of its own."""

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def value(self, task: Task[Any]) -> Any:
        async def main() -> Any:
            with anyio.fail_after(PATIENCE):
                return await task

        return anyio.run(main, backend=self.backend)

    def items(self, results: Results[Any]) -> list[Any]:
        seen, error = self.items_until_error(results)
        if error is not None:
            raise error
        return seen

    def items_until_error(self, results: Results[Any]) -> tuple[list[Any], BaseException | None]:
        async def main() -> Any:
            seen: list[Any] = []
            try:
                with anyio.fail_after(PATIENCE):
                    async for item in results:
                        seen.append(item)
            except (Exception, SystemExit, GeneratorExit) as error:  # not the loop's own
                return seen, error
            return seen, None

        result: tuple[list[Any], BaseException | None] = anyio.run(main, backend=self.backend)
        return result


def for_trio(value: object) -> Any:
    """A parameter that needs trio: its tests are skipped where that is not installed."""
    try:
        import trio  # noqa: F401
    except ImportError:
        return pytest.param(value, id="trio", marks=pytest.mark.skip("trio is not installed"))
    return pytest.param(value, id="trio")


BACKENDS = pytest.mark.parametrize("backend", ["asyncio", for_trio("trio")])


def callers() -> Iterable[Any]:
    """Those that this environment can run."""
    yield pytest.param(Plain(), id="plain")
    yield pytest.param(Looping("asyncio"), id="asyncio")
    yield for_trio(Looping("trio"))


class Suite:
    """What the laws of each module build on."""

    @classmethod
    def make(cls, max_workers: int = 2, **options: Any) -> Any:
        """A new executor; given by `conformance`."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def ex(cls) -> Any:
        """An executor of two workers that the tests of a class share."""
        with cls.make(2) as executor:
            yield executor

    @pytest.fixture(params=callers())
    def caller(self, request: pytest.FixtureRequest) -> Any:
        """Plain code, asyncio, trio."""
        return request.param


def wait_until(condition: Any, within: float = PATIENCE) -> None:
    """Poll until a condition holds."""
    import time

    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.002)
