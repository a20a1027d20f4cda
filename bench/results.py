"""bench/RESULTS.md and who writes what in it: `make bench` all that is above a mark; other measurements a section each below it, between
comments that name the program. Each keeps what is not its own, words written by hand included."""

import os
import platform
import re
from pathlib import Path

PATH = Path(__file__).with_name("RESULTS.md")
MARK = "<!-- written by hand below -->"


def record_top(text, path=PATH):
    """Writes what is above the mark."""
    _, kept = parts(path)
    path.write_text(f"{text}\n\n{MARK}{kept}")


def record(program, section, path=PATH):
    """Writes a program's section below the mark: in the place of its older one, else at the end."""
    begin, end = f"<!-- from {program} -->", f"<!-- end of {program} -->"
    top, kept = parts(path)
    block = f"{begin}\n\n{section.strip()}\n\n{end}"
    before, found, rest = kept.partition(begin)
    older, ended, after = rest.partition(end)
    if found and not ended:
        raise ValueError(f"{path}: {begin} is there, {end} is not: mend it by hand")
    kept = f"{before}{block}{after}" if found else f"{kept.rstrip()}\n\n{block}\n"
    path.write_text(f"{top}{MARK}{kept}")


def parts(path):
    """What is above the mark and what is below it."""
    top, _, kept = path.read_text().partition(MARK) if path.exists() else ("", "", "")
    return top, kept or "\n"


def machine():
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return f"{found[1] if found else platform.processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}."


def times(ratio):
    return f"{ratio:.1f}×" if ratio < 100 else f"{ratio:.0f}×"
