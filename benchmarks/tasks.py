"""What the tasks do. Worker processes import this module, so it loads next to nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from typing import Any


def nothing(item: int = 0) -> int:
    """Give back what came, to show that it was done."""
    return item


async def nothing_async(item: int = 0) -> int:
    """The same, for those who take coroutine functions only."""
    return item


def square(number: int) -> int:
    """Next to nothing, with a result that differs from its argument."""
    return number * number


def integers(count: int) -> list[int]:
    """So many items for `square`; a list, since a range would travel as three numbers."""
    return list(range(count))


def price(order: dict[str, Any]) -> dict[str, Any]:
    """A small record in, a small record out."""
    return {"id": order["id"], "name": order["name"], "total": order["count"] * order["price"]}


def orders(count: int) -> list[dict[str, Any]]:
    """So many records for `price`."""
    return [
        {"id": number, "name": f"order {number}", "count": number % 7, "price": 2.5}
        for number in range(count)
    ]


@dataclass
class Order:
    """A small object."""

    number: int
    name: str
    price: float


class Script:
    """A function and a class as a script has them: no other process can import them."""

    _names: dict[str, Any] = {"__name__": "__main__", "dataclass": dataclass}
    exec(
        "def nothing(item=0): return item\n"
        "@dataclass\n"
        "class ScriptOrder:\n"
        "    number: int\n    name: str\n    price: float\n",
        _names,
    )
    nothing: Any = staticmethod(_names["nothing"])
    Order: Any = _names["ScriptOrder"]


def dearer(order: Any) -> Any:
    """A small object in, another out."""
    return type(order)(order.number, order.name, order.price + 1)


def imported_orders(count: int) -> list[Any]:
    """So many objects for `dearer`."""
    return [Order(number, f"order {number}", 2.5) for number in range(count)]


def script_orders(count: int) -> list[Any]:
    """The same, of a class that only a script has."""
    vars(sys.modules["__main__"])["ScriptOrder"] = Script.Order
    return [Script.Order(number, f"order {number}", 2.5) for number in range(count)]


def spin(turns: int) -> int:
    """Compute in Python, as long as there are turns."""
    total = 0
    for number in range(turns):
        total ^= number
    return total


def spun(turns: int) -> int:
    """What `spin` gives, without the work."""
    last = turns - 1
    return [last, 1, last + 1, 0][last % 4]


def wait(seconds: float) -> float:
    """Block, as a request does."""
    time.sleep(seconds)
    return seconds


def who(seconds: float) -> int:
    """Which process this is, after a moment in which others can take their task."""
    time.sleep(seconds)
    return os.getpid()


def same(value: Any) -> Any:
    """Give back what came: the price is that of the way there and back."""
    return value


def look(shared: Any, index: int) -> int:
    """Read a little of a large value, wherever it is kept."""
    value = getattr(shared, "value", shared)
    return int(value[index * 1000]) + len(value)


async def suspend(item: int) -> int:
    """Give way to the loop once."""
    await asyncio.sleep(0)
    return item


async def wait_async(seconds: float) -> float:
    """Wait in a coroutine, as a request does."""
    await asyncio.sleep(seconds)
    return seconds


def meet(folder: str, count: int) -> int:
    """Return when so many processes have come to this function."""
    open(os.path.join(folder, str(os.getpid())), "x").close()
    while len(os.listdir(folder)) < count:
        time.sleep(0.0005)
    return os.getpid()
