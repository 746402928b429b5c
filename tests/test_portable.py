"""Nothing needs POSIX where Python has a portable call; what asks for more is listed, with what happens elsewhere."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY

POSIX = re.compile(
    r"os\.(?:fork|link|symlink|getuid|geteuid|kill|setsid|mkfifo|sched_\w+|statvfs|uname)\b|signal\.SIG\w+"
    r"|import (?:signal|fcntl|resource|pwd|grp|termios|select)\b|/proc/|/dev/\w+"
)
LISTED = {
    "latentsearch/environment.py": {"os.sched_getaffinity", "/proc/", "os.kill"},  # see there what Windows does
    "latentsearch/failures.py": {"import resource", "/proc/"},  # limits of memory, left out where they are not
    "latentsearch/page/code_map.py": {"import signal", "signal.SIGINT", "signal.SIG_IGN"},  # everywhere
    "latentsearch/terminal.py": {"import signal", "signal.SIGINT"},  # everywhere
    "latentsearch/training/hosts.py": {"import signal", "signal.SIGINT", "signal.SIG_DFL"},  # everywhere
    "latentsearch/tuning/worker.py": {"import signal", "signal.SIGINT", "signal.SIG_IGN", "signal.SIGKILL"},
}


def test_what_needs_posix_is_listed():
    found = {}
    for pattern in ("*.py", "latentsearch/**/*.py"):
        for path in REPOSITORY.glob(pattern):
            names = set(POSIX.findall(path.read_text(encoding="utf-8")))
            found |= {path.relative_to(REPOSITORY).as_posix(): names} if names else {}
    assert found == LISTED
