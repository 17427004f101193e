"""Child processes that end with their parent, and what a process costs.

On Linux ``bound`` lets the kernel send SIGTERM to the child when its parent dies, also by
SIGKILL. The kernel means the *thread* that started the child: start children from the main
thread. The request is made by this file, run as a script between fork and exec, because Python
code between the two (``preexec_fn``) is unsafe beside threads. It imports next to nothing, since
each child waits for it.
"""

import os
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
SIGTERM = 15  # the module ``signal`` would cost a fifth of this script's time
EXIT_CANNOT_START = 127


def bound(command: Sequence[str]) -> list[str]:
    """The command wrapped so that SIGTERM reaches it when we die; as it is outside Linux."""
    if not sys.platform.startswith("linux"):
        return list(command)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def pss_bytes(pid: int) -> int | None:
    """Memory of a process, shared pages divided among their users; None where unknown."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None


def cpu_seconds(pid: int) -> float | None:
    """Processor time of a process, user and system; None where unknown."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name, in parentheses, may itself hold spaces and parentheses.
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _become(parent: int, command: list[str]) -> None:
    import ctypes  # noqa: PLC0415 - only the script needs it

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request was made
        return
    try:
        os.execvp(command[0], command)  # noqa: S606 - that is its purpose
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
    sys.exit(EXIT_CANNOT_START)
