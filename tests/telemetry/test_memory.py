"""How much memory there is and how much is used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genai_collector.telemetry.memory import memory_available, read_rss

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TOTAL = os.sysconf("SC_PHYS_PAGES") * _PAGE


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_rss_is_the_second_number_in_pages(tmp_path: Path) -> None:
    """statm counts pages: size, resident, shared ..."""
    assert read_rss(_tree(tmp_path, {"proc/self/statm": "900 123 45 1 0 60 0\n"})) == 123 * _PAGE


def test_rss_of_this_process() -> None:
    """The real one is plausible, and its peak answers where there is no /proc."""
    assert 5 * 2**20 < read_rss() < 2**36
    assert read_rss(Path("/nowhere")) > 5 * 2**20


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, _TOTAL, id="no control groups"),
        pytest.param(
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1048576\n"},
            1048576,
            id="v2 in a container",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/pod/app\n",
                "sys/fs/cgroup/pod/memory.max": "2097152\n",
                "sys/fs/cgroup/pod/app/memory.max": "max\n",
            },
            2097152,
            id="v2 limit of a parent",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "3145728\n",
            },
            3145728,
            id="v1 mounted at the root",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:memory:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            _TOTAL,
            id="v1 without limit",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/../../etc\n", "etc/memory.max": "1"}, _TOTAL, id="no way out"
        ),
    ],
)
def test_available(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    """The smallest limit of the process's control groups, else the machine's memory."""
    assert memory_available(_tree(tmp_path, files)) == expected
