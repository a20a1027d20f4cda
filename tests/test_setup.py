"""The set-up's refusals and choices, without installing anything."""

import os
import shutil
import subprocess
import sys
import zipfile

try:
    import tomllib
except ImportError:  # before Python 3.11
    from pip._vendor import tomli as tomllib

import builds
import evcxr
import pytest
import setup
from conftest import REPOSITORY


def run_setup(tmp_path, *arguments, **variables):
    """Runs the set-up with an empty cache folder; it must end before it installs anything."""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **variables}
    done = subprocess.run([sys.executable, REPOSITORY / "setup/setup.py", *arguments], env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)  # fmt: skip
    assert done.returncode == 1
    assert not (tmp_path / "cache").exists(), "nothing may be installed before a refusal"
    return done.stderr


def tools(tmp_path, *names):
    """A folder for PATH that has these programs only."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def test_a_libtorch_of_another_version_is_refused_with_both_versions(tmp_path):
    (tmp_path / "build-version").write_text("2.4.1+cpu\n")
    message = run_setup(tmp_path, LIBTORCH=str(tmp_path))
    assert "2.4.1" in message and "2.13.0" in message and str(tmp_path) in message


def test_a_folder_without_libtorch_is_refused(tmp_path):
    assert "no libtorch" in run_setup(tmp_path, LIBTORCH=str(tmp_path))


def test_a_missing_compiler_is_named_with_the_command_that_installs_it(tmp_path):
    path = tools(tmp_path, "rustc", "cargo", "cc")
    message = run_setup(tmp_path, PATH=str(path), CC="cc", CXX="c++")
    assert "C++ compiler" in message and "install" in message
    assert "Rust" not in message, "what is there must not be named"


def test_a_missing_rust_toolchain_is_named(tmp_path):
    message = run_setup(tmp_path, PATH=str(tools(tmp_path, "cc", "c++")))
    assert "rustup" in message and "compiler" not in message


def test_an_old_rust_is_named_with_both_versions(tmp_path):
    path = tools(tmp_path, "cc", "c++")
    for name in ("rustc", "cargo"):
        (path / name).write_text(f"#!/bin/sh\necho {name} 1.70.0\n")
        (path / name).chmod(0o755)
    message = run_setup(tmp_path, PATH=f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    assert "1.70.0" in message and "rustup update" in message


def test_a_missing_venv_module_is_named(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(SystemExit, match="python3-venv|brew"):
        setup.check_prerequisites()


def test_a_cache_folder_that_cannot_be_in_a_library_path_is_refused(tmp_path):
    assert "no colon" in run_setup(tmp_path, XDG_CACHE_HOME=str(tmp_path / "a:b"))


# ---- the caller's settings for Python and pip


def make_wheel(folder, code):
    """A package `tiny` of version 1.0, with this code."""
    about = {"METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
             "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n", "RECORD": ""}  # fmt: skip
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", code)
        for name, text in about.items():
            wheel.writestr(f"tiny-1.0.dist-info/{name}", text)


def install_tiny(tmp_path, code="", **variables):
    """Installs that package as the set-up installs its own, from where a file of pip's settings says; the virtual environment."""
    make_wheel(tmp_path / "wheels", code)
    (tmp_path / "pip.conf").write_text(
        f"[global]\nno-index = true\n[install]\nfind-links = {tmp_path / 'wheels'}\ntarget = {tmp_path / 'elsewhere'}\n")
    (tmp_path / "needs.txt").write_text("# one package\ntiny==1.0\n")
    install = ("import sys; sys.path.insert(0, sys.argv[1]); import pathlib, setup; setup.shut_out_python(); "
               "setup.install_packages('tiny', sys.argv[2], pathlib.Path(sys.argv[3]))")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", install, REPOSITORY / "setup", tmp_path / "needs.txt", tmp_path / "venv"],
        env={name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        | {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), **variables},
        capture_output=True, text=True,
    )  # fmt: skip
    return tmp_path / "venv", done


def test_settings_that_lead_pip_astray_are_shut_out_and_its_sources_are_not(tmp_path):
    other = str(tmp_path / "other")
    venv, done = install_tiny(tmp_path, PIP_TARGET=other, PIP_USER="1", PIP_PREFIX=other, PIP_NO_DEPS="1", PYTHONPATH=other)
    assert done.returncode == 0, done.stderr
    assert list(venv.glob("lib/*/site-packages/tiny.py")) and list(venv.glob("installed-*"))
    assert not (tmp_path / "other").exists() and not (tmp_path / "elsewhere").exists()


def test_what_cannot_be_imported_is_not_stamped_as_done(tmp_path):
    venv, done = install_tiny(tmp_path, "raise ImportError('half a package')")
    assert done.returncode and "half a package" in done.stderr
    assert list(venv.glob("lib/*/site-packages/tiny.py")) and not list(venv.glob("installed-*"))


def test_another_version_is_not_stamped_as_done():
    for wanted, status in [(f"pytest=={pytest.__version__}", 0), ("pytest==1.0", 1), ("surely_not_there==1.0", 1)]:
        assert subprocess.run([sys.executable, "-c", setup.CHECK_PACKAGES, wanted], capture_output=True).returncode == status


def test_two_set_ups_take_turns(tmp_path):
    with builds.Locked(tmp_path / "ntgram/setup.lock"):
        second = subprocess.Popen([sys.executable, REPOSITORY / "setup/setup.py", "uninstall"], stdout=subprocess.PIPE, text=True,
                                  env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)})  # fmt: skip
        assert "another set-up or build is running" in second.stdout.readline()
        assert second.poll() is None
    assert second.wait(30) == 0 and not (tmp_path / "ntgram").exists()


# ---- what is written and what is changed


@pytest.mark.parametrize("text", ["plain", "my cache", "é 🦀 \"quoted\" 'so' \\ back", "tab\tline\nbell\x07 delete\x7f"])
def test_any_path_can_be_written_as_toml(text):
    assert tomllib.loads(f"path = {builds.toml(text)}") == {"path": text}


def test_a_change_to_evcxr_must_fit_at_one_place():
    change = "--- a/x/y.rs\n+++ b/x/y.rs\n@@ -1,3 +1,3 @@ fn main\n one\n-two\n+2\n three\n@@ -9,1 +9,2 @@\n nine\n+ten\n"
    assert evcxr.patched("one\ntwo\nthree\nnine\n", change) == "one\n2\nthree\nnine\nten\n"
    for text in ("one\nthree\nnine\n", "one\ntwo\nthree\none\ntwo\nthree\nnine\n"):
        with pytest.raises(ValueError, match="does not fit"):
            evcxr.patched(text, change)


def test_without_a_browser_the_command_that_installs_one_is_named(tmp_path):
    path = tools(tmp_path)
    (path / "dnf").write_text("#!/bin/sh\n")
    (path / "dnf").chmod(0o755)
    message = run_setup(tmp_path, "browser", PATH=str(path))
    assert ("sudo dnf install chromium" in message or setup.MACOS) and "CHROMIUM=" in message


def test_a_named_browser_must_be_there(tmp_path):
    message = run_setup(tmp_path, "browser", CHROMIUM=str(tmp_path / "no-browser"))
    assert "no-browser" in message and "unset" in message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("build-version", "2.13.0+cpu\n"),
        ("version.py", "from typing import Optional\n__version__ = '2.13.0+cu130'\n"),
        (
            "include/torch/headeronly/version.h",
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 13\n#define TORCH_VERSION_PATCH 0\n",
        ),
    ],
)
def test_the_version_is_read_from_archives_and_python_packages(tmp_path, name, text):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert setup.libtorch_version(tmp_path) == "2.13.0"


def test_only_what_the_cpu_needs_is_taken_from_the_wheels(tmp_path):
    names = [
        "torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/lib/libgomp.so.1", "torch/lib/libtorch.so",
        "torch/lib/libtorch_cuda.so", "torch/lib/libtorch_cuda_linalg.so", "torch/lib/libc10_cuda.so",
        "torch/lib/libtorch_python.so", "torch/lib/libtorch_nvshmem.so", "torch/lib/libcaffe2_nvrtc.so",
        "torch/lib/libarm_compute.so", "torch.libs/libopenblas-1234.so.0", "nvidia/cu13/lib/libcudart.so.13",
        "nvidia/cu13/lib/libcudart_static.a", "nvidia/cu13/lib/libcupti.so.13", "nvidia/cu13/lib/libnvperf_host.so",
        "torch/lib/libtorch_cpu.dylib", "torch/lib/libtorch.dylib", "torch/lib/libomp.dylib",
        "torch/lib/libtorch_python.dylib", "torch/include/torch/torch.h", "torch/_C.so", "torch/nn/init.py",
    ]  # fmt: skip
    with zipfile.ZipFile(tmp_path / "wheel.whl", "w") as wheel:
        for name in names:
            wheel.writestr(name, "")
    setup.unpack_cpu_libraries(tmp_path / "wheel.whl", tmp_path / "into")
    assert {path.name for path in (tmp_path / "into/lib").iterdir()} == {
        "libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libarm_compute.so", "libopenblas-1234.so.0",
        "libcudart.so.13", "libcupti.so.13", "libtorch_cpu.dylib", "libtorch.dylib", "libomp.dylib",
    }  # fmt: skip
    assert (tmp_path / "into/include/torch/torch.h").exists()


def test_a_written_file_is_whole_and_keeps_its_time_when_nothing_changed(tmp_path):
    path = tmp_path / "folder/file"
    setup.write(path, "one")
    os.utime(path, (1, 1))
    setup.write(path, "one")
    assert path.stat().st_mtime == 1
    setup.write(path, "two")
    assert path.read_text() == "two" and [p.name for p in path.parent.iterdir()] == ["file"]


# ---- one build for cells and tests


def test_the_crates_behind_cells_and_tests_are_compiled_alike():
    profiles = [tomllib.loads((REPOSITORY / path).read_text())["profile"]["dev"] for path in ("Cargo.toml", "setup/kernel.toml")]
    for profile in profiles:
        for own in [name for name in profile["package"] if name.startswith("ntgram-")]:
            del profile["package"][own]
    assert profiles[0] == profiles[1]


def cells_in(tmp_path):
    """The crates behind the cells as they would be in a cache folder that is empty."""
    settings = setup.settings_for(False, own=None) | {"cache": str(tmp_path / "cache"), "tch": str(tmp_path / "tch")}
    return setup.CellBuild(settings)


def test_cargo_takes_tchs_code_as_it_is_built(tmp_path):
    cells = cells_in(tmp_path)
    build = ["cargo", "+stable", "clippy", "--workspace", "--", "-D", "warnings"]
    assert cells.with_libtch(build) == build, "there is none"
    (tmp_path / "tch").mkdir()
    with_options = cells.with_libtch(build)
    assert with_options[:3] == build[:3] and with_options[5:] == build[3:]
    assert str(tmp_path / "tch") in with_options[3] and with_options[4].endswith('["tch"]')
    for other in (["cargo", "fmt", "--all"], ["cargo", "--version"]):
        assert cells.with_libtch(other) == other


def test_settings_before_a_command_are_for_it_alone(tmp_path):
    command = [sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['OURS'])", "A=B"]
    inside = [sys.executable, REPOSITORY / "setup/setup.py", "in", "OMP_NUM_THREADS=7", "OURS=a=b", *command]
    assert subprocess.run(inside, capture_output=True, text=True, check=True).stdout == "7 a=b\n"


@pytest.mark.parametrize(("command", "said"), [([], "setup.py [--cuda] in CMD"), (["A=1"], "setup.py [--cuda] in CMD"),
                                               (["/no/program"], "ntgram: /no/program: No such file or directory\n")])  # fmt: skip
def test_a_command_that_is_missing_is_told(command, said):
    done = subprocess.run([sys.executable, REPOSITORY / "setup/setup.py", "in", *command], capture_output=True, text=True)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr, done.stderr


def calls_of(wrapper):
    """What a wrapper of the compiler calls the compiler with, if it is called with some arguments."""
    return lambda *arguments: subprocess.run([wrapper, "echo", *arguments], capture_output=True, text=True, check=True).stdout.split()


def test_the_program_that_goes_to_other_machines_holds_the_standard_library(tmp_path):
    called_with = calls_of(cells_in(tmp_path).workspace_environment()["RUSTC_WORKSPACE_WRAPPER"])
    program = ["--crate-name", "ntgram_sweep", "--edition=2024", "main.rs", "--crate-type", "bin", "-Cprefer-dynamic"]
    assert called_with(*program) == [*program, "-Cprefer-dynamic=no"]
    for other in (["--crate-name", "ntgram_sweep", "lib.rs", "--crate-type", "lib"], ["--crate-name", "ntgram_sweep", "--test"],
                  ["--crate-name", "talk", "--crate-type", "bin"], ["-vV"]):  # fmt: skip
        assert called_with(*other) == other


def test_what_nobody_waits_for_is_not_optimised(tmp_path):
    called_with = calls_of(cells_in(tmp_path).env["RUSTC_WRAPPER"])
    for crate in ("polars_core", "regex_automata", "tokio"):
        command = ["--crate-name", crate, "--edition=2024", "src/lib.rs"]
        assert called_with(*command) == [*command, "-Cno-prepopulate-passes"]
    for other in (["--crate-name", "ntgram_engine", "src/lib.rs", "--extern", "polars_core=x"], ["-vV"], []):
        assert called_with(*other) == other


def test_an_empty_build_folder_begins_with_copies_of_what_is_built_for_the_cells(tmp_path):
    cells, target = cells_in(tmp_path), tmp_path / "target"
    built = {f"{cells.host}/debug/deps/libpolars-1.rlib": "library", f"{cells.host}/debug/.fingerprint/polars-1/lib-polars": "mark",
             "debug/deps/libmacro-1.so": "macro", f"{cells.host}/debug/deps/libntgram_core.so": "core",
             f"{cells.host}/debug/.fingerprint/ntgram-core-1/lib": "mark"}  # fmt: skip
    for path, text in built.items():
        builds.write(cells.warm / "cell/target" / path, text)
    cells.lend(target)
    assert not target.exists(), "no set-up has finished there"
    builds.write(cells.warm / "made-for.json", "{}")
    builds.write(target / "debug/deps/libmacro-2.so", "an older set-up's")
    builds.write(target / "release/ntgram-sweep", "make paper's")
    cells.lend(target)
    assert (target / "release/ntgram-sweep").exists()
    shutil.rmtree(target / "release")
    expected = {path: text for path, text in built.items() if "ntgram" not in path}
    assert {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()} == expected
    (target / cells.host / "debug/.fingerprint/polars-1/lib-polars").write_text("changed in place")
    assert {path: (cells.warm / "cell/target" / path).read_text() for path in built} == built, "kernels see nothing of it"
    cells.lend(target)
    assert (target / cells.host / "debug/.fingerprint/polars-1/lib-polars").read_text() == "changed in place", "once is enough"


def test_a_build_folder_has_the_whole_lock_when_what_it_needs_changes(tmp_path):
    settings = {"workspace": "[workspace]", "tch": "/tch"}
    clone = tmp_path / "clone"
    builds.write(clone / "Cargo.lock", "all versions")
    builds.write_workspace(tmp_path / "build", settings, "host", clone)
    lock, anchor = tmp_path / "build/Cargo.lock", tmp_path / "build/anchor/Cargo.toml"
    lock.write_text("cargo's cut")
    builds.write_workspace(tmp_path / "build", settings, "host", clone)
    assert lock.read_text() == "cargo's cut"
    before = anchor.read_text()
    anchor.write_text(before.replace("ntgram-web", "ntgram-wed"))  # as an older set-up wrote it
    builds.write_workspace(tmp_path / "build", settings, "host", clone)
    assert lock.read_text() == "all versions" and anchor.read_text() == before
    lock.write_text("cargo's cut")
    builds.write(clone / "Cargo.lock", "other versions")
    builds.write_workspace(tmp_path / "build", settings, "host", clone)
    assert lock.read_text() == "other versions"


def features(folder, *options):
    """Each crate that runs, or that compiles, in builds of `folder` with these options, with its features."""
    listed = subprocess.run(["cargo", "tree", "--offline", "--prefix=none", "--format={p} with {f}", *options],
                            cwd=folder, capture_output=True, text=True, check=True).stdout  # fmt: skip
    return {line.removesuffix(" (*)") for line in listed.splitlines() if "/ntgram-" not in line}


def test_all_builds_need_the_features_that_the_crates_behind_the_cells_have(tmp_path):
    builds.write_workspace(tmp_path, {"workspace": (REPOSITORY / "setup/kernel.toml").read_text(), "tch": "/tch"}, "host", REPOSITORY)
    core = {crate.split(" with ")[0] for crate in features(REPOSITORY, "--locked", "--edges=normal", "-p", "ntgram-core")}
    cells = features(tmp_path / "anchor", "--edges=normal,build")
    tests = features(REPOSITORY, "--locked", "--edges=normal,build,dev", "--workspace")
    missing = {crate for crate in cells - tests if crate.split(" with ")[0] in core}
    assert len(core) > 100 and not missing, "cargo would compile these and all that needs them once more"
