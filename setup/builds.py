"""What a set-up and a kernel do alike about builds: variables and flags, the folders that they build in, locks, and what cargo prints.

The set-up copies this file beside the kernel spec, as it does kernel.py, the launcher. Python's standard library only.
"""

import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

MACOS = sys.platform == "darwin"
# How the core is compiled: as a library that all cells of a kernel load, with one copy of its statics. It must then know
# which cell runs (ntgram-core/src/cell.rs), and does on Linux only; elsewhere each cell has a copy of it.
CORE = "rlib" if MACOS else "dylib"
LIBRARY_PATH = "DYLD_LIBRARY_PATH" if MACOS else "LD_LIBRARY_PATH"
# Settings of the compilers: cargo builds anew when one changes, so a kernel gets those that the set-up had.
TOOLS = ("CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "AR",
         "MACOSX_DEPLOYMENT_TARGET")  # fmt: skip
# The caller's settings that would change the build: how these names begin. Of those below the first line, build scripts tell
# cargo that they read them, and cargo runs them anew, and compiles what depends on them, when one changes. Conda, nix and
# module systems set many.
DROPPED = re.compile("|".join([
    "LIBTORCH", "TORCH_CUDA_VERSION", "RUSTFLAGS", "RUSTC", "EVCXR_", "CARGO_ENCODED_RUSTFLAGS", "CARGO_INCREMENTAL",
    "CARGO_(TARGET|PROFILE|UNSTABLE|FEATURE|CFG)_", "CARGO_BUILD_(?!JOBS)",
    "((HOST|TARGET)_)?(CC|CXX|AR|RANLIB)(_|$)", "((HOST|TARGET)_)?(C|CXX|AR|RANLIB|LD)FLAGS", "CRATE_CC_", "CXXSTDLIB",
    "(C|CPLUS|OBJC|OBJCPLUS)_INCLUDE_PATH$", "CPATH$", "LIBRARY_PATH$", "COMPILER_PATH$", "GCC_EXEC_PREFIX$",
    "SOURCE_DATE_EPOCH$", "((HOST|TARGET)_)?PKG_CONFIG", "ZSTD_SYS_", "BZIP2_", "LIBC_", "RUST_LIBC_", "MMTEST_FEATURE$",
]))  # fmt: skip
# Tables of cargo's settings that change nothing that is built.
HARMLESS = re.compile(r"(alias|cache|cargo-new|credential-alias|doc|future-incompat-report|http|install|net|registry|registries"
                      r"|term)\b")  # fmt: skip
BUILD_WAIT = 1800.0  # seconds that a kernel waits for a warm folder that is being built

# The flags that evcxr compiles with: with others, cargo would take what the set-up has built for something else.
RUSTFLAGS = "-Cprefer-dynamic"

# What the sweeps' program and the engine's benchmarks have crates behind the core do that it does not use itself: with other features,
# cargo would compile those crates, and all that needs them, once more for the tests.
FEATURES_OF_OTHERS = """
[build-dependencies]
syn = { version = "3", features = ["full"] }

[dependencies]
either = { version = "1", features = ["use_std"] }
"""

# How the manifest of a build folder's packages begins.
PACKAGE = '[package]\nname = "{}"\nversion = "1.0.0"\nedition = "2024"\n'


def environment(settings, caller):
    """The variables that cargo and the kernel run with, made from the caller's."""
    env = {k: v for k, v in caller.items() if not DROPPED.match(k) and k not in TOOLS}
    env.update(settings["tools"])
    env["LIBTORCH"] = settings["libtorch"]
    env[LIBRARY_PATH] = os.pathsep.join(filter(None, [f"{settings['libtorch']}/lib", caller.get(LIBRARY_PATH)]))
    # The models are tiny: libtorch's threads cost more than they give. A caller who sets the number keeps it.
    env.setdefault("OMP_NUM_THREADS", "1")
    if not shutil.which("cargo", path=env.get("PATH", "")):
        env["PATH"] = os.pathsep.join([settings["cargo_bin"], env.get("PATH", "")])
    return env


def host(env):
    """The compiler's name for this platform, such as `x86_64-unknown-linux-gnu`."""
    return re.search(r"host: (\S+)", rustc_says(env, "-vV"))[1]


def build_core(cargo, host):
    """The command that compiles the core for cells, in a build folder's `cell`."""
    return [cargo, "rustc", "--package", "ntgram-core", "--lib", "--crate-type", CORE,
            "--target", host, "--manifest-path", "../anchor/Cargo.toml"]  # fmt: skip


def rustc_says(env, *question):
    """What rustc answers to `-vV` and the like; empty without a compiler."""
    rustc = shutil.which("rustc", path=env.get("PATH", ""))
    return subprocess.run([rustc, *question], env=env, capture_output=True, text=True).stdout.strip() if rustc else ""


def digest(*parts):
    """A short name for these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def cargo_settings(env, folder):
    """What files tell the user's cargo about builds in `folder`: at cargo's home, in that folder and above it."""
    places = dict.fromkeys([Path(env["CARGO_HOME"]), *(up / ".cargo" for up in [folder, *folder.parents])])
    said = []
    for path in [place / name for place in places for name in ("config.toml", "config")]:
        table = ""
        for line in path.read_text("utf-8", "replace").splitlines() if path.is_file() else ():
            line = line.strip()
            if line.startswith("["):
                table = line.lstrip("[ ")
            if line and not line.startswith("#") and not HARMLESS.match(table or line):
                said.append(line)
    return "\n".join(said)


def warm_folder(settings, env, clone):
    """Where dependencies are built for this clone of the repository; its name tells all that cargo builds anew for, so that
    what is there never changes: compiler, flags, tools, cargo's home and settings, libtorch."""
    tools = {name: value for name, value in settings["tools"].items() if not name.startswith("RUSTUP")}
    made_with = digest(rustc_says(env, "-vV"), settings["libtorch"], settings["tch"], RUSTFLAGS,
                       json.dumps(tools, sort_keys=True), cargo_settings(env, Path(settings["cache"])))  # fmt: skip
    return Path(settings["cache"], "warm", f"{made_with}-{digest(str(clone))}")


def page_file(settings, clone):
    """Where the set-up puts this clone's live page, which `explore()` shows."""
    return Path(settings["cache"], "page", f"{digest(str(clone))}.html")


def relatives(warm):
    """Other finished warm folders that are made with the same, newest first: they differ in the clone's own crates only."""
    made_with = warm.name.split("-")[0]
    found = [folder for folder in warm.parent.glob(f"{made_with}-*") if folder != warm and (folder / "made-for.json").exists()]
    return sorted(found, key=lambda folder: folder.stat().st_mtime, reverse=True)


def clone_above(folder):
    """The repository that `folder` lies in, or None."""
    return next((up for up in [folder, *folder.parents] if (up / "ntgram-core/Cargo.toml").exists()), None)


def copy_build(source, target):
    """Copies a build folder, but for files that are there already. Libraries become hard links: they are nearly all of its
    size. Everything else, thousands of small files, is copied in full."""
    os.makedirs(target, exist_ok=True)
    for entry in os.scandir(source):
        copy = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("ctx-"):  # what cells left behind
                copy_build(entry.path, copy)
        elif os.path.lexists(copy):
            continue
        elif entry.is_symlink():
            os.symlink(os.readlink(entry.path), copy)
        elif not (replaced_when_written(entry.path) and linked(entry.path, copy)):
            shutil.copy2(entry.path, copy)


def write_workspace(folder, settings, host, clone):
    """Writes a build folder's manifests: `cell` is evcxr's, `anchor` keeps the core and its locked versions meanwhile, and
    `apart` is the cell without the core, for `bin/cargo`. `clone`: the repository whose core it is, or None."""
    if clone:
        write_anchor(folder, clone)
    elif not (folder / "anchor/Cargo.toml").exists():
        write(folder / "anchor/Cargo.toml", PACKAGE.format("anchor") + "\n[dependencies]\n")
    write(folder / "anchor/src/lib.rs", "")
    write(folder / "Cargo.toml", settings["workspace"])
    cell = PACKAGE.format("ctx") + '\n[lib]\ncrate-type = ["cdylib"]\npath = "src/lib.rs"\n\n[dependencies]\n'
    write(folder / "cell/Cargo.toml", cell)
    write(folder / "cell/src/lib.rs", "")
    write(folder / "apart/Cargo.toml", settings["workspace"].replace('["cell", "anchor"]', '["cell"]'))
    write(folder / "apart/cell/Cargo.toml", cell)
    if not (folder / "apart/cell/src").is_symlink():
        (folder / "apart/cell/src").symlink_to("../../cell/src")
    write(folder / ".cargo/config.toml", "# In the place of torch-sys' build script.\n" + "\n".join(libtch(settings, host)) + "\n")


def write_anchor(folder, clone):
    """Has the anchor of a build folder need this repository's core, with the versions that the repository has locked."""
    # The page, too, which the core's tests use: so the crates behind both have the features that the tests need.
    ours = "".join(f"{crate} = {{ path = {toml(clone / crate)} }}\n" for crate in ("ntgram-core", "ntgram-web"))
    wanted, lock = PACKAGE.format("anchor") + FEATURES_OF_OTHERS + ours, (clone / "Cargo.lock").read_text("utf-8")
    if text_of(folder / "anchor/Cargo.toml") != wanted or text_of(folder / "locked") != lock:  # cargo leaves in its lock what is needed only
        write(folder / "Cargo.lock", lock)
        write(folder / "locked", lock)
        write(folder / "anchor/Cargo.toml", wanted)


def libtch(settings, host):
    """Cargo's settings that have it take tch's C++ code as the set-up has built it, in the place of torch-sys' build script."""
    return [f"target.{host}.tch.rustc-link-search = [{toml('native=' + settings['tch'])}]",
            f'target.{host}.tch.rustc-link-lib = ["tch"]']  # fmt: skip


def text_of(path):
    """What a file holds; None if it is not there."""
    return path.read_text("utf-8") if path.exists() else None


def toml(text):
    """A text as TOML has it: in JSON's quotes, but with its characters as they are."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def write(path, text):
    """Writes a whole file or nothing; a file that holds `text` already keeps its time stamp."""
    path = Path(path)
    if path.exists() and path.read_text("utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(path)


def replaced_when_written(path):
    """Whether this file of a build folder comes from a compiler or a linker, which write a new file and leave an old one to
    those who have it. (tests/test_kernel.py has them prove it.)"""
    return re.search(r"/(deps|debug)/[^/]+\.(rlib|rmeta|so|dylib)$|/build/[^/]+/build[-_]script[-_][^/.]+$", path)


def linked(path, copy):
    """Makes `copy` a hard link to `path`; False on a file system that cannot."""
    try:
        os.link(path, copy)
    except OSError:
        return False
    return True


def pieces(stream):
    """Lines of what a program prints, which may end as lines of progress do, without colours."""
    rest = ""
    while text := os.read(stream.fileno(), 1 << 16).decode("utf-8", "replace"):
        *lines, rest = re.split(r"[\r\n]+", rest + text)
        yield from (re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", line) for line in lines if line.strip())
    if rest.strip():
        yield rest


# Has cargo print its progress, and what it then prints: how many crates are done, of how many.
SHOW_PROGRESS = {"CARGO_TERM_PROGRESS_WHEN": "always", "CARGO_TERM_PROGRESS_WIDTH": "80"}
PROGRESS = re.compile(r"Building \[.*\] (\d+)/(\d+)")


class Locked:
    """Holds a lock file: `with Locked(path):` waits for it, exclusively unless `shared`. After `limit` seconds it raises
    TimeoutError; `told` is called while it waits, about twice a second, with the seconds so far."""

    def __init__(self, path, shared=False, limit=math.inf, told=lambda seconds: None):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a")  # noqa: SIM115
        self.kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self.limit, self.told = limit, told

    def __enter__(self):
        begun = time.monotonic()
        while True:
            try:
                fcntl.flock(self.file, self.kind | fcntl.LOCK_NB)
                return self.file
            except BlockingIOError:
                waited = time.monotonic() - begun
                if waited >= self.limit:
                    self.file.close()
                    raise TimeoutError(str(self.file.name)) from None
            self.told(waited)
            time.sleep(0.5)

    def __exit__(self, *_):
        self.file.close()
