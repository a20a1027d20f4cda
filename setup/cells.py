"""The builds of the crates behind the cells: made in the warm folder for kernels, and lent to the workspace's own builds. Python's
standard library only."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import builds
from builds import write
from steps import output_of, run, say, say_that_it_waits

REPOSITORY = Path(__file__).resolve().parent.parent


class CellBuild:
    """Builds what cells need before the first one asks for it, in the warm folder; cargo itself knows what is done already. First
    the crates behind the core, which need no libtorch: `build_crates`; then the core, which is linked: `build_core`. No kernel
    copies the folder in between."""

    def __init__(self, settings):
        self.settings, self.cache = settings, Path(settings["cache"])
        self.env = builds.environment(settings, os.environ)
        # The toolchain that is meant in the repository; rustup would choose by the folder that cargo runs in.
        self.env["PATH"] = os.pathsep.join([f"{sysroot(self.env)}/bin", self.env["PATH"]])
        self.warm = builds.warm_folder(settings, self.env, REPOSITORY)
        self.env |= {"RUSTFLAGS": builds.RUSTFLAGS, "RUSTC_WRAPPER": str(REPOSITORY / "setup/bin/wrapper"),
                     "CARGO_TARGET_DIR": "target", "CARGO_BUILD_BUILD_DIR": "target"}  # fmt: skip
        self.host = builds.host(self.env)
        self.lock = None

    def build_crates(self):
        warm = self.warm
        say("crates behind the cells", warm)
        remove_old_builds(warm)
        self.lock = builds.Locked(warm.with_suffix(".lock"))
        self.lock.__enter__()
        if not warm.exists() and builds.relatives(warm):
            part = warm.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            builds.copy_build(builds.relatives(warm)[0], part)
            part.rename(warm)
        builds.write_workspace(warm, self.settings, self.host, REPOSITORY)
        # For all platforms: evcxr asks cargo about the whole graph, which must then be on disk.
        run("cargo", "fetch", "--quiet", env=self.env, cwd=warm / "cell")
        crates = needed_by("ntgram-core", metadata(self.env, warm / "anchor", "--filter-platform", self.host))
        run("cargo", "build", *(f"--package={crate}" for crate in crates), "--target", self.host, "--manifest-path",
            "../anchor/Cargo.toml", env=self.env, cwd=warm / "cell")  # fmt: skip

    def build_core(self):
        run(*builds.build_core("cargo", self.host), env=self.env, cwd=self.warm / "cell")
        about = {"sysroot": sysroot(self.env), "rustc": builds.rustc_says(self.env, "-vV"), "clone": str(REPOSITORY)}
        write(self.warm / "made-for.json", json.dumps(about))  # the seal: other clones may copy it
        os.utime(self.warm / "made-for.json")
        self.lock.__exit__()

    def workspace_environment(self):
        """The environment for builds of the workspace and for what they make: flags and target of the crates behind the cells, but for
        what goes to other machines."""
        env = builds.environment(self.settings, os.environ)
        standard_library = builds.rustc_says(env, "--print", "target-libdir")
        env[builds.LIBRARY_PATH] = os.pathsep.join([env[builds.LIBRARY_PATH], self.settings["tch"], standard_library])
        return env | {"CARGO_TARGET_DIR": str(self.cache / "target"), "CARGO_BUILD_TARGET": self.host, "RUSTFLAGS": builds.RUSTFLAGS,
                      "RUSTC_WORKSPACE_WRAPPER": str(REPOSITORY / "setup/rustc")}  # fmt: skip

    def with_libtch(self, command):
        """A command of cargo's that takes tch's C++ code as it is built already, as the cells do."""
        place = next((place for place, word in enumerate(command) if place and word[0] not in "+-"), None)
        if place is None or command[place] not in BUILDING or not Path(self.settings["tch"]).exists():
            return command
        options = [f"--config={line}" for line in builds.libtch(self.settings, self.host)]
        return [*command[: place + 1], *options, *command[place + 1 :]]

    def lend(self, target):
        """Puts copies of the crates behind the cells into a build folder that has none for this platform. Nothing that is built
        there is seen by kernels."""
        if (target / self.host).exists() or not (self.warm / "made-for.json").exists():
            return
        part = target.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        with builds.Locked(self.warm.with_suffix(".lock"), shared=True, told=say_that_it_waits):
            builds.copy_build(self.warm / "cell/target", part)
        for own in [*part.rglob("*ntgram[-_]*")]:  # the core as cells load it
            shutil.rmtree(own) if own.is_dir() else own.unlink(missing_ok=True)
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(part.iterdir(), key=lambda path: path.name == self.host):  # the one that is asked for above comes last
            if path.is_dir():  # what older set-ups have built there, for no platform by name, is of no use to what comes
                shutil.rmtree(target / path.name, ignore_errors=True)
            path.replace(target / path.name)
        part.rmdir()


# Subcommands of cargo that build, or that ask what would be built.
BUILDING = {"b", "bench", "build", "c", "check", "clippy", "d", "doc", "fix", "r", "run", "rustc", "rustdoc", "t", "test"}


def needed_by(name, listed):
    """The crates that a package needs itself to run, as cargo names them, by cargo's metadata."""
    ids = {package["name"]: package["id"] for package in listed["packages"]}
    (node,) = (node for node in listed["resolve"]["nodes"] if node["id"] == ids[name])
    return [needed["pkg"] for needed in node["deps"] if any(kind["kind"] is None for kind in needed["dep_kinds"])]


def metadata(env, folder, *options):
    """What cargo says about the workspace that `folder` is in."""
    with tempfile.TemporaryFile() as answer:
        run("cargo", "metadata", "--format-version=1", *options, env=env, cwd=folder, answer=answer)
        answer.seek(0)
        return json.load(answer)


def sysroot(env):
    """The folder of the compiler's toolchain."""
    return builds.rustc_says(env, "--print", "sysroot")


def remove_old_builds(current):
    """Removes warm folders of clones that are gone and of compilers that are gone or were replaced; and of this clone all but the
    two that were used last, `current` aside."""
    same_clone = []
    for about in current.parent.glob("*/made-for.json"):
        made_for = json.loads(about.read_text())
        compiler = output_of(Path(made_for.get("sysroot", "/none"), "bin/rustc"), "-vV").strip()
        if about.parent == current:
            continue
        if compiler != made_for["rustc"] or not Path(made_for["clone"], "ntgram-core").exists():
            remove_build(about.parent)
        elif made_for["clone"] == str(REPOSITORY):
            same_clone.append(about)
    for about in sorted(same_clone, key=lambda about: about.stat().st_mtime)[:-2]:
        remove_build(about.parent)


def remove_build(warm):
    """Removes a warm folder, unless a kernel copies it just now."""
    try:
        with builds.Locked(warm.with_suffix(".lock"), limit=0):
            shutil.rmtree(warm, ignore_errors=True)
            warm.with_suffix(".lock").unlink(missing_ok=True)
    except TimeoutError:
        pass
