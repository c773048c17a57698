"""What the operating system says of this machine's memory."""

import re
from pathlib import Path


def memory() -> dict[str, int]:
    """Return `total` and `free` memory in bytes within the limit of a container; 0 = unknown."""
    meminfo = dict(re.findall(r"^(\w+):\s+(\d+) kB$", read("/proc/meminfo"), re.MULTILINE))
    total, free = (1024 * int(meminfo.get(key, 0)) for key in ("MemTotal", "MemAvailable"))
    limit, used = (read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if limit.isdigit() and used.isdigit():
        total = min(total, int(limit))
        free = min(free, int(limit) - int(used))
    return {"total": total, "free": free}


def read(path: str) -> str:
    """Return the text of a system file, empty where there is none."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
