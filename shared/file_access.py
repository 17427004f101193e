"""Who can read a file."""

import os
import stat
from pathlib import Path


def is_open_to_others(path: Path) -> bool:
    """Whether users who neither own the file nor are of its group can read it.

    A private folder on the way keeps them out as well. A file that is mounted by itself, as
    container engines do, does not count: its owner is elsewhere.

    Args:
        path: Of an existing file; what cannot be looked at counts as closed.
    """
    try:
        real = path.resolve(strict=True)
        if os.path.ismount(real) or not real.stat().st_mode & stat.S_IROTH:
            return False
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
    except OSError:
        return False


def is_readable_file(path: Path) -> bool:
    """Whether it is a file that this process can read.

    A name that no file can have, and a folder on the way that does not let us in, say no.
    """
    try:
        return path.is_file() and os.access(path, os.R_OK)
    except (OSError, ValueError):
        return False
