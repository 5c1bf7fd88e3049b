"""The Dockerfiles copy what is in the repository and install what is in the lock file."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCKERFILES = sorted((ROOT / "deploy").glob("Dockerfile.*"))
LOCK = ROOT / "requirements.lock"


def lines_of(dockerfile: Path, instruction: str) -> list[str]:
    text = dockerfile.read_text().replace("\\\n", " ")
    return [
        line.removeprefix(instruction).strip()
        for line in text.splitlines()
        if line.startswith(f"{instruction} ")
    ]


def copied(dockerfile: Path) -> list[str]:
    lines = lines_of(dockerfile, "COPY")
    return [path for line in lines if "--from" not in line for path in line.split()[:-1]]


def test_there_is_one_for_each_profile() -> None:
    assert [path.suffix for path in DOCKERFILES] == [".cpu", ".gpu"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_copied_paths_exist_and_reach_the_builder(dockerfile: Path) -> None:
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    for path in copied(dockerfile):
        assert (ROOT / path).exists()
        assert f"!{path}" in sent


def test_nothing_reaches_the_builder_that_is_not_copied() -> None:
    sent = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(sent) == {path for dockerfile in DOCKERFILES for path in copied(dockerfile)}


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_bases_are_pinned_and_the_user_is_not_root(dockerfile: Path) -> None:
    for base in lines_of(dockerfile, "FROM"):
        assert re.search(r":(\d+\.\d+|\$\{TRITON_TAG\})", base)
    assert lines_of(dockerfile, "USER")[-1] not in ("root", "0", "0:0")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_what_comes_from_an_index_is_checked_by_its_hash(dockerfile: Path) -> None:
    for line in lines_of(dockerfile, "RUN"):
        for install in re.findall(r"pip install [^&]*", line):
            assert "--require-hashes" in install or "--no-deps --no-build-isolation ." in install


def test_the_gpu_image_selects_whole_entries_of_the_lock_file(tmp_path: Path) -> None:
    (run,) = (line for line in lines_of(ROOT / "deploy/Dockerfile.gpu", "RUN") if "awk" in line)
    select = run.partition("&&")[0]
    (tmp_path / LOCK.name).write_text(LOCK.read_text())
    subprocess.run(["sh", "-ec", select], cwd=tmp_path, check=True)
    selected = (tmp_path / "bls.lock").read_text()
    names = re.findall(r"^([a-z0-9-]+)==", selected, re.MULTILINE)
    (wanted,) = re.findall(r"\^\(([a-z0-9|-]+)\)==", select)
    assert names == wanted.split("|")
    for entry in re.split(r"\n(?=[a-z])", selected.strip()):
        assert "--hash=sha256:" in entry
        assert entry in LOCK.read_text()
