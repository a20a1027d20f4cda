"""Leaves out of `cargo metadata` (stdin to stdout) what the analysis of cells does not need.

evcxr's analysis, rust-analyzer's, tells the types of a cell's variables and completes names. It reads the sources of every
crate that cargo names, 250 with the core's: most of the time that a kernel takes to start and to run its first cells. The
types of this crate and of tch are enough. What a cell adds by `:dep` is kept with all that it needs.
"""

import json
import sys

# Of these crates' dependencies, only these are kept.
KEPT = {"anchor": {"ntgram-core"}, "ntgram-core": {"ntgram-engine", "ntgram-sweep", "tch"}, "ntgram-sweep": {"ntgram-engine"},
        "ntgram-engine": set(), "tch": {"torch-sys"}, "torch-sys": set()}  # fmt: skip


def outline(listed):
    """The same metadata without the packages that only `KEPT`'s crates lead to."""
    names = {package["id"]: package["name"] for package in listed["packages"]}
    if not KEPT.keys() & set(names.values()):  # the standard library's own, and other people's
        return listed
    nodes = {node["id"]: node for node in listed["resolve"]["nodes"]}
    for node in nodes.values():
        kept = KEPT.get(names[node["id"]])
        if kept is not None:
            node["deps"] = [dependency for dependency in node["deps"] if names[dependency["pkg"]] in kept]
            node["dependencies"] = [dependency["pkg"] for dependency in node["deps"]]
    reached, front = set(), list(listed["workspace_members"])
    while front:
        package = front.pop()
        if package not in reached:
            reached.add(package)
            front += nodes[package]["dependencies"]
    listed["packages"] = [package for package in listed["packages"] if package["id"] in reached]
    listed["resolve"]["nodes"] = [node for node in nodes.values() if node["id"] in reached]
    return listed


if __name__ == "__main__":
    json.dump(outline(json.load(sys.stdin)), sys.stdout)
