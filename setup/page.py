"""Builds the live page: the crate `ntgram-web` as WebAssembly, and `ntgram-web/page` around it, as one HTML file that asks for no other.

`setup.py` calls it. Python's standard library only.
"""

import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import builds
from steps import run_to_end

TARGET = "wasm32-unknown-unknown"
# Vectors of 128 bits; every browser has them since 2023.
VECTORS = "-Ctarget-feature=+simd128"
# Debian's Rust for building browsers, which builds the standard library itself, where rustup cannot be asked for one.
DEBIANS = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm"]
DEBIANS_LINKER = Path("/usr/bin/rust-lld")  # from the last of these: a link to the program of another package, of that name
# In this order a module needs only those before it; the page imports the last.
MODULES = ["draw", "math", "figures", "engine", "settings", "main"]


def build(repository, folder, page, may_install):
    """Writes the page to `page`; `folder` keeps what cargo builds. `may_install`: Debian's Rust, where there is no other. None, or the
    reason why the page cannot be built here."""
    found = rustups() or debians() or (may_install and install_debians() and debians())
    if not found:
        return f"no Rust that compiles for {TARGET}: `rustup target add {TARGET}`, or Debian's packages {' '.join(DEBIANS)}"
    cargo, env = found
    command = [*cargo, "--locked", "--profile", "page", "--package", "ntgram-web", "--lib", "--target", TARGET]
    env["CARGO_TARGET_DIR"] = str(folder)
    run_to_end([cargo[0], "fetch", "--locked", "--quiet", "--target", TARGET], env, repository)
    env["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join([VECTORS, *nameless(env, repository)])
    if run_to_end(command, env, repository):
        return "it does not compile; the reason stands above"
    wasm = (folder / TARGET / "page/ntgram_web.wasm").read_bytes()
    builds.write(page, assembled(repository / "ntgram-web/page", wasm))
    return None


def nameless(env, repository):
    """Options that keep this machine's folders out of the page: panics name the files that they come from, and pages are published."""
    rustc = env.get("RUSTC", "rustc")
    sysroot = subprocess.run([rustc, "--print", "sysroot"], env=env, capture_output=True, text=True).stdout.strip()
    crates = Path(env.get("CARGO_HOME") or Path.home() / ".cargo", "registry/src")
    folders = {sysroot: "rust", str(repository): "ntgram"} | {str(folder): "crates" for folder in crates.glob("*")}
    return [f"--remap-path-prefix={folder}={name}" for folder, name in folders.items() if len(folder) > 1]


def caller():
    """The caller's variables without their settings for Rust."""
    return {name: value for name, value in os.environ.items() if not builds.DROPPED.match(name)}


def rustups():
    """The command that builds with the caller's Rust, and its variables; None where that has no WebAssembly and rustup cannot add it."""
    env = caller()
    if has_target(env) or (shutil.which("rustup") and quiet("rustup", "target", "add", TARGET) and has_target(env)):
        return ["cargo", "build"], env
    return None


def debians():
    """The same with Debian's."""
    sources = Path("/usr/lib/rustlib/src/rust/library/std/Cargo.toml")
    if not (sources.exists() and Path("/usr/bin/cargo").exists() and DEBIANS_LINKER.exists()):
        return None
    env = caller() | {"RUSTC": "/usr/bin/rustc", "RUSTC_BOOTSTRAP": "1", "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": str(DEBIANS_LINKER)}
    return ["/usr/bin/cargo", "build", "-Zbuild-std=std,panic_abort"], env


def install_debians():
    """Installs Debian's; not where its usual Rust is, whose place it would take."""
    if not shutil.which("apt-get") or os.geteuid() or Path("/usr/bin/rustc").exists():
        return False
    print(f"ntgram: apt-get install {' '.join(DEBIANS)} (a download of about 200 MB)", flush=True)
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2", "--option=DPkg::Lock::Timeout=300"]
    install = [*apt, "install", "--yes", "--no-install-recommends"]
    quiet(*apt, "update")
    return quiet(*install, *DEBIANS) and (DEBIANS_LINKER.exists() or quiet(*install, os.readlink(DEBIANS_LINKER)))


def has_target(env):
    """Whether the standard library for WebAssembly is installed beside the compiler."""
    folder = builds.rustc_says(env, "--print", "target-libdir", "--target", TARGET)
    return bool(folder) and any(Path(folder).glob("libstd-*"))


def quiet(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def assembled(sources, wasm):
    """The page as one file: its modules by an import map of data addresses, the engine packed as base 64."""
    read = {path.name: path.read_text("utf-8") for path in sources.iterdir()}

    def data(name):
        return "data:text/javascript;base64," + base64.b64encode(read[f"{name}.js"].encode()).decode()

    parts = {
        "/* ntgram: style */": read["style.css"],
        "/* ntgram: wasm */": base64.b64encode(gzip.compress(wasm, 9, mtime=0)).decode(),
        "/* ntgram: worker */": read["worker.js"],
        "/* ntgram: modules */": json.dumps({"imports": {name: data(name) for name in MODULES}}),
    }
    page = read["index.html"]
    for mark, part in parts.items():
        if page.count(mark) != 1 or "</script" in part or "</style" in part:
            sys.exit(f"ntgram: {mark} cannot be put into the page")
        page = page.replace(mark, part)
    return page


LINKS = "<!-- ntgram: links -->"
