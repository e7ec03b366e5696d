"""How worker processes come to be: each by a bare interpreter, or by a fork of a bare one.

``"spawn"`` starts an interpreter for every worker. ``"forkserver"`` starts one for all, which
has loaded what workers need and is forked for each: quicker where many come and go. The
caller's own process, with its threads and locks, is never forked.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from time import sleep

from unifexec import _messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Process(Protocol):
        """A process that was started for us."""

        pid: int

        def halt(self) -> bool:
            """Stop it in its tracks until it gets SIGCONT; False if it has ended."""
            ...

        def await_end(self) -> None:
            """Wait until it has ended; how it did can still be asked after that."""
            ...

        def wait(self) -> int | None:
            """Wait for its end: its exit code, or minus the signal; None if nobody knows."""
            ...

    class Starter(Protocol):
        """Starts worker processes."""

        def start(self, fds: list[int]) -> Process:
            """Start one, and hand it these descriptors."""
            ...

        def close(self) -> None:
            """No more will be started."""

        def forget_in_fork(self) -> None:
            """In a forked child of ours: let go of what is the parent's."""


METHODS = ("spawn", "forkserver")
ANSWER_SECONDS = 10.0  # a fork server that does not answer for so long is given up
LOOK_SECONDS = 0.05  # between two looks at a process whose end nothing tells


def starter(method: str, environment: dict[str, str]) -> Starter:
    """What starts workers in this way."""
    return Spawner(environment) if method == "spawn" else ForkServer(environment)


def search_path() -> list[str]:
    """`sys.path` as it holds in other directories, too."""
    found = []
    for entry in sys.path:
        try:
            found.append(os.path.abspath(entry))
        except (OSError, TypeError):  # our directory was removed; or the entry is no path
            pass
    return found


def _interpreter(
    function: str, fds: list[int], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start a bare interpreter on a function of `_life`; nothing is forked without exec."""
    begin = f"import unifexec._life as life; life.{function}()"
    code = f"import sys; sys.path[:] = {search_path()!r}; {begin}"
    # Private, and what `multiprocessing` itself uses: -X, -W, -O and the like are inherited.
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return subprocess.Popen(
        [sys.executable, *flags, "-c", code, *map(str, fds)],
        stdin=subprocess.DEVNULL,
        pass_fds=fds,
        env=environment,
        process_group=0 if os.name == "posix" else None,
    )


def socket_pair(ours: ExitStack, given: ExitStack) -> tuple[socket.socket, int]:
    """A socket of ours, and the descriptor of its other end, which a process is given."""
    sock, theirs = socket.socketpair()
    for end in (sock, theirs):
        end.settimeout(None)  # whatever `socket.setdefaulttimeout` says: they would not block
    given.enter_context(theirs)
    return ours.enter_context(sock), theirs.fileno()


def lifeline_pair(ours: ExitStack, given: ExitStack) -> tuple[int, int]:
    """The end of a lifeline that we hold, and the one that a process is given."""
    lifeline, held = os.pipe()
    given.callback(os.close, lifeline)
    ours.callback(os.close, held)
    return held, lifeline


class Spawned:
    """A process that is our child."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self.pid = popen.pid

    def halt(self) -> bool:
        """Stop it, and wait until it has stopped."""
        if self._popen.poll() is not None:
            return False
        os.kill(self.pid, signal.SIGSTOP)
        try:
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def await_end(self) -> None:
        """Wait until it has ended, and leave it as it is where that can be done."""
        self._is_known()

    def wait(self) -> int | None:
        """Wait for its end. A program that ignores SIGCHLD is not told how its children end."""
        known = self._is_known()
        code = self._popen.wait()
        return code if known else None

    def _is_known(self) -> bool:
        """Wait for its end: whether the system tells how it ended."""
        if not hasattr(os, "waitid"):
            self._popen.wait()  # which keeps the code
            return True
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True


class Spawner:
    """Starts a bare interpreter for each worker."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def start(self, fds: list[int]) -> Spawned:
        """Start one."""
        return Spawned(_interpreter("main", fds, self._environment))

    def close(self) -> None:
        """Nothing is held."""

    def forget_in_fork(self) -> None:
        """Nothing is held."""


class Forked:
    """A process that is the child of the fork server, which tells us how it ended."""

    def __init__(self, pid: int, server: ForkServer) -> None:
        self.pid = pid
        self._server = server

    def halt(self) -> bool:
        """Stop it, and wait until it has stopped.

        No other process has its pid until `wait` is called, as long as its server lives.
        """
        try:
            os.kill(self.pid, signal.SIGSTOP)
        except ProcessLookupError:
            return False
        while (state := _state(self.pid)) not in "TtZX":
            sleep(0.0002)
        return state in "Tt"

    def await_end(self) -> None:
        """Look now and then: the server would be deaf to others while it waits for one."""
        while _state(self.pid) not in "ZX":
            sleep(LOOK_SECONDS)

    def wait(self) -> int | None:
        """Wait for its end; if the server is gone, nobody knows it."""
        return self._server.exitcode_of(self.pid)


def _state(pid: int) -> str:
    """The letter by which Linux tells what a process is at."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"
    except OSError:  # no descriptor to look with: a signal has arrived by then
        sleep(0.01)
        return "T"


class ForkServer:
    """Starts one bare process at first use, and asks it for every worker."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._pids: set[int] = set()  # of workers that the server which is there has forked
        self._popen: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket
        self._lifeline: int

    def start(self, fds: list[int]) -> Forked:
        """Start one; a server that was killed is replaced."""
        if self._popen is None:
            self._begin()
        try:
            return self._fork(fds)
        except OSError:
            self.close()
            self._begin()
            return self._fork(fds)

    def _begin(self) -> None:
        with ExitStack() as ours, ExitStack() as given:
            self._sock, theirs = socket_pair(ours, given)
            self._sock.settimeout(ANSWER_SECONDS)
            self._lifeline, lifeline = lifeline_pair(ours, given)
            self._popen = _interpreter("serve_forks", [theirs, lifeline], self._environment)
            ours.pop_all()
        self._pids.clear()

    def _fork(self, fds: list[int]) -> Forked:
        socket.send_fds(self._sock, [_messages.FORK.pack(0)], fds)
        pid = self._answer()
        self._pids.add(pid)
        return Forked(pid, self)

    def _answer(self) -> int:
        data = self._sock.recv(_messages.FORK.size)
        if len(data) < _messages.FORK.size:
            raise ConnectionResetError("the fork server is gone")
        (number,) = _messages.FORK.unpack(data)
        return int(number)

    def exitcode_of(self, pid: int) -> int | None:
        """How a worker ended; it is reaped by this question."""
        if pid not in self._pids:
            return None
        self._pids.discard(pid)
        try:
            self._sock.sendall(_messages.FORK.pack(pid))
            return self._answer()
        except OSError:  # its answer may still come, and would be taken for that of the next
            self.close()
            return None

    def close(self) -> None:
        """End the server."""
        if self._popen is not None:
            self._sock.close()
            os.close(self._lifeline)
            self._popen.kill()  # it may have been stopped
            self._popen.wait()
            self._popen = None

    def forget_in_fork(self) -> None:
        """In a forked child of ours: the parent's death must be seen by the server."""
        if self._popen is not None:
            os.close(self._lifeline)
            self._sock.close()
            self._popen = None
