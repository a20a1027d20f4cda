"""Installs what the notebooks need, step by step, under the user's cache folder; `make` calls it.

    setup.py [--cuda]           install what is missing
    setup.py [--cuda] in CMD    run CMD (cargo, mostly; NAME=VALUE before it, as for env) with libtorch and the shared build folder set
    setup.py peers              install what the benchmark compares with
    setup.py cluster            install what runs sweeps on a cluster of one machine
    setup.py browser            install what drives the notebooks in a browser
    setup.py site FOLDER        build the site: the live page, the notebooks as pages, the crates' documentation
    setup.py uninstall          remove the kernel spec and everything installed

Each step says what it does, does nothing when it is done already, and goes on where it was interrupted: downloads
and builds are made beside their place and moved there when whole. Steps that do not need each other work side by side (steps.py).
One set-up works at a time; another waits for it. Python's standard library only.
"""

import ast
import itertools
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import builds
import evcxr
import page
from builds import write
from cells import REPOSITORY, CellBuild, metadata
from steps import Step, Steps, output_of, run, run_to_end, say, say_that_it_waits, show_output

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ntgram")
PYTHON = CACHE / "python/bin/python"
EVCXR = "0.22.0"
TORCH = "2.13.0"  # the libtorch that tch 0.26 is written for
TCH = "0.26.0"
# What libtorch_cpu.so of that wheel links on Linux, although it computes on the CPU.
CUDA_STUBS = ["nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"]
MACOS = builds.MACOS
# pip's settings that say where packages come from and how to get them. All others of the caller's are shut out: some would
# have it install elsewhere (`target`, `user`, `prefix`), or other packages.
DOWNLOADS = {"index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "cert", "client-cert", "proxy", "timeout",
             "default-timeout", "retries", "cache-dir", "no-cache-dir", "keyring-provider", "use-feature"}  # fmt: skip


def main(arguments):
    shut_out_python()
    cuda = "--cuda" in arguments
    arguments = [a for a in arguments if a != "--cuda"]
    if arguments[:1] == ["in"]:
        become(arguments[1:], settings_for(cuda))
    if arguments == ["browser"]:
        install_browser()
    elif not arguments:
        check_prerequisites()
        settings = settings_for(cuda)
    elif arguments not in (["peers"], ["cluster"], ["uninstall"]) and not (arguments[:1] == ["site"] and len(arguments) == 2):
        sys.exit(__doc__)
    if any(character in str(CACHE) for character in ":\n"):  # it is part of library paths
        sys.exit(f"ntgram: no colon may be in the cache folder's path, {CACHE}: set XDG_CACHE_HOME to another folder")
    with builds.Locked(CACHE / "setup.lock", told=say_that_it_waits):
        if arguments == ["uninstall"]:
            uninstall()
        elif arguments == ["peers"]:
            install_packages("PyTorch and JAX, to measure against", "bench/requirements.txt", CACHE / "peers", " (5 GB)")
        elif arguments == ["cluster"]:
            if platform.system() == "Linux" and platform.machine() == "x86_64":  # there are no packages for others
                install_packages("HyperQueue, to test sweeps on a cluster", "tests/requirements.txt")
        elif arguments == ["browser"]:
            install_packages("Playwright, to drive a browser", "tests/ui/requirements.txt")
        elif arguments[:1] == ["site"]:
            build_site(Path(arguments[1]).resolve())
        else:
            install(settings, cuda)


def install(settings, cuda):
    """Steps that others wait for come first."""
    cells = CellBuild(settings)
    steps = [
        Step("Python", lambda: make_environment(CACHE / "python"), share=8),
        Step("evcxr", lambda: install_evcxr(settings), share=285, compiles=True),
        Step("crates", cells.build_crates, share=335, compiles=True),
        Step("libtorch", lambda: install_libtorch(settings, cuda), ["Python"], share=60),
        Step("JupyterLab", lambda: install_packages(PACKAGES, "setup/requirements.txt"), ["Python"], share=40),
        Step("Rust's sources", install_library_sources, share=5),
        Step("tch", lambda: install_tch(settings), ["libtorch"], share=50, compiles=True),
        Step("core", cells.build_core, ["crates", "tch"], share=20, compiles=True),
        Step("live page", lambda: build_page(may_install=False), ["crates", "Rust's sources"], share=60, compiles=True),
    ]
    names = [step.name for step in steps]
    Steps([*steps, Step("kernel spec", lambda: install_kernel_spec(settings), names)]).run()


def become(command, settings):
    """Replaces this program by CMD, with the environment that the repository's crates are built and run in: that of the crates
    behind the cells, so that what is built for the cells need not be built again."""
    cells = CellBuild(settings)
    own = list(itertools.takewhile(lambda word: "=" in word, command))
    env = cells.workspace_environment() | dict(setting.split("=", 1) for setting in own)
    command = command[len(own):]
    if not command:
        sys.exit(__doc__)
    if command[:1] == ["cargo"]:  # clones take turns: cargo gives up its own lock before it runs what it has built
        lock = builds.Locked(CACHE / "target.lock", told=say_that_it_waits).__enter__()
        os.set_inheritable(lock.fileno(), True)
        cells.lend(CACHE / "target")
        command = cells.with_libtch(command)
    try:
        os.execvpe(command[0], command, env)
    except OSError as error:
        sys.exit(f"ntgram: {command[0]}: {error.strerror}")


def shut_out_python():
    """Removes the caller's settings for Python: they are for Pythons of theirs."""
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]


# ---- what is there before us

def check_prerequisites():
    """Names every missing tool, each with the command that installs it."""
    wanted = re.search(r'rust-version = "([\d.]+)"', (REPOSITORY / "Cargo.toml").read_text())[1]
    missing = []
    version = re.search(r"rustc ([\d.]+)", output_of("rustc", "--version"))
    if not version or not output_of("cargo", "--version"):
        missing.append(f"the Rust toolchain (rustc and cargo {wanted} or newer): install rustup, see https://rustup.rs")
    elif numbers(version[1]) < numbers(wanted):
        missing.append(f"Rust {wanted} or newer (this is {version[1]}): rustup update stable")
    if sys.version_info < (3, 10):
        missing.append(f"Python 3.10 or newer (this is {platform.python_version()}): {package('python3')}, "
                       "or name another one: make PYTHON=/path/to/python3")  # fmt: skip
    elif subprocess.run([sys.executable, "-c", "import venv, ensurepip"], capture_output=True).returncode:
        missing.append(f"Python's venv module: {package('python3-venv')}")
    compilers = {"C": os.environ.get("CC", "cc"), "C++": os.environ.get("CXX", "c++")}
    for language, command in compilers.items():
        if not shutil.which(command.split()[0]):
            missing.append(f"a {language} compiler (`{command}`): {package('c++')}")
    if MACOS and platform.machine() != "arm64":
        missing.append(f"libtorch {TORCH} for this processor (its wheels for macOS are for arm64 only): "
                       "build it and set LIBTORCH to its folder")  # fmt: skip
    if missing:
        sys.exit("ntgram: missing here:\n" + "\n".join(f"  - {line}" for line in missing))


def package(name):
    """The command that installs `name` (Debian's names, or `c++`) on this system."""
    if MACOS:
        names = {"c++": "xcode-select --install", "chromium": "brew install --cask google-chrome"}
        return names.get(name, "brew install python")
    managers = {
        "apt-get": ("sudo apt-get install", {"c++": "g++"}),
        "dnf": ("sudo dnf install", {"c++": "gcc-c++", "python3-venv": "python3"}),
        "pacman": ("sudo pacman -S", {"c++": "gcc", "python3": "python", "python3-venv": "python"}),
        "zypper": ("sudo zypper install", {"c++": "gcc-c++", "python3-venv": "python3"}),
    }
    for manager, (command, names) in managers.items():
        if shutil.which(manager):
            return f"{command} {names.get(name, name)}"
    return f"install {name} with the system's package manager"


# ---- the steps

PACKAGES = "JupyterLab, nbclient and pytest"


def make_environment(folder):
    """Makes the virtual environment `folder`, unless its pip works."""
    if not output_of(folder / "bin/python", "-m", "pip", "--version"):
        run(sys.executable, "-m", "venv", "--clear", folder)


def install_packages(title, requirements, folder=CACHE / "python", size=""):
    """Installs the packages that `requirements` names in the virtual environment `folder`."""
    wanted, python = (REPOSITORY / requirements).read_text(), folder / "bin/python"
    stamp = folder / f"installed-{requirements.replace('/', '-')}"
    if stamp.exists() and stamp.read_text() == wanted and output_of(python, "--version"):
        return say(title, "already there")
    say(title, f"{folder}{size}")
    make_environment(folder)
    run(python, "-m", "pip", "install", "--quiet", "--no-compile", "-r", REPOSITORY / requirements, env=pip_environment())
    run(python, "-c", CHECK_PACKAGES, *re.findall(r"^[\w-]+==\S+", wanted, re.MULTILINE))
    write(stamp, wanted)


# That packages are what they should be, where they should be, and can be imported.
CHECK_PACKAGES = """
import importlib, importlib.metadata, sys
for name, version in [wanted.split("==") for wanted in sys.argv[1:]]:
    module = {"pytest-xdist": "xdist"}.get(name, name.replace("-", "_"))
    found, file = importlib.metadata.version(name), importlib.import_module(module).__file__
    if found != version or not file.startswith(sys.prefix):
        sys.exit(f"ntgram: {name} {version} is wanted in {sys.prefix}, but {file} is version {found}")
"""


def pip_environment():
    """The environment for pip: of the caller's settings for it, in variables and in files, those that say how to download."""

    def key(name):
        return name.removeprefix("PIP_").lower().replace("_", "-")

    env = {name: value for name, value in os.environ.items()
           if not name.startswith("PIP_") or key(name) in DOWNLOADS or name == "PIP_CONFIG_FILE"}  # fmt: skip
    files = {}
    for line in output_of(PYTHON, "-m", "pip", "config", "list", env=env).splitlines():
        section, _, setting = line.partition(".")
        name, _, value = setting.partition("=")
        if section in ("global", "install", "download") and name in DOWNLOADS:
            files["PIP_" + name.replace("-", "_").upper()] = str(ast.literal_eval(value))
    return files | env | {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def find_browser():
    """A Chromium or Chrome of this machine, or None: the one that `CHROMIUM` names, else the first of these."""
    names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    for name in ("Chromium", "Google Chrome") if MACOS else ():
        names.append(f"/Applications/{name}.app/Contents/MacOS/{name}")
    if "CHROMIUM" in os.environ:
        names = [os.environ["CHROMIUM"]]
    return next(filter(None, map(shutil.which, names)), None)


def install_browser():
    """Debian's package where that can be installed without a question; elsewhere the browser must be there."""
    title = "Chromium"
    if browser := find_browser():
        return say(title, f"already there, {browser}")
    if "CHROMIUM" in os.environ:
        sys.exit(f"ntgram: CHROMIUM={os.environ['CHROMIUM']} is no program. Set it to a Chromium or Chrome, or unset it.")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and (not as_root or shutil.which("sudo")):
        say(title, "apt-get install chromium (a download of about 100 MB)")
        apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2", "--option=DPkg::Lock::Timeout=300"]
        for step in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run([*apt, *step], stdout=subprocess.DEVNULL)
    if not find_browser():
        sys.exit(f"ntgram: no Chromium or Chrome here: {package('chromium')}, or name one: make test-ui CHROMIUM=/path/to/it")


# What of evcxr is compiled without optimisation. The first are parts of rust-analyzer that tell a cell's types, in a moment either way, or
# that complete and explain; reading and resolving all sources is elsewhere. The others read settings and answer Jupyter.
UNOPTIMISED = """ra_ap_hir ra_ap_hir_ty ra_ap_ide ra_ap_ide_assists ra_ap_ide_completion ra_ap_ide_db ra_ap_ide_diagnostics ra_ap_ide_ssr
    ra_ap_project_model backtrace cargo_metadata chrono evcxr evcxr_jupyter icu_locale_core notify object pulldown-cmark regex-automata
    regex-syntax time tokio zeromq""".split()


def install_evcxr(settings):
    program = Path(settings["evcxr"])
    root = program.parent.parent
    title = f"evcxr {EVCXR}, the Rust kernel"
    if program.exists():
        return say(title, "already there")
    say(title, f"{root} (several minutes)")
    build = root.with_name(root.name + "-build")  # kept while unfinished: an interrupted build goes on from there
    compiler = build / "rustc"
    write(compiler, f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(str(REPOSITORY / "setup/evcxr.py"))} "$@"\n')
    compiler.chmod(0o755)
    env = builds.environment(settings, os.environ) | {"CARGO_TARGET_DIR": str(build), "RUSTC_WRAPPER": str(compiler)}
    part = root.with_name(root.name + ".part")
    quickly = ["--config=profile.release.codegen-units=1", *(f"--config=profile.release.package.{crate}.opt-level=0" for crate in UNOPTIMISED)]
    run("cargo", "install", "--locked", "--root", part, *quickly, f"evcxr_jupyter@{EVCXR}", env=env)
    if b"x-evcxr-failure" not in (part / "bin" / program.name).read_bytes():
        sys.exit("ntgram: evcxr was compiled without setup/evcxr.patch: does a setting of cargo's replace RUSTC_WRAPPER?")
    part.rename(root)
    shutil.rmtree(build, ignore_errors=True)


def settings_for(cuda, own=os.environ.get("LIBTORCH")):
    """What the launcher must know. `own`: the folder of the caller's libtorch."""
    if cuda and MACOS:
        sys.exit("ntgram: CUDA=1 is for Linux: there are no GPU packages for macOS")
    if own:
        libtorch = Path(own).resolve()
        check_own_libtorch(libtorch)
    elif cuda:
        libtorch = CACHE / f"libtorch-{TORCH}-cuda/packages/torch"
    else:
        libtorch = CACHE / f"libtorch-{TORCH}-cpu"
    return {
        "cache": str(CACHE),
        "evcxr": str(CACHE / f"evcxr-{EVCXR}-{builds.digest(evcxr.PATCH.read_text('utf-8'))}/bin/evcxr_jupyter"),
        "libtorch": str(libtorch),
        "tch": str(CACHE / f"tch-{TCH}-{builds.digest(str(libtorch))}"),
        "workspace": (REPOSITORY / "setup/kernel.toml").read_text(),
        "cargo_bin": str(Path(shutil.which("cargo") or "cargo").parent),
        "tools": {"CARGO_HOME": str(Path.home() / ".cargo")}
        | {name: os.environ[name] for name in builds.TOOLS if name in os.environ},
    }


def libtorch_version(folder):
    """The version of the libtorch in `folder` (an unpacked archive or a Python package), or None."""
    for name in ("build-version", "version.py"):
        if (folder / name).is_file() and (found := re.search(r"\d+\.\d+\.\d+", (folder / name).read_text())):
            return found[0]
    for name in ("include/torch/headeronly/version.h", "include/torch/csrc/api/include/torch/version.h"):
        if (folder / name).is_file():
            parts = re.findall(r"define TORCH_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", (folder / name).read_text())
            if len(parts) == 3:
                return ".".join(parts)
    return None


def check_own_libtorch(folder):
    """Refuses a LIBTORCH that the tch crate is not written for."""
    version = libtorch_version(folder)
    if version != TORCH:
        found = f"holds version {version}" if version else "holds no libtorch whose version can be read"
        sys.exit(f"ntgram: LIBTORCH={folder} {found}, and version {TORCH} is needed. "
                 f"Set LIBTORCH to a libtorch {TORCH}, or unset it to have that version installed.")  # fmt: skip


def install_libtorch(settings, cuda):
    libtorch = Path(settings["libtorch"])
    title = f"libtorch {TORCH}" + (" with the GPU packages" if cuda else "")
    if os.environ.get("LIBTORCH"):
        return say(title, f"your own, {libtorch}")
    if (libtorch / "build-version").exists():
        return say(title, "already there")
    if cuda:
        folder = libtorch.parent.parent
        say(title, f"{folder} (a download of some 3 GB)")
        part = folder.with_name(folder.name + ".part")
        run(PYTHON, "-m", "pip", "install", "--only-binary=:all:", "--upgrade", "--target", part / "packages", f"torch=={TORCH}",
            env=pip_environment())  # fmt: skip
        write(part / "packages/torch/build-version", f"{TORCH}\n")
    else:
        folder = libtorch
        say(title, f"{folder} (a download of about 0.5 GB)")
        part = folder.with_name(folder.name + ".part")
        downloads = part.with_name(folder.name + ".wheels")
        wheels = [f"torch=={TORCH}"] + ([] if MACOS else CUDA_STUBS)
        run(PYTHON, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", downloads, *wheels,
            env=pip_environment())  # fmt: skip
        shutil.rmtree(part, ignore_errors=True)
        for wheel in downloads.glob("*.whl"):
            unpack_cpu_libraries(wheel, part)
        if not MACOS:
            # The wheel's libtorch.so only pulls in the GPU libraries; tch links it by name, so an empty one will do.
            run(*os.environ.get("CC", "cc").split(), "-shared", "-x", "c", os.devnull, "-o", part / "lib/libtorch.so")
        write(part / "build-version", f"{TORCH}\n")
        shutil.rmtree(downloads)
    library = "libtorch_cpu.dylib" if MACOS else "libtorch_cpu.so"
    tried = part / "packages/torch" if cuda else part
    env = builds.environment(settings | {"libtorch": str(tried)}, os.environ)
    run(PYTHON, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", tried / "lib" / library, env=env)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def unpack_cpu_libraries(wheel, folder):
    """Takes the headers and the libraries for the CPU out of a wheel of torch or of a CUDA package."""
    library = re.compile(r"(torch/lib|torch\.libs|nvidia/[^/]+/lib)/([^/]*\.(?:so|dylib)[.\d]*)$")
    left_out = re.compile(r"cuda\.|cuda_|nvshmem|nvrtc|python|shm|global_deps|nvperf|checkpoint|pcsampling"
                          r"|^libtorch\.so")  # fmt: skip
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            found = library.match(name)
            if found and not left_out.search(found[2]):
                target = folder / "lib" / found[2]
            elif name.startswith("torch/include/") and not name.endswith("/"):
                target = folder / name.removeprefix("torch/")
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(target, "wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)


def install_library_sources():
    """evcxr reads the standard library's sources to tell the types of a cell's variables."""
    title = "sources of Rust's standard library"
    if Path(output_of("rustc", "--print", "sysroot").strip(), "lib/rustlib/src/rust/library").exists():
        return say(title, "already there")
    if not shutil.which("rustup"):
        return say(title, "not found, and no rustup to add them: install your system's package (Debian: rust-src)")
    say(title, "rustup component add rust-src")
    if run_to_end(["rustup", "component", "add", "rust-src"]):
        show_output()
        say(title, "could not be added: cells will need a type at each `let` until `rustup component add rust-src` works")


def install_tch(settings):
    """Compiles tch's C++ code as a shared library. torch-sys' own build makes an archive of it, which would be linked into
    the core and leave nothing for the cells, whose code calls it too."""
    library = Path(settings["tch"], "libtch.dylib" if MACOS else "libtch.so")
    title = f"tch {TCH}'s C++ code"
    if library.exists():
        return say(title, "already there")
    say(title, f"{library} (2 minutes)")
    env = builds.environment(settings, os.environ)
    packages = metadata(env, REPOSITORY, "--locked")["packages"]
    (manifest,) = (p["manifest_path"] for p in packages if (p["name"], p["version"]) == ("torch-sys", TCH))
    torch = Path(settings["libtorch"])
    part = library.parent.with_name(library.parent.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    # It passes calls on to libtorch: there is nothing to optimise.
    compiler = [*os.environ.get("CXX", "c++").split(), "-O1", "-fPIC", "-w", "-std=c++17", "-D_GLIBCXX_USE_CXX11_ABI=1",
                *os.environ.get("CXXFLAGS", "").split()]  # fmt: skip
    include = [f"-I{torch}/include", f"-I{torch}/include/torch/csrc/api/include"]
    sources = [Path(manifest).parent / "libtch" / name for name in ("torch_api.cpp", "torch_api_generated.cpp")]
    objects = [part / f"{source.stem}.o" for source in sources]
    for source, into in zip(sources, objects):
        run(*compiler, *include, "-c", source, "-o", into, env=env)
    gpu = [] if MACOS or not (torch / "lib/libtorch_cuda.so").exists() else ["-Wl,--no-as-needed", "-ltorch_cuda"]
    run(*compiler, "-shared", "-o", part / library.name, *objects, f"-L{torch}/lib", *gpu, "-ltorch_cpu", "-lc10", env=env)
    for leftover in objects:
        leftover.unlink()
    shutil.rmtree(library.parent, ignore_errors=True)
    part.rename(library.parent)


def build_page(may_install):
    """Builds the live page, which `explore()` and the site show. `may_install`: Debian's Rust for it, too. Where it cannot be built all
    else works: `explore()` says what is missing."""
    file = builds.page_file({"cache": CACHE}, REPOSITORY)
    say("the live page", f"{file} (the first time takes a minute)")
    reason = page.build(REPOSITORY, CACHE / "page/target", file, may_install)
    if reason:
        show_output()
        file.unlink(missing_ok=True)
        say("the live page", f"left out: {reason}")
    return None if reason else file


def build_site(folder):
    """The live page first, then what it leads to. Needs no libtorch and no kernel: the notebooks are shown as they are committed."""
    install_packages(PACKAGES, "setup/requirements.txt")
    file = build_page(may_install=True)
    if not file:
        sys.exit("ntgram: no site without its first page; the reason stands above")
    say("documentation of the crates", "cargo doc (the first time takes some minutes)")
    cells = CellBuild(settings_for(cuda=False, own=None))
    with builds.Locked(CACHE / "target.lock", told=say_that_it_waits):
        cells.lend(CACHE / "target")
        run("cargo", "doc", "--quiet", "--locked", "--no-deps", "-p", "ntgram-engine", "-p", "ntgram-sweep", "-p", "ntgram-core", "-p", "ntgram-web",
            "--features", "ntgram-core/doc-only", env=cells.workspace_environment(), cwd=REPOSITORY)  # fmt: skip
        doc = CACHE / "page/doc"
        shutil.rmtree(doc, ignore_errors=True)
        shutil.copytree(CACHE / "target" / cells.host / "doc", doc)
    run(PYTHON, "-Es", "-X", "utf8", REPOSITORY / "setup/site_pages.py", file, doc, folder)


def kernel_spec_folder():
    code = "from jupyter_core.paths import jupyter_data_dir; print(jupyter_data_dir())"
    return Path(output_of(PYTHON, "-c", code).strip() or sys.exit("ntgram: jupyter_core does not run"), "kernels/ntgram")


def install_kernel_spec(settings):
    """Registers the kernel for this user, so that any JupyterLab of theirs offers it; no other spec is touched."""
    folder = kernel_spec_folder()
    say('kernel spec "Rust (ntgram)"', folder)
    spec = {
        "argv": [str(PYTHON), "-I", "-X", "utf8", "{resource_dir}/kernel.py", "{connection_file}"],
        "display_name": "Rust (ntgram)",
        "language": "rust",
        "interrupt_mode": "signal",
    }
    write(folder / "settings.json", json.dumps(settings, indent=1))
    for part in ("builds.py", "kernel.py"):
        write(folder / part, (REPOSITORY / "setup" / part).read_text())
    for program in filter(Path.is_file, (REPOSITORY / "setup/bin").iterdir()):
        write(folder / "bin" / program.name, program.read_text())
        (folder / "bin" / program.name).chmod(0o755)
    write(folder / "kernel.json", json.dumps(spec, indent=1))  # the last: what it starts is there


def uninstall():
    if PYTHON.exists():
        folder = kernel_spec_folder()
        if folder.exists():
            shutil.rmtree(folder)
            print(f"ntgram: removed {folder}")
    ours = ["python", "peers", "evcxr-*", "libtorch-*", "tch-*", "warm", "kernels", "target", "target.part", "page"]
    for path in [path for pattern in ours for path in CACHE.glob(pattern)]:
        shutil.rmtree(path, ignore_errors=True)
        print(f"ntgram: removed {path}")
    for lock in ("setup.lock", "target.lock"):
        (CACHE / lock).unlink(missing_ok=True)
    if CACHE.exists() and not any(CACHE.iterdir()):
        CACHE.rmdir()


# ---- small tools

def numbers(version):
    return [int(part) for part in version.split(".")]


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("ntgram: interrupted; the same `make` goes on from here")
