"""The installed library in a project of its own, and the examples of its document."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import emcomp
from tests.library.library_table import CAN_BUILD, DIM, ROOT, ROWS, run

if not CAN_BUILD:
    pytest.skip("needs cmake", allow_module_level=True)


@pytest.fixture(scope="session")
def programs(prefix, tmp_path_factory):
    build = tmp_path_factory.mktemp("users")
    run("cmake", "-S", ROOT / "tests" / "library", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    return build


@pytest.mark.parametrize("program", ["describe_c", "describe_cpp"])
def test_programs_of_another_project(programs, program, prefix, path):
    expected = emcomp.open(path)
    lines = [line.split(" ") for line in run(programs / program, path, "dog").splitlines()]
    said = {line[0]: line[1:] for line in lines}
    assert said["shape"] == [str(ROWS), str(DIM)]
    assert said["codec"] == ["whiten+kmeans:4"]
    assert (prefix / "lib" / f"libemcomp-{emcomp.__version__}-{said['isa'][0]}.so").exists()
    assert [*map(float.fromhex, said["lookup"])] == expected[[0, -1]].ravel().tolist()
    assert [*map(float.fromhex, said["bag"])] == expected.bag([[0, -1]], mode="mean")[0].tolist()
    similar = [(line[1], float.fromhex(line[2])) for line in lines if line[0] == "similar"]
    assert similar == expected.similar("dog", 3)


@pytest.mark.parametrize("program", ["describe_c", "describe_cpp"])
def test_programs_say_what_went_wrong(programs, program, path):
    def failed(*arguments, **environment):
        done = subprocess.run(
            [str(programs / program), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )
        assert done.returncode == 1
        return done.stderr

    assert failed(path.with_name("missing"), "dog").startswith("status 6: ")
    assert failed(path, "unknown").startswith("status 3: ")
    assert "EMCOMP_ISA" in failed(path, "dog", EMCOMP_ISA="v9")


def document_blocks(language):
    text = (ROOT / "docs" / "library.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("language", "standard"), [("cpp", "c++20"), ("c", "c99")])
def test_examples_of_the_document_compile(prefix, tmp_path, language, standard):
    (block,) = document_blocks(language)
    includes = "".join(re.findall(r"#include.*\n", block))
    body = block.replace(includes, "")
    source = tmp_path / f"example.{language}"
    headers = {"cpp": "#include <iostream>\n", "c": "#include <stdio.h>\n#include <stdlib.h>\n"}
    source.write_text(f"{headers[language]}{includes}int main() {{\n{body}return 0;\n}}\n")
    compiler = "c++" if language == "cpp" else "cc"
    run(compiler, f"-std={standard}", "-fsyntax-only", f"-I{prefix / 'include'}", source)


def test_the_example_in_python_runs(prefix, path):
    (block,) = document_blocks("python")
    block = block.replace("libemcomp.so.1", str(prefix / "lib" / "libemcomp.so.1"))
    block = block.replace("glove.emcomp", str(path))
    rows = run(sys.executable, "-c", f"{block}\nprint(*rows)").split()
    assert [*map(float, rows)] == emcomp.open(path)[[3, 5]].ravel().tolist()
