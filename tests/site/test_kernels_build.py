"""The compiled kernels' libraries: the same bytes in any folder, nothing asked of a libc, right in every home."""

from __future__ import annotations

import ctypes
import gzip
import json
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import step_kernels
import step_serve
import step_setup
import step_vendor
import step_wheel
import wasm_file
from buildkit import BuildError, environment, sha256_file
from playwright.sync_api import sync_playwright
from step_kernels import Target

ZIG = step_setup.compiler()
pytestmark = pytest.mark.skipif(ZIG is None, reason=step_setup.WITHOUT_COMPILER)

EVERY = step_kernels.targets(everything=True)
LINUX = [target for target in EVERY if target.kind == "linux"]
OWN = step_kernels.host_targets(*step_kernels.this_machine())
MADD = b"\xfd\x85\x02"  # f32x4.relaxed_madd


def build(sources: Path, into: Path, wanted: list[Target]) -> dict[str, Path]:
    """Libraries by file name."""
    assert ZIG is not None
    made = step_kernels.build(ZIG, wanted, sources, into / "objects", into / "lib")
    return {path.name: path for path in made}


def probe_sources(folder: Path, root: Path) -> Path:
    """The probe with what every library needs."""
    folder.mkdir(parents=True)
    for name in ("handlens.h", "memory.c", "windows.c", "cpu.c"):
        shutil.copyfile(root / "core/kernels" / name, folder / name)
    shutil.copyfile(root / "tests/site/probe.c", folder / "probe.c")
    return folder


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory, root: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("probe")
    return build(probe_sources(folder / "sources", root), folder, EVERY)


@pytest.fixture(scope="module")
def kernels() -> dict[str, Path]:
    """The libraries of the present sources in the package."""
    made = {path.name: path for path in step_kernels.ensure()}
    assert made.keys() >= {target.file for target in step_kernels.targets()}
    return made


# ---- the build


def test_every_target_gives_the_same_bytes_in_another_folder(
    probe: dict[str, Path], tmp_path: Path, root: Path
) -> None:
    again = build(probe_sources(tmp_path / "a folder/elsewhere", root), tmp_path / "other", EVERY)
    assert probe.keys() == again.keys() == {target.file for target in EVERY}
    assert {n: sha256_file(path) for n, path in probe.items()} == {n: sha256_file(path) for n, path in again.items()}


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param([t for t in step_kernels.wasm_targets() if t.file == "handlens-side-relaxed.wasm"], id="one"),
        pytest.param(step_kernels.targets(), id="all", marks=pytest.mark.slow),
    ],
)
def test_kernels_are_the_same_bytes_in_another_folder(
    wanted: list[Target], kernels: dict[str, Path], tmp_path: Path, root: Path
) -> None:
    shutil.copytree(root / "core/kernels", tmp_path / "kernels")
    again = build(tmp_path / "kernels", tmp_path, wanted)
    assert again
    assert {n: sha256_file(path) for n, path in again.items()} == {n: sha256_file(kernels[n]) for n in again}


def test_no_library_names_a_folder(probe: dict[str, Path], kernels: dict[str, Path], root: Path) -> None:
    for path in (*probe.values(), *kernels.values()):
        data = path.read_bytes()
        for word in (str(root).encode(), str(path.parent.parent).encode(), b"/sources", b"clang version"):
            assert word not in data, (path.name, word)


def test_a_change_compiles_what_it_touches_and_nothing_else(tmp_path: Path, root: Path) -> None:
    sources = probe_sources(tmp_path / "sources", root)
    target = [step_kernels.wasm_targets()[0]]

    def objects() -> dict[str, tuple[str, int]]:
        found = (tmp_path / "objects").glob("*.o")
        return {path.name.rpartition("-")[0]: (path.name, path.stat().st_mtime_ns) for path in found}

    build(sources, tmp_path, target)
    before = objects()
    assert before.keys() == {"cpu", "memory", "probe", "windows"}
    (sources / "probe.c").write_text((sources / "probe.c").read_text() + "HL_EXPORT int hl_more(void) { return 1; }\n")
    (library,) = build(sources, tmp_path, target).values()
    assert ("function", "hl_more") in wasm_file.exports(library.read_bytes())
    after = objects()
    assert {name for name in after if after[name] != before[name]} == {"probe"}
    # windows.c includes no header of ours; the others do.
    (sources / "handlens.h").write_text((sources / "handlens.h").read_text() + "\n")
    build(sources, tmp_path, target)
    assert {name for name, made in objects().items() if made != after[name]} == {"cpu", "memory", "probe"}


@pytest.mark.parametrize("target", [t for t in EVERY if t.file.endswith(("v3.so", "v3.dll", ".wasm"))], ids=str)
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("int hl_broken(void) { return 1 }\n", "broken.c does not compile"),
        ("int unused(void) { int a; return 1; }\n", "broken.c does not compile"),
        ('#include "handlens.h"\nfloat sinf(float);\nHL_EXPORT float hl_s(float x) { return sinf(x); }\n', ""),
    ],
    ids=["syntax", "warning", "libc"],
)
def test_a_mistake_is_refused(
    text: str, complaint: str, target: Target, tmp_path: Path, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sources = probe_sources(tmp_path / "sources", root)
    (sources / "broken.c").write_text(text)
    with pytest.raises(BuildError) as error:
        build(sources, tmp_path, [target])
    said = str(error.value) + capfd.readouterr().err
    assert target.file in str(error.value) and complaint in str(error.value)
    assert complaint or "sinf" in said
    assert not (tmp_path / "lib" / target.file).exists()


def test_without_a_compiler_one_sentence_and_no_old_libraries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "handlens.wasm").write_bytes(b"of older sources")
    monkeypatch.setattr(step_setup, "compiler", lambda: None)
    monkeypatch.setattr(step_kernels, "LIBRARIES", tmp_path)
    assert step_kernels.ensure_alone(EVERY) == []
    assert list(tmp_path.iterdir()) == []
    shown = capsys.readouterr().out
    assert step_setup.WITHOUT_COMPILER in shown and len(shown.splitlines()) == 1


def test_an_index_without_the_compiler_leaves_everything_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a platform that ziglang has no wheel for: the rest is downloaded and installed."""
    calls: list[tuple[str, bool]] = []

    def quiet(*words: str | Path) -> bool:
        calls.append((str(words[0]), "ziglang" in words))
        return False

    monkeypatch.delenv("HANDLENS_OFFLINE", raising=False)
    monkeypatch.setattr(step_setup, "WHEELS", tmp_path)
    monkeypatch.setattr(step_setup, "pip_quiet", quiet)
    monkeypatch.setattr(step_setup, "pip", lambda *words, why="": calls.append((str(words[0]), "ziglang" in words)))
    step_setup.install_requirements(["numpy", "ziglang"])
    assert calls[:2] == [("install", True), ("download", True)]
    assert calls[2:] == [("install", False), ("download", False), ("install", False)]
    monkeypatch.setenv("HANDLENS_OFFLINE", "1")
    with pytest.raises(BuildError, match=r"not in \.cache/wheels"):
        step_setup.install_requirements(["numpy", "ziglang"])


# ---- what the libraries ask for and show


@pytest.mark.parametrize("target", step_kernels.wasm_targets(), ids=lambda target: target.file)
def test_wasm_asks_for_nothing_it_is_not_given(target: Target, kernels: dict[str, Path]) -> None:
    data = kernels[target.file].read_bytes()
    asked = {name for _, name in wasm_file.imports(data)}
    shown = {name for kind, name in wasm_file.exports(data) if kind == "function"}
    if target.kind == "standalone":
        assert asked == set()
        assert {("memory", "memory"), ("global", "__heap_base")} <= set(wasm_file.exports(data))
    else:
        assert asked <= {f"env.{name}" for name in step_kernels.GIVEN}
        assert next(wasm_file.sections(data))[1] == "dylink.0"
    assert {"hl_measure", "hl_load_plan", "hl_prepare", "hl_run", "hl_run_part", "hl_ops_text", "hl_speed"} <= shown
    assert {name for name in shown if not name.startswith(("hl_", "__wasm_"))} == set()


def test_relaxed_simd_is_in_the_relaxed_builds_alone(kernels: dict[str, Path]) -> None:
    for target in step_kernels.wasm_targets():
        found = wasm_file.code(kernels[target.file]).count(MADD)
        assert found > 100 if "relaxed" in target.file else found == 0, (target.file, found)


def elf(path: Path) -> tuple[list[int], dict[str, bool]]:
    """Tags of the dynamic section, and of every dynamic symbol whether the library itself has it."""
    data = path.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01"
    (start,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, start + k * size) for k in range(count)]
    tags: list[int] = []
    symbols: dict[str, bool] = {}
    for _, kind, _, _, offset, length, linked, *_ in headers:
        if kind == 6:
            tags += [tag for tag, _ in struct.iter_unpack("<qq", data[offset : offset + length])]
        if kind == 11:
            names = headers[linked][4]
            for name, _, _, section, _, _ in struct.iter_unpack("<IBBHQQ", data[offset + 24 : offset + length]):
                symbols[data[names + name :].split(b"\0", 1)[0].decode()] = section != 0
    return tags, symbols


@pytest.mark.parametrize("target", LINUX, ids=lambda target: target.file)
def test_linux_libraries_need_no_other(target: Target, probe: dict[str, Path]) -> None:
    tags, symbols = elf(probe[target.file])
    assert tags and 1 not in tags, "DT_NEEDED: another library is asked for"
    assert "hl_probe_word" in symbols and "memset" not in symbols
    assert [name for name, here in symbols.items() if not here] == []
    assert {name for name in symbols if not name.startswith("hl_")} == set()


def test_this_machines_kernels_need_no_other(kernels: dict[str, Path]) -> None:
    for target in OWN:
        if target.kind == "linux":
            tags, symbols = elf(kernels[target.file])
            assert 1 not in tags
            assert all(here and name.startswith("hl_") for name, here in symbols.items())


def test_vectors_are_as_wide_as_the_target_allows(probe: dict[str, Path]) -> None:
    """The fused multiply-adds of 16 floats: EVEX with length 512, which clang does without unless it is told."""

    def wide(name: str) -> int:
        found = re.findall(rb"(?s)\x62(.)(.)(.)[\x98\xa8\xb8]", probe[name].read_bytes())
        return sum(p0[0] & 15 == 2 and p1[0] & 7 == 5 and p2[0] & 0x60 == 0x40 for p0, p1, p2 in found)

    assert wide("handlens-linux-x86_64-v4.so") > 0
    assert wide("handlens-linux-x86_64-v3.so") == 0


# ---- in their homes

CHECKS = """
import ctypes
def check(path):
    library = ctypes.CDLL(path)
    library.hl_probe_table.restype = library.hl_probe_stack.restype = ctypes.c_float
    library.hl_probe_word.restype = library.hl_probe_name.restype = ctypes.c_char_p
    jumps = [library.hl_probe_jump(k, 100) for k in range(7)]
    floats = ctypes.c_float * 16
    a, c = floats(*[1 + 2**-12] * 16), floats(*[-1 - 2**-11] * 16)
    library.hl_probe_fused(a, a, c)
    filled = ctypes.create_string_buffer(2000)
    library.hl_probe_fill(filled, bytes(range(250)) * 4, 1000)
    return {
        "table": [library.hl_probe_table(k) for k in range(16)],
        "words": [library.hl_probe_word(k).decode() for k in range(5)],
        "names": [library.hl_probe_name(k).decode() for k in range(6)],
        "jumps": jumps,
        "fused": c[0],
        "stack": library.hl_probe_stack(5000),
        "filled": filled.raw == bytes([7]) * 1000 + bytes(range(250)) * 4,
        "lanes": library.hl_probe_lanes(),
    }
"""


def expected(lanes: int, *, fused: bool) -> dict[str, object]:
    return {
        "table": [1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47],
        "words": ["zero", "one", "two", "three", "four"],
        "names": ["null", "eins", "zwei", "drei", "vier", "viele"],
        "jumps": [101, 300, 14, 97, 1, 800, -1],
        "fused": 2.0**-24 if fused else 0.0,
        "stack": float(sum(range(5000))),
        "filled": True,
        "lanes": lanes,
    }


def test_host_libraries_compute(probe: dict[str, Path]) -> None:
    if not OWN:
        pytest.skip("no library for this machine")
    space: dict[str, Callable[[str], dict[str, object]]] = {}
    exec(CHECKS, space)
    level = ctypes.CDLL(str(probe[OWN[0].file])).hl_cpu_level()
    tried = 0
    for target in OWN:
        found = re.search(r"v(\d)\.", target.file)
        here = int(found.group(1)) if found else 0
        if here <= level:
            lanes = {4: 16, 3: 8}.get(here, 4)
            assert space["check"](str(probe[target.file])) == expected(lanes, fused=here != 2), target.file
            tried += 1
    assert tried


NODE = """
import { readFileSync } from "node:fs";
import { loadPyodide } from "./pyodide.mjs";
const [code, ...modules] = process.argv.slice(2);
const python = await loadPyodide({ indexURL: process.cwd() });
python.runPython(readFileSync(code, "utf-8"));
const answers = {};
for (const path of modules) {
  const name = "/tmp/" + path.split("/").pop();
  python.FS.writeFile(name, readFileSync(path));
  answers[path.split("/").pop()] = JSON.parse(python.runPython(`import json; json.dumps(check("${name}"))`));
}
console.log("ANSWERS " + JSON.stringify(answers));
"""
RELAXED = "--experimental-wasm-relaxed-simd"  # Node 20 has it behind this flag; later versions have it always


def pyodide_folder(folder: Path) -> Path:
    """Pyodide as pinned, to be run by Node or served."""
    (source,) = (source for source in step_vendor.read_lock() if source.name == "pyodide")
    for file in source.files:
        (folder / file.name).symlink_to(source.path(file))
    path, _ = step_wheel.upstream_lock()
    shutil.copyfile(path, folder / "pyodide-lock.json")
    return folder


def test_side_modules_compute_in_pyodide_under_node(probe: dict[str, Path], tmp_path: Path) -> None:
    folder = pyodide_folder(tmp_path)
    (folder / "run.mjs").write_text(NODE)
    (folder / "check.py").write_text(CHECKS)
    names = ["handlens-side.wasm", "handlens-side-relaxed.wasm"]
    flag = ["node", RELAXED, "-e", "0"]
    flags = [RELAXED] if subprocess.run(flag, capture_output=True, check=False).returncode == 0 else []
    command = ["node", *flags, "run.mjs", "check.py", *(str(probe[name]) for name in names)]
    result = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    answers = json.loads(result.stdout.split("ANSWERS ")[1])
    assert answers[names[0]] == expected(4, fused=False)
    # The fused form is the processor's where it has one: relaxed means that either is right.
    assert answers[names[1]] in (expected(4, fused=True), expected(4, fused=False))


def test_standalone_modules_compute_in_node(probe: dict[str, Path], tmp_path: Path) -> None:
    script = """
const { exports: c } = new WebAssembly.Instance(new WebAssembly.Module(require("fs").readFileSync(process.argv[1])));
const pages = c.memory.grow(3), at = c.__heap_base.value, bytes = () => new Uint8Array(c.memory.buffer);
const text = (k) => {
  const from = c.hl_probe_word(k);
  return String.fromCharCode(...bytes().slice(from, bytes().indexOf(0, from)));
};
bytes().set([1, 2, 3, 4], at);
c.hl_probe_fill(at + 4, at, 4);
console.log(JSON.stringify({
  at, heap: at < pages * 65536, words: [0, 1, 2, 3, 4].map(text), table: c.hl_probe_table(15),
  jump: c.hl_probe_jump(2, 100), stack: c.hl_probe_stack(5000), filled: [...bytes().slice(at + 4, at + 12)],
}));
"""
    path = probe["handlens.wasm"]
    result = subprocess.run(["node", "-e", script, str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["words"] == ["zero", "one", "two", "three", "four"] and answer["table"] == 47
    assert answer["jump"] == 14 and answer["stack"] == sum(range(5000)) and answer["filled"] == [7] * 4 + [1, 2, 3, 4]
    assert answer["heap"] and answer["at"] >= step_kernels.STACK


PAGE = """<!doctype html><title>kernels</title><script type="module">
const source = `
  import { loadPyodide } from "${location.href}pyodide.mjs";
  const python = await loadPyodide();
  await python.loadPackage("handlens");
  for (const name of ["handlens-side.wasm", "handlens-side-relaxed.wasm"])
    python.FS.writeFile("/tmp/" + name, new Uint8Array(await (await fetch("${location.href}" + name)).arrayBuffer()));
  onmessage = ({ data }) => {
    try { postMessage({ answer: python.runPython(data) }); } catch (error) { postMessage({ error: String(error) }); }
  };
  postMessage({ answer: "ready" });`;
const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })), { type: "module" });
const next = () => new Promise((done) => { worker.onmessage = ({ data }) => done(data); });
worker.onerror = (error) => { window.state = String(error.message); };
window.run = (code) => { const answer = next(); worker.postMessage(code); return answer; };
window.state = (await next()).answer;
</script>"""
IN_BROWSER = """
import json, pathlib, handlens.backends.native.library as library
opened = library.find()
json.dumps({
    "relaxed": check("/tmp/handlens-side-relaxed.wasm"), "plain": check("/tmp/handlens-side.wasm"),
    "lib": sorted(path.name for path in library.FOLDER.iterdir()), "opened": opened.path.name, "lanes": opened.lanes,
    "both": [library.Library(library.FOLDER / name).lanes for name in sorted(p.name for p in library.FOLDER.iterdir())],
})
"""


@pytest.mark.browser
def test_side_modules_of_the_wheel_load_in_chromium(
    kernels: dict[str, Path], probe: dict[str, Path], tmp_path: Path, site_dir: Path, chromium_path: str
) -> None:
    wheel = step_wheel.build(tmp_path, compiled=step_wheel.can_compile())
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if "/native/lib/" in name]
    assert sorted(name.rpartition("/")[2] for name in inside) == ["handlens-side-relaxed.wasm", "handlens-side.wasm"]
    for path in (site_dir / "vendor/pyodide").iterdir():
        if path.name.startswith(("pyodide.", "python_stdlib", "numpy")):
            (tmp_path / path.name).symlink_to(path)
    for name in ("handlens-side.wasm", "handlens-side-relaxed.wasm"):
        shutil.copyfile(probe[name], tmp_path / name)
    (tmp_path / "index.html").write_text(PAGE)
    with step_serve.running(tmp_path) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        page.wait_for_function("window.state", timeout=120_000)
        assert page.evaluate("window.state") == "ready"
        result = page.evaluate("(code) => window.run(code)", CHECKS + IN_BROWSER)
        browser.close()
    assert "error" not in result, result
    answer = json.loads(result["answer"])
    assert answer["plain"] == expected(4, fused=False)
    assert answer["relaxed"] in (expected(4, fused=True), expected(4, fused=False))
    assert answer["lib"] == ["handlens-side-relaxed.wasm", "handlens-side.wasm"] and answer["both"] == [4, 4]
    assert answer["opened"] == "handlens-side-relaxed.wasm" and answer["lanes"] == 4


@pytest.mark.slow
def test_host_wheel_installs_in_a_bare_environment(kernels: dict[str, Path], tmp_path: Path) -> None:
    if not OWN:
        pytest.skip("no library for this machine")
    wheel = step_wheel.build_host(tmp_path)
    assert wheel.name.endswith(f"-py3-none-{'.'.join(step_wheel.host_tags(*step_kernels.this_machine()))}.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.rpartition("/")[2] for name in archive.namelist() if "/native/lib/" in name}
    assert inside == {target.file for target in OWN} | {path.name for path in step_kernels.wasm_inference()}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", step_setup.WHEELS]
    subprocess.run([*install, "--constraint", step_setup.CONSTRAINTS, wheel], env=environment(), check=True)
    code = "import handlens.backends.native.library as l; print(l.find().path)"
    result = subprocess.run([python, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()).is_relative_to((tmp_path / "venv").resolve())
    check = [python, "-m", "pip", "check"]
    assert subprocess.run(check, capture_output=True, env=environment(), check=False).returncode == 0


def test_site_serves_the_modules_for_inference(kernels: dict[str, Path], site_dir: Path) -> None:
    record = json.loads((site_dir / "build.json").read_text("utf-8"))
    files = {f"first/{path.name}": path for path in (site_dir / "first").iterdir()}
    assert record["first"] == {name: path.stat().st_size for name, path in sorted(files.items())}
    models = {path.stem for path in (site_dir / "models").glob("*.safetensors")}
    assert {path.stem for path in files.values() if path.suffix == ".json"} == models
    for name in ("handlens", "handlens-relaxed"):
        module = gzip.decompress(files[f"first/{name}.wasm.gz"].read_bytes())
        assert module == kernels[f"{name.replace('handlens', 'handlens-inference')}.wasm"].read_bytes()


def test_modules_for_inference_leave_training_out(kernels: dict[str, Path]) -> None:
    text = kernels["ops.txt"].read_bytes()
    for relaxed in ("", "-relaxed"):
        whole, small = kernels[f"handlens{relaxed}.wasm"], kernels[f"handlens-inference{relaxed}.wasm"]
        assert len(wasm_file.code(small)) < 0.7 * len(wasm_file.code(whole))
        assert text in whole.read_bytes() and text in small.read_bytes()
