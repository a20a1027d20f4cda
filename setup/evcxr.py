"""Compiles evcxr with our changes (evcxr.patch): in the place of rustc, while cargo installs evcxr as it is published.

    RUSTC_WRAPPER=evcxr.py: evcxr.py RUSTC ARGUMENT…

What differs from the published kernel: a cell that panics or ends by `?` has failed, for Jupyter too, and the cells that wait
behind it are not run; all that a cell has printed is sent before the cell's end, half a line too; a file says while a cell runs; paths
may have spaces; the system's linker is used, whatever others there are; the sources of all crates are read when a cell defines a
variable, not at the start.
And of rust-analyzer, the larger part of it, what no kernel calls is not compiled: refactorings, and diagnostics beside the compiler's.
"""

import os
import re
import shutil
import sys
from pathlib import Path

PATCH = Path(__file__).with_name("evcxr.patch")


def patched(text, changes):
    """`text` with the hunks of a unified diff of one file; each must fit at one place."""
    for hunk in re.split(r"^@@.*@@.*\n", changes, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
        if text.count(old) != 1:
            raise ValueError(f"{PATCH} does not fit:\n{hunk}")
        text = text.replace(old, new)
    return text


def changes():
    """What is changed: a crate, one of its files, and a unified diff of that file."""
    for change in re.split(r"^--- a/", PATCH.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        yield *change.splitlines()[0].split("/", 1), change


def patch_package(package, into):
    """Copies a crate's folder with those of our changes that are to it."""
    shutil.rmtree(into, ignore_errors=True)
    shutil.copytree(package, into)
    name = package.name.rpartition("-")[0]
    for crate, file, change in changes():
        if crate == name:
            path = into / file
            path.write_text(patched(path.read_text("utf-8"), change), "utf-8")


def main(rustc, *arguments):
    crates = "|".join({crate for crate, _, _ in changes()})
    for place, argument in enumerate(arguments):
        package = re.match(rf"(.*/(?:{crates})-[\d.]+)/src/\w+\.rs$", argument)
        if package:
            package = Path(package[1])
            into = Path(os.environ["CARGO_TARGET_DIR"], "patched", package.name)
            patch_package(package, into)
            arguments = [*arguments[:place], argument.replace(str(package), str(into)), *arguments[place + 1 :]]
    os.execvp(rustc, [rustc, *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
