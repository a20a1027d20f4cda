"""The kernel through Jupyter's protocol: private build folders, several kernels at once, how cells are compiled, what is left when
a kernel ends."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import builds
import conftest
import core
import outline
import pytest
import setup
from conftest import CELL_0, KERNELS, REPOSITORY, owner, wait_until, write_notebook

SETTINGS = {"libtorch": "/t", "tch": "/tch", "tools": {"CARGO_HOME": str(Path.home() / ".cargo")}, "cargo_bin": "/c", "cache": "/x"}

# A crate of each kind: a library, a procedural macro, one loaded by others, and a build script's.
CRATES = {
    "plain": ("", "pub fn plain() -> u32 { EDIT }"),
    "shared": ('crate-type = ["dylib"]', "pub fn shared() -> u32 { EDIT }"),
    "macros": ("proc-macro = true",
               "#[proc_macro] pub fn one(_: proc_macro::TokenStream) -> proc_macro::TokenStream { \"EDIT\".parse().unwrap() }"),
    "scripted": ("", 'include!(concat!(env!("OUT_DIR"), "/made.rs")); pub fn scripted() -> u32 { MADE + EDIT }'),
    "user": ('crate-type = ["cdylib"]',
             "pub fn all() -> u32 { plain::plain() + shared::shared() + macros::one!() + scripted::scripted() + EDIT }"),
}  # fmt: skip
SCRIPT = """fn main() {
    println!("cargo:rerun-if-env-changed=CPATH");
    println!("cargo:rerun-if-changed=build.rs");
    let made = std::path::Path::new(&std::env::var("OUT_DIR").unwrap()).join("made.rs");
    let read = std::env::var("CPATH").map_or(0, |path| path.len() + EDIT);
    std::fs::write(made, format!("pub const MADE: u32 = {read};")).unwrap();
}"""


def write_crates(folder, edit):
    """Writes `CRATES` as a workspace; `edit`: a number in all of their sources."""
    for name, (kind, code) in CRATES.items():
        needs = "".join(f'{other} = {{ path = "../{other}" }}\n' for other in CRATES if name == "user" and other != name)
        manifest = f'[package]\nname = "{name}"\nedition = "2021"\n[lib]\n{kind}\n[dependencies]\n{needs}'
        builds.write(folder / name / "Cargo.toml", manifest)
        builds.write(folder / name / "src/lib.rs", code.replace("EDIT", str(edit)))
    builds.write(folder / "scripted/build.rs", SCRIPT.replace("EDIT", str(edit)))
    builds.write(folder / "Cargo.toml", f"[workspace]\nresolver = '3'\nmembers = {json.dumps(list(CRATES))}\n")


def built(crates, target, **variables):
    """Builds `CRATES` in a target folder; the names of those that were compiled."""
    env = builds.environment(SETTINGS, os.environ) | {"CARGO_TARGET_DIR": str(target), "RUSTFLAGS": "-Cprefer-dynamic"}
    done = subprocess.run(["cargo", "build", "--offline", "--message-format=json"], cwd=crates, env=env | variables,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    messages = map(json.loads, done.stdout.splitlines())
    return {message["target"]["name"] for message in messages if message.get("fresh") is False}


def contents(folder):
    """Of each file in a folder its time, and what it holds."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
    return {str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files}


def warm_folder():
    """This repository's."""
    settings = setup.settings_for(False)
    return builds.warm_folder(settings, builds.environment(settings, os.environ), REPOSITORY)


@pytest.mark.parametrize("all_linked", [False, True])
def test_nothing_that_is_built_in_a_copy_is_seen_in_the_original(tmp_path, monkeypatch, all_linked):
    crates, original, copy = (tmp_path / name for name in ("crates", "original", "copy"))
    write_crates(crates, 1)
    built(crates, original / "target")
    before = contents(original)
    if all_linked:  # shows that compilers do write in place here, and that this test would see it
        monkeypatch.setattr(builds, "replaced_when_written", lambda path: True)
    builds.copy_build(original, copy)
    assert {str(path.relative_to(copy)) for path in copy.rglob("*")} == {
        str(path.relative_to(original)) for path in original.rglob("*")}  # fmt: skip
    assert sum(path.stat().st_nlink > 1 for path in copy.rglob("*.rlib")) >= 2, "libraries are shared"
    assert built(crates, copy / "target") == set(), "cargo finds the copy as fresh as the original"
    time.sleep(1.1)  # cargo compares whole seconds on some file systems
    write_crates(crates, 2)
    assert built(crates, copy / "target", CPATH="/elsewhere") >= set(CRATES)
    assert (contents(original) != before) == all_linked


def test_the_variables_that_our_build_scripts_read_are_shut_out(start):
    outputs = [path.read_text() for path in start().folder.rglob("build/*/output")]
    names = set(re.findall(r"^cargo::?rerun-if-env-changed=(.*)$", "\n".join(outputs), re.MULTILINE))
    assert len(names) > 20
    env = builds.environment(SETTINGS, dict.fromkeys(names, "/elsewhere"))
    assert {name for name in names if env.get(name) == "/elsewhere"} == set()


def test_a_kernel_in_an_odd_environment_compiles_nothing_and_changes_nothing(start, tmp_path):
    warm = warm_folder()
    before = contents(warm)
    odd = start(CARGO_HOME=str(tmp_path), CPATH="/elsewhere", LIBRARY_PATH="/elsewhere", PKG_CONFIG_PATH="/elsewhere", CFLAGS="-g",
                RUSTC_WRAPPER="/bin/false", RUSTFLAGS="-g", CARGO_PROFILE_DEV_OPT_LEVEL="0", SOURCE_DATE_EPOCH="1", HOST_CC="false",
                PYTHONPATH=str(tmp_path), PYTHONHOME=str(tmp_path), LC_ALL="C")  # fmt: skip
    (tmp_path / "json.py").write_text("raise ImportError")
    for running in (odd, start()):
        running.run(CELL_0)
        assert running.run("interrupted()") == "false"
        assert compiled_since_start(running) == []
    assert contents(warm) == before


def test_what_decides_about_builds_names_the_warm_folder(tmp_path):
    settings = SETTINGS | {"cache": str(tmp_path / "a/cache"), "tools": {"CARGO_HOME": str(tmp_path / "cargo"), "CC": "cc"}}
    env = builds.environment(settings, os.environ)

    def name(**changed):
        return builds.warm_folder(settings | changed, env, None).name

    def after(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name()

    first = name()
    assert after(tmp_path / "cargo/config.toml", '# none\n[net]\nretry = 3\n[http]\nproxy = "p"\n[alias]\nb = "build"\n') == first
    names = {
        first,
        after(tmp_path / "cargo/config.toml", '[net]\nretry = 3\n[build]\nrustc-wrapper = "sccache"\n'),
        after(tmp_path / "a/.cargo/config.toml", '[target.x86_64-unknown-linux-gnu]\nlinker = "clang"\n'),
        after(tmp_path / "a/cache/.cargo/config", '[env]\nCFLAGS = "-g"\n'),
        name(libtorch="/other"),
        name(tools={"CARGO_HOME": str(tmp_path / "cargo"), "CC": "clang"}),
        name(tools={"CARGO_HOME": str(tmp_path / "other"), "CC": "cc"}),
    }
    assert len(names) == 7
    assert name(tools=settings["tools"] | {"RUSTUP_TOOLCHAIN": "1.95"}) == name(), "the compiler's version says it"


def test_kernels_that_wait_for_a_build_say_so_in_the_cell(start, tmp_path):
    """One in the repository, and one that lies elsewhere and has no versions locked."""
    with builds.Locked(warm_folder().with_suffix(".lock")):
        both = [(start(), CELL_0), (start(tmp_path), CELL_0.replace("../ntgram-core", str(REPOSITORY / "ntgram-core")))]
        for running, _ in both:
            assert running.run("1 + 1") == "2", "what needs no dependency does not wait"
        requests = [running.send(code) for running, code in both]
        for running, _ in both:
            said = ""
            while "waiting, " not in said:
                message = running.client.get_iopub_msg(timeout=60)
                if message["msg_type"] == "stream":
                    said += message["content"]["text"]
            assert "a set-up builds the crates behind ntgram-core just now" in said
    for (running, _), request in zip(both, requests, strict=True):
        assert running.outputs(request)[1] == []
        assert running.complaints == ""
        assert running.run("TorchRng::new(1).next_word()") == "1791095845", "the process that waited finds the core"
        assert compiled_since_start(running) == []


@pytest.mark.parametrize(("seconds", "told"), [(0.0, False), (1.5, True)])
def test_a_long_wait_for_another_cargo_is_told_in_the_cell(monkeypatch, seconds, told):
    monkeypatch.setattr(core, "LONG", 0.5)
    page, said = core.Page(os.getpid()), []
    monkeypatch.setattr(page, "say", said.append)
    waits = f"echo '    Blocking waiting for file lock on package cache' >&2; sleep {seconds}; echo '    Finished' >&2"
    assert core.build(["sh", "-c", waits], os.environ, page) == 0
    assert said == ["cargo: Blocking waiting for file lock on package cache"] * told


def test_the_analysis_sees_the_core_tch_and_what_a_cell_adds():
    needs = {"ctx": ["ntgram-core", "added"], "anchor": ["ntgram-core", "ntgram-web"], "ntgram-web": ["ntgram-engine", "zip"],
             "ntgram-core": ["ntgram-engine", "ntgram-sweep", "tch", "polars"],
             "ntgram-engine": ["zip"], "ntgram-sweep": ["ntgram-engine", "zip"], "tch": ["torch-sys", "zip"],
             "torch-sys": ["libc", "cc"], "polars": ["libc"], "added": ["libc"], "zip": [], "libc": [], "cc": []}  # fmt: skip
    nodes = [
        {"id": f"{name}#1", "dependencies": [f"{n}#1" for n in on], "deps": [{"name": n, "pkg": f"{n}#1"} for n in on]}
        for name, on in needs.items()
    ]
    packages = [{"id": f"{name}#1", "name": name} for name in needs]
    listed = {"packages": packages, "resolve": {"nodes": nodes}, "workspace_members": ["ctx#1", "anchor#1"]}
    outlined = outline.outline(json.loads(json.dumps(listed)))
    seen = {"ctx", "anchor", "ntgram-core", "ntgram-engine", "ntgram-sweep", "added", "tch", "torch-sys", "libc"}
    assert {p["name"] for p in outlined["packages"]} == seen
    left = {node["id"][:-2]: [d["name"] for d in node["deps"]] for node in outlined["resolve"]["nodes"]}
    assert left == {"ctx": ["ntgram-core", "added"], "anchor": ["ntgram-core"], "ntgram-core": ["ntgram-engine", "ntgram-sweep", "tch"],
                    "ntgram-engine": [], "ntgram-sweep": ["ntgram-engine"], "tch": ["torch-sys"], "torch-sys": [],
                    "added": ["libc"], "libc": []}  # fmt: skip


def test_settings_that_would_rebuild_everything_are_kept_out():
    settings = {"libtorch": "/t", "tools": {"CC": "gcc", "CARGO_HOME": "/home"}, "cargo_bin": "/c", "cache": ""}
    caller = {"PATH": "/nowhere", "RUSTFLAGS": "-g", "LIBTORCH_LIB": "/x", "CARGO_PROFILE_DEV_OPT_LEVEL": "0",
              "CARGO_HOME": "/other", "CFLAGS": "-O0", builds.LIBRARY_PATH: "/mine"}  # fmt: skip
    env = builds.environment(settings, caller)
    assert env["LIBTORCH"] == "/t" and env["CC"] == "gcc" and env["CARGO_HOME"] == "/home"
    assert env[builds.LIBRARY_PATH].split(os.pathsep) == ["/t/lib", "/mine"]
    assert env["PATH"].startswith("/c") and env["OMP_NUM_THREADS"] == "1"
    assert not {"RUSTFLAGS", "LIBTORCH_LIB", "CARGO_PROFILE_DEV_OPT_LEVEL", "CFLAGS"} & env.keys()
    assert builds.environment(settings, {"OMP_NUM_THREADS": "4"})["OMP_NUM_THREADS"] == "4"


def test_two_kernels_at_once_have_a_folder_each_and_leave_none(start):
    first, second = start(), start()
    assert first.folder != second.folder
    requests = [first.send(f"{CELL_0}\nlet a = 1;"), second.send(f"{CELL_0}\nlet a = 2;")]
    for running, request in zip([first, second], requests, strict=True):
        assert running.outputs(request)[1] == []
    assert [first.run("a"), second.run("a")] == ["1", "2"]
    first.close()
    second.close()
    assert wait_until(lambda: not first.folder.exists() and not second.folder.exists())


def test_dependencies_are_not_compiled_again_at_the_first_cell(start):
    running = start()
    running.run(CELL_0)
    assert running.complaints == ""
    assert compiled_since_start(running) == []


def compiled_since_start(running):
    """The libraries, but for the cells', that a kernel has compiled for itself."""
    started = (running.folder / "in-use").stat().st_mtime
    libraries = [path for end in ("rlib", "so") for path in running.folder.rglob(f"deps/*.{end}")]
    return [path.name for path in libraries if path.stat().st_mtime > started and not re.match("libc(tx|ode_)", path.name)]


def test_a_killed_kernel_leaves_neither_folder_nor_process(start):
    running = start()
    running.send("loop { std::hint::spin_loop() }")
    time.sleep(3)  # the cell is compiled and spins in evcxr's child process
    os.kill(running.pid, signal.SIGKILL)
    assert wait_until(lambda: not running.folder.exists())
    assert not group_members(running.pid)


def test_a_kernel_ends_with_its_server():
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from conftest import Kernel; kernel = Kernel();"
        "print(kernel.pid, kernel.folder, flush=True); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, REPOSITORY / "tests"], stdout=subprocess.PIPE, text=True)
    lines = iter(server.stdout.readline, "")
    pid, folder = next(line for line in lines if str(KERNELS) in line).split()
    assert group_members(int(pid)) and Path(folder).exists()
    server.kill()
    server.wait()
    assert wait_until(lambda: not group_members(int(pid)) and not Path(folder).exists())


def test_the_cache_folder_may_have_any_name(start, tmp_path, monkeypatch):
    cache, spec = tmp_path / "my cache é 🦀 'so' \\", tmp_path / "my data/kernels/ntgram"
    cache.mkdir()
    (cache / "warm").symlink_to(setup.CACHE / "warm")
    monkeypatch.setattr(setup, "kernel_spec_folder", lambda: spec)
    monkeypatch.setattr(conftest, "KERNELS", cache / "kernels")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "my data"))
    setup.install_kernel_spec(setup.settings_for(False) | {"cache": str(cache)})
    running = start()
    running.run(CELL_0)
    assert running.run("let seen = !interrupted();\nseen") == "true"
    assert str(cache) in str(running.folder) and compiled_since_start(running) == []


# ---- how cells are compiled


def test_cargo_sees_no_crate_but_the_cell(start):
    """Reading the core's crates for every cell is what made cells slow."""
    running = start()
    running.run(CELL_0)
    assert running.run('Tensor::from_slice(&[1f32, 2.0]).sum(Kind::Float).double_value(&[])') == "3.0"
    locked = (running.folder / "apart/Cargo.lock").read_text()
    assert locked.count("[[package]]") == 1


def test_the_core_has_few_symbols(start):
    """Each cell is linked with it, twice often: 150,000 took a tenth of a second of every cell."""
    (core,) = start().folder.glob("cell/target/*/debug/libntgram_core.so")
    symbols = subprocess.run(["nm", "-D", "--defined-only", core], capture_output=True, text=True, check=True).stdout.splitlines()
    assert 1000 < len(symbols) < 30_000


def test_types_and_completion_know_the_core_and_tch(start):
    running = start()
    running.run(f"{CELL_0}\nlet mut rng = TorchRng::new(1);")
    running.run("let pi = last_position_law(&[5, 5], 5, 0.0, 0.9, &mut rng)?;")
    running.run("let model = LowRank::new(2, 5, 3, &pi, &mut rng)?;\nlet w_u = model.w_u();")
    for code, expected in [("model.w_", "w_u()"), ("w_u.logsumex", "logsumexp(")]:
        assert any(match.startswith(expected) for match in completed(running, code))


def test_completion_needs_no_variable_and_no_cell(start):
    """The kernel reads all sources when it needs them: for a variable's type, or for this."""
    running = start()
    assert any(match.startswith("collections") for match in completed(running, "std::collec"))
    running.run(CELL_0)
    assert any(match.startswith("interrupted(") for match in completed(running, "interrup"))


def completed(running, code):
    """What the kernel offers at the end of `code`."""
    request = running.client.complete(code)
    while (reply := running.client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
        pass
    return reply["content"]["matches"]


def test_another_crate_has_the_version_that_is_locked(start):
    running = start()
    running.run(f':dep itoa = "1"\n{CELL_0}')
    assert running.run("itoa::Buffer::new().format(interrupted() as i32 + 12).to_string()") == '"12"'
    versions = [
        re.search(r'name = "itoa"\nversion = "(.*)"', path.read_text())[1]
        for path in (running.folder / "apart/Cargo.lock", REPOSITORY / "Cargo.lock")
    ]
    assert versions[0] == versions[1]


def test_what_does_not_compile_is_shown_and_changes_nothing(start):
    running = start()
    running.run(f"{CELL_0}\nlet rows: usize = 3;")
    _, errors = running.outputs(running.send('let wrong: usize = interrupted() + "text";'))
    assert any("cannot add" in error for error in errors)
    _, errors = running.outputs(running.send("let model: LowRank = rows;"))
    assert any("mismatched types" in error for error in errors)
    assert running.run("rows") == "3"


def test_kernels_that_must_build_say_so_and_an_edited_core_reaches_the_next_one_only(start, tmp_path):
    before = contents(warm_folder())
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ["Cargo.toml", "Cargo.lock", "README.md", "ntgram-core", "ntgram-web"]:
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, clone / name)
    # The crates that are not edited are the repository's: they need not be compiled once more.
    for manifest in clone.rglob("Cargo.toml"):
        text = re.sub("members = .*", 'members = ["ntgram-web", "ntgram-core"]', manifest.read_text())
        manifest.write_text(re.sub(r'"\.\./(ntgram-(?:engine|sweep))"', lambda found: builds.toml(REPOSITORY / found[1]), text))
    (clone / "notebooks").mkdir()
    library = clone / "ntgram-core/src/lib.rs"
    text = library.read_text()

    def edit(number):
        library.write_text(f"{text}\n/// Edited.\npub fn edited() -> u32 {{\n    {number}\n}}\n")

    edit(42)
    first = start(clone / "notebooks")
    lost = list((first.folder / "cell/target").glob("*/debug/.fingerprint/safetensors-*"))
    assert lost
    for fingerprint in lost:
        shutil.rmtree(fingerprint)
    first.run(CELL_0)
    assert "ntgram: compiling the crates behind ntgram-core for this kernel alone" in first.complaints
    assert "make run" in first.complaints
    assert first.run("ntgram_core::edited()") == "42" and first.complaints == ""
    edit(43)
    assert first.run("ntgram_core::edited() + interrupted() as u32") == "42"
    second = start(clone / "notebooks")
    second.run(CELL_0)
    assert "ntgram: compiling this repository's crates" in second.complaints
    assert second.run("ntgram_core::edited()") == "43" and second.complaints == ""
    assert contents(warm_folder()) == before


# ---- what is left


def kernel_of(client):
    """The kernel that this process has started, once it is there: its process id and its folder."""
    found = []

    def look():
        for lock in KERNELS.glob("kernel-*/in-use"):
            pid = owner(lock)
            parent = subprocess.run(["ps", "-o", "ppid=", "-p", pid or "0"], capture_output=True, text=True).stdout
            if parent.strip() == str(client.pid):
                found.append((int(pid), lock.parent))
        return found

    assert wait_until(look, 120)
    return found[0]


def test_a_kernel_ends_with_a_killed_jupyter_execute(tmp_path):
    book = write_notebook(tmp_path / "endless.ipynb", "loop { std::hint::spin_loop() }")
    client = subprocess.Popen([sys.executable, "-m", "jupyter", "execute", "--startup_timeout=600", book])
    try:
        pid, folder = kernel_of(client)
        assert wait_until(lambda: list(folder.rglob("libcode_2.*")), 120), "the endless cell runs"
    finally:
        client.kill()
        client.wait()
    assert wait_until(lambda: not group_members(pid) and not folder.exists())


def test_a_kernel_ends_with_a_killed_jupyter_server(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "server", "--allow-root", "--no-browser", f"--ServerApp.port={port}",
         "--IdentityProvider.token=key", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={tmp_path}"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/kernels", b'{"name": "ntgram"}', {"Authorization": "token key"}
    )

    def started():
        try:
            return urllib.request.urlopen(request, timeout=120).status == 201
        except ConnectionRefusedError:
            return False
        except urllib.error.URLError as error:
            return not isinstance(error.reason, ConnectionRefusedError)

    try:
        assert wait_until(started, 120)
        pid, folder = kernel_of(server)
    finally:
        server.kill()
        server.wait()
    assert wait_until(lambda: not group_members(pid) and not folder.exists())


def test_folders_of_dead_kernels_are_removed_at_the_next_start(start):
    stale = KERNELS / "kernel-stale"
    stale.mkdir(parents=True)
    (stale / "in-use").touch()
    start()
    assert not stale.exists()


def group_members(group):
    """The processes of a group that still run."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [row for row in rows if row[0] == str(group) and not row[1].startswith("Z")]
