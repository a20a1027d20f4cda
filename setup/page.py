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

import kernel

TARGET = "wasm32-unknown-unknown"
# Vectors of 128 bits; every browser has them since 2023.
RUSTFLAGS = "-Ctarget-feature=+simd128"
# Debian's Rust for building browsers: it builds the standard library itself, where rustup cannot be asked for one.
DEBIAN_PACKAGES = ["rustc-web", "cargo-web", "rust-web-src"]
# In this order a module needs only those before it; the page imports the last.
MODULES = ["draw", "math", "figures", "engine", "settings", "main"]


def build(repository, folder, page, may_install):
    """Writes the page to `page`; `folder` keeps what cargo builds. None, or the reason why the page cannot be built here."""
    cargo, env = toolchain(may_install)
    if not cargo:
        return (f"no Rust that compiles for {TARGET}: `rustup target add {TARGET}`, or Debian's packages "
                f"{', '.join(DEBIAN_PACKAGES)}")  # fmt: skip
    env |= {"CARGO_TARGET_DIR": str(folder), f"CARGO_TARGET_{TARGET.upper().replace('-', '_')}_RUSTFLAGS": RUSTFLAGS}
    command = [*cargo, "--locked", "--quiet", "--profile", "page", "--package", "ntgram-web", "--lib", "--target", TARGET]
    if subprocess.run(command, env=env, cwd=repository).returncode:
        return "it does not compile; the reason stands above"
    wasm = (folder / TARGET / "page/ntgram_web.wasm").read_bytes()
    kernel.write(page, assembled(repository / "ntgram-web/page", wasm))
    return None


def toolchain(may_install):
    """The command that builds for WebAssembly, and its environment; None for the command where there is none."""
    env = {name: value for name, value in os.environ.items() if not kernel.DROPPED.match(name)}
    if has_target(env):
        return ["cargo", "build"], env
    if shutil.which("rustup") and quiet("rustup", "target", "add", TARGET) and has_target(env):
        return ["cargo", "build"], env
    if may_install and not debians() and shutil.which("apt-get") and os.geteuid() == 0:
        print(f"ntgram: apt-get install {' '.join(DEBIAN_PACKAGES)}", flush=True)
        apt = ["apt-get", "--quiet=2", "--option=DPkg::Lock::Timeout=300"]
        quiet(*apt, "update")
        quiet(*apt, "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES)
    if debians():
        env |= {"RUSTC": "/usr/bin/rustc", "RUSTC_BOOTSTRAP": "1"}
        return ["/usr/bin/cargo", "build", "-Zbuild-std=std,panic_abort"], env
    return None, env


def has_target(env):
    """Whether the standard library for WebAssembly is installed beside the compiler."""
    folder = kernel.rustc_says(env, "--print", "target-libdir", "--target", TARGET)
    return bool(folder) and any(Path(folder).glob("libstd-*"))


def debians():
    """Whether Debian's Rust is there with the library's sources."""
    return Path("/usr/bin/cargo").exists() and any(Path("/usr/lib/rustlib/src/rust/library/std").glob("Cargo.toml"))


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
