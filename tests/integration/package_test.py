"""What launch/package.sh makes stands on its own: libraries, search paths, scripts, the same bytes each time.

Packs the program without LibTorch, which takes seconds, or checks the folder that $ROUTEWRIGHT_PACKAGE names. Running the
archive in a bare Debian is package.sh's, beside this file.
"""
import functools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BINARY, LIMIT_S, ROOT

GLIBC = re.compile(r"(ld-linux-x86-64|libc|libm|libmvec|libdl|libpthread|librt|libutil|libresolv|libanl)\.so\.\d+")
# A machine has these with the hardware, or does without the plugin that needs them.
DRIVERS = re.compile(r"(libcuda|libibverbs|librdmacm|libefa|libpsm2|libmlx5)\.so\.\d+")
LEFT_OUT = re.compile(r"(libtorch_c|libc10|libcuda|libcupti|libcu[a-z]+|libnccl|libnv)[a-zA-Z_]*\.so(\.\d+)?")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=LIMIT_S, check=False,
                          **options)


def pack(*options, **settings):
    result = run(ROOT / "launch/package.sh", "--no-install", "--without-torch", *options,
                 **{"env": dict(os.environ, ROUTEWRIGHT_BINARY=BINARY), **settings})
    assert result.returncode == 0, result.stderr
    return result


def torch_of_the_venv():
    return next((ROOT / ".venv/lib").glob("python3*/site-packages/torch"))


def is_elf(path):
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


@functools.cache
def dynamic(path):
    """Of an ELF file: the libraries it names, and its search path as (is it RPATH, folders)."""
    text = run("readelf", "-dW", path).stdout
    found = re.search(r"\((RPATH|RUNPATH)\).*\[(.*)\]", text)
    return (re.findall(r"\(NEEDED\).*\[(.*)\]", text),
            (found is None or found[1] == "RPATH", found[2].split(":") if found else []))


@unittest.skipUnless(shutil.which("patchelf") and shutil.which("zstd"), "patchelf and zstd are not installed")
class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="routewright-")))
        cls.folder = pathlib.Path(os.environ.get("ROUTEWRIGHT_PACKAGE") or cls.temporary / "a folder")
        if not cls.folder.exists():
            pack("--folder", cls.folder)
        cls.facts = dict(line.split(": ", 1) for line in (cls.folder / "PACKAGE").read_text().split("\n\n")[0].splitlines())
        cls.is_whole = "outside" not in cls.facts["torch"] + cls.facts["cuda"]
        cls.files = [path for path in cls.folder.rglob("*") if path.is_file()]
        cls.elves = [path for path in cls.files if is_elf(path)]
        cls.environment = {"PATH": "/usr/bin:/bin", "HOME": str(cls.temporary)}
        if not cls.is_whole:
            cls.environment |= {"ROUTEWRIGHT_TORCH": str(torch_of_the_venv()),
                                "ROUTEWRIGHT_CUDA": str(torch_of_the_venv().parent / "nvidia")}

    def place(self, folder, origin):
        """A folder of a search path, from the place of the file that names it."""
        self.assertRegex(folder, r"^(\$ORIGIN|\$\{ORIGIN\})(/|$)", f"a search path of {origin}")
        return pathlib.Path(os.path.normpath(re.sub(r"^\$\{?ORIGIN\}?", str(origin.parent), folder)))

    def find(self, name, path):
        """The archive's file that a name of NEEDED means for the loader, or None."""
        program = self.folder / "libexec/routewright"
        is_inherited, folders = dynamic(path)[1]
        places = [self.place(folder, path) for folder in folders if folder]
        if is_inherited and self.is_the_programs(path):  # the search path of the program that loads it holds too
            places += [self.place(folder, program) for folder in dynamic(program)[1][1]]
        return next((place / name for place in places if (place / name).exists()), None)

    def is_the_programs(self, path):
        """MPI's files are loaded by mpirun's programs too, and must do without the program's search path."""
        return not path.is_relative_to(self.folder / "mpi")

    def loaded_at_start(self):
        """Names of what the program has loaded before anything that it opens later."""
        found, todo = {}, [self.folder / "libexec/routewright"]
        while todo:
            path = todo.pop()
            for name in dynamic(path)[0]:
                library = self.find(name, path)
                if library and name not in found:
                    found[name] = library
                    todo.append(library)
        return found

    def test_every_library_that_is_needed_is_in_the_archive_or_is_glibc(self):
        self.assertGreater(len(self.elves), 90)
        at_start = self.loaded_at_start()
        self.assertIn("libgrpc.so.29", at_start)
        for path in self.elves:
            for name in dynamic(path)[0]:
                with self.subTest(file=str(path.relative_to(self.folder)), needs=name):
                    is_plugin = path.parent.name in ("libfabric", "ucx") or path.name == "libcaffe2_nvrtc.so"
                    is_loaded = self.is_the_programs(path) and name in at_start
                    is_outside = not self.is_whole and self.is_the_programs(path) and LEFT_OUT.fullmatch(name)
                    self.assertTrue(GLIBC.fullmatch(name) or self.find(name, path) or is_loaded or
                                    is_plugin and DRIVERS.fullmatch(name) or is_outside, "it is nowhere")

    def test_search_paths_do_not_leave_the_archive(self):
        for path in self.elves:
            for folder in dynamic(path)[1][1]:
                if folder:
                    place = self.place(folder, path)
                    self.assertTrue(place.is_relative_to(self.folder), f"{path}: {folder}")

    def test_no_script_or_text_names_the_tree_or_the_venv_that_it_was_made_from(self):
        venvs = re.findall(rb"(/[^:\]]+)/lib/python3", run("readelf", "-d", BINARY).stdout.encode())
        names = {str(ROOT).encode(), os.path.realpath(ROOT / ".venv").encode(), *venvs}
        for path in set(self.files) - set(self.elves):
            text = path.read_bytes()
            self.assertFalse([name for name in names if name in text], path)

    def test_the_glibc_that_it_says_is_the_newest_that_anything_asks_for(self):
        said = self.facts["glibc"].split()[0]
        asked = set(re.findall(r"GLIBC_(2\.\d+)", run("objdump", "-p", *self.elves).stdout))
        self.assertEqual(said, max(asked, key=lambda version: int(version[2:])))

    def test_each_library_has_a_licence_and_a_line_that_says_where_it_is_from(self):
        lines = [line.split() for line in (self.folder / "PACKAGE").read_text().split("\n\n")[1].splitlines()[1:]]
        self.assertTrue({str(path.relative_to(self.folder)) for path in (self.folder / "lib").rglob("*.so*")}
                        <= {line[0] for line in lines})
        for _, package, version in lines:
            folder = self.folder / "licenses" / f"{package}-{version.split(':')[-1]}"
            self.assertTrue([path for path in folder.rglob("*") if path.is_file()], folder)

    def test_the_program_and_its_mpirun_run_from_anywhere_by_a_link_too(self):
        link = self.temporary / "link"
        link.symlink_to(self.folder / "bin/routewright")
        result = run(link, "--version", cwd="/", env=self.environment)
        self.assertEqual((result.returncode, result.stdout.split()[-1]), (0, self.facts["routewright"].split()[0]), result.stderr)
        result = run(self.folder / "mpi/bin/mpirun", "-n", 1, "--allow-run-as-root", "true", cwd="/", env=self.environment)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_launchers_take_paths_from_where_the_user_stands_and_write_runs_there(self):
        shutil.copytree(self.folder / "configs", self.temporary / "mine/configs")
        shutil.copytree(self.folder / "data/quickstart", self.temporary / "mine/my_data")
        config = self.temporary / "mine/configs/quickstart.yaml"
        config.write_text(config.read_text().replace("data/quickstart", "my_data"))
        for folder in ("mine", "elsewhere"):  # a config of the user's, and the archive's own
            stands = self.temporary / folder
            stands.mkdir(exist_ok=True)
            result = run(self.folder / "launch/local.sh", "--config", "configs/quickstart.yaml", "--ranks", 1, "--", "--dry-run",
                         cwd=stands, env=self.environment)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertRegex(result.stdout[:300], f'\n  output_dir: "?{stands}/runs"?\n')
            self.assertTrue((stands / "runs/quickstart/logs").is_dir())

    def test_without_cuda_it_says_what_to_set(self):
        if "inside" in self.facts["torch"] and "outside" in self.facts["cuda"]:
            result = run(self.folder / "bin/routewright", "--version", env={"PATH": "/usr/bin:/bin"})
            self.assertEqual((result.returncode, "set ROUTEWRIGHT_CUDA" in result.stderr), (1, True), result.stderr)
        else:
            self.skipTest("NVIDIA's libraries are in it, or LibTorch brings them")

    def test_without_libtorch_it_says_what_to_set(self):
        if "inside" in self.facts["torch"]:
            self.skipTest("LibTorch is in it")
        other = self.temporary / "other/torch"
        (other / "lib").mkdir(parents=True)
        (other / "lib/libtorch_cpu.so").touch()
        (other / "version.py").write_text("__version__ = '1.13.1'\n")
        for folder, message in (("/nowhere", "set ROUTEWRIGHT_TORCH to the folder of torch 2."), (other, "has 1.13.1: set")):
            result = run(self.folder / "bin/routewright", "--version",
                         env={**self.environment, "ROUTEWRIGHT_TORCH": str(folder)})
            self.assertEqual(result.returncode, 1)
            self.assertIn(message, result.stderr)

    def test_the_same_program_gives_the_same_bytes(self):
        if "ROUTEWRIGHT_PACKAGE" in os.environ:
            self.skipTest("looks at a folder that is there")
        archives = []
        for name, settings in (("one", {}), ("two", {"umask": 0o077, "cwd": self.temporary})):
            pack("--level", 1, "--output", self.temporary / name,
                 env=dict(os.environ, ROUTEWRIGHT_BINARY=BINARY, TZ="Asia/Tokyo" if settings else "UTC"), **settings)
            archives += (self.temporary / name).glob("*.tar.zst")
        self.assertEqual([path.name for path in archives], [archives[0].name] * 2)
        self.assertEqual(*(path.read_bytes() for path in archives))
        self.assertRegex(archives[0].name, r"^routewright-.*-linux-x86_64-(cpu|cuda\d+)-without-torch\.tar\.zst$")

    def test_bad_arguments_say_what_is_wrong(self):
        for options, message in ((["--level", 20], "from 1 to 19"), (["--folder", self.folder], "exists already"),
                                 (["--output"], "needs a value"), (["--with-torch"], "unknown option"),
                                 (["--folder", "new", "--output", "."], "give one")):
            result = run(ROOT / "launch/package.sh", *options)
            self.assertEqual((result.returncode, message in result.stderr), (2, True), result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
