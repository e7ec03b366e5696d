"""Calls that are more than a few bytes: large buffers, and handles of shared values.

The parent's half of `_segments`; the process room asks it. Arguments are taken before
``submit`` returns (L12b), straight into shared memory: that is the only copy on this side.
"""

from __future__ import annotations

from unifexec import _messages, _pickling
from unifexec._backends.packing import cannot_travel
from unifexec._running import REFUSAL
from unifexec._segments import READ_ONLY, Cargo, send_descriptor
from unifexec.share import collecting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from unifexec._backends.child import Child
    from unifexec._backends.process import ProcessRoom
    from unifexec._segments import Pool


def pack_call(
    pool: Pool, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], unary: bool
) -> bytes | Cargo:
    """The arguments of a call, or the one: as bytes, unless they are large or hold handles."""
    if not any(map(_pickling.are_large_bytes, args)):
        data = _pickling.dumps_plainly(args[0] if unary else (args, kwargs))
        if data is not None:
            return data if len(data) < _pickling.LARGE else pool.cargo([data])
    return _pack_apart(pool, name, args, kwargs, unary)


def _pack_apart(
    pool: Pool, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], unary: bool
) -> bytes | Cargo:
    apart = tuple(map(_pickling.bytes_apart, args))
    with collecting() as cargos:
        try:
            parts = _pickling.dumps_apart(apart[0] if unary else (apart, kwargs))
        except REFUSAL as error:
            raise cannot_travel(name, args, kwargs, error) from error
    large = sum(map(len, parts)) >= _pickling.LARGE
    if not large and not cargos:
        small: bytes = parts[0]
        return small
    cargo = pool.cargo(parts) if large else Cargo(parts, None)
    cargo.cargos = cargos
    return cargo


def send_item(
    room: ProcessRoom, child: Child, number: int, offset: int, head: bytes, cargo: Cargo
) -> None:
    """Send an item as a cargo; what it needs is sent before it, where it is not there yet."""
    for shared in cargo.cargos:
        send_shared(room, child, shared)
    sent = _send_segment(child, cargo, cargo.treatment())
    parts = [cargo.note()] if sent else cargo.inline()
    child.put(_messages.LARGE_ITEM, number, offset, head, *parts)


def send_shared(room: ProcessRoom, child: Child, cargo: Cargo) -> None:
    """Send a shared value, unless this worker has it."""
    if cargo.token in child.shared:
        return
    child.shared.add(cargo.token)
    if cargo.rooms is not None:
        cargo.rooms.add(room)
    sent = _send_segment(child, cargo, READ_ONLY)
    parts = [cargo.note()] if sent else cargo.inline()
    child.put(_messages.SHARED, cargo.token, 0, *parts)


def _send_segment(child: Child, cargo: Cargo, treatment: int) -> bool:
    """Hand the segment to the worker, once; False if the pipe must do."""
    if cargo.segment is None:
        return False
    if cargo.token not in child.segments:
        try:
            send_descriptor(child.hand, cargo.segment)
        except OSError:  # its socket is full, or too many are on their way
            return False
        child.segments.add(cargo.token)
        child.put(_messages.SEGMENT, cargo.token, treatment)
    return True


def retire(child: Child, token: int) -> bool:
    """Tell a worker that it may forget a segment or a shared value; False if it has neither."""
    known = token in child.segments or token in child.shared
    if known:
        child.segments.discard(token)
        child.shared.discard(token)
        child.put(_messages.RETIRE, token, 0)
    return known
