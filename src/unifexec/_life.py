"""How worker processes begin and end; and the fork server, which makes them.

Each is started by a bare interpreter that has imported nothing of the caller's; its descriptors
are in ``sys.argv``. What a worker does while it lives is in `_worker`.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
import threading

from unifexec import _worker
from unifexec._bunches import SCRATCH_SIZE
from unifexec._messages import FORK
from unifexec._worker import ABORT_SIGNAL, Worker, flush_streams


def main() -> None:
    """The life of a worker of its own interpreter; its descriptors are in ``sys.argv``."""
    fds = [int(text) for text in sys.argv[1:]]
    for fd in fds:
        os.set_inheritable(fd, False)
    live(*fds)


def live(sock_fd: int, mark_fd: int, lifeline: int, hand_fd: int) -> None:
    """A worker's life."""
    hold_lifeline(lifeline)
    signal.signal(signal.SIGINT, lambda number, frame: None)  # Ctrl-C is the parent's affair
    worker = _worker.this_worker = Worker(
        socket.socket(fileno=sock_fd),
        mmap.mmap(mark_fd, SCRATCH_SIZE),
        socket.socket(fileno=hand_fd),
    )
    os.close(mark_fd)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=worker.leave_the_pipe)
    signal.signal(ABORT_SIGNAL, worker.interrupt)
    if worker.set_up():
        threading.Thread(
            target=_control, args=(worker,), name="unifexec-control", daemon=True
        ).start()
        worker.run()


def _control(worker: Worker) -> None:
    try:
        worker.control()
    finally:  # there is nobody left to work for, or we can hear no more
        end_now()


def serve_forks() -> None:
    """The life of a fork server: one thread, which forks a worker or reaps one when asked.

    A child that ended keeps its number until it is asked for, so that no other process can
    get a signal that is meant for it.
    """
    sock_fd, lifeline = (int(text) for text in sys.argv[1:])
    hold_lifeline(lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # also if the caller ignores it: we ask

    sock = socket.socket(fileno=sock_fd)
    while True:
        data, fds, _, _ = socket.recv_fds(sock, FORK.size, 4)
        if not data:
            return
        (pid,) = FORK.unpack(data)
        if pid:
            _, status = os.waitpid(pid, 0)
            sock.sendall(FORK.pack(os.waitstatus_to_exitcode(status)))
            continue
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)  # here too: before it looks whether it leads a group
            break
        os.setpgid(pid, pid)  # before anybody can want to kill its group
        for fd in fds:
            os.close(fd)
        sock.sendall(FORK.pack(pid))
    sock.close()
    os.close(lifeline)
    live(*fds)


def end_now() -> None:
    """End this process and all that it started, at once."""
    flush_streams()
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def hold_lifeline(fd: int) -> None:
    """Die with the parent, also while native code holds the GIL (L23).

    The parent holds the other end of this pipe and never writes. When it dies, however that
    happens, the kernel sends SIGIO, whose default action ends us, and what our tasks started
    in our process group. (Linux; elsewhere the control thread sees the end of its pipe.)
    """
    if not sys.platform.startswith("linux"):
        return
    import fcntl
    import select

    leads = os.getpgrp() == os.getpid()
    fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpid() if leads else os.getpid())
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([fd], [], [], 0)[0]:  # it died before we had hold of it
        end_now()
