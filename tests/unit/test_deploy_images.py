"""The Dockerfile: linted, built from the lock alone, and each image with the rooms and libraries that it needs."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support import deployment
from tests.support.deployment import DEPLOY, DOCKERFILE, ROOT

IMAGES = ("sidecar", "bot", "store")
PYTHON = {"python_version": "3.13", "python_full_version": "3.13.14"}
ATTACHING = {"immutables", "orjson", "pydantic"}
"""What a bot imports that attaches and binds."""


def needed(name: str, extra: str = "") -> set[str]:
    """Every distribution that one needs, without itself, for the Python of the images."""
    found: set[str] = set()
    for line in importlib.metadata.requires(name) or ():
        one = Requirement(line)
        if one.marker is None or any(one.marker.evaluate({"extra": given, **PYTHON}) for given in {extra, ""}):
            plain = re.sub(r"[-_.]+", "-", one.name).lower()
            found |= {plain, *needed(plain, *sorted(one.extras)[:1])}
    return found


def listed(image: str) -> list[str]:
    return (DEPLOY / "images" / f"{image}.libraries").read_text().split()


def pick(wanted: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(DEPLOY / "images" / "pick.py"), str(wanted), str(ROOT / "requirements.lock")]
    return subprocess.run(program, check=False, capture_output=True, text=True)


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([deployment.tool("hadolint"), DOCKERFILE], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_exactly_the_libraries_that_it_needs(image: str) -> None:
    expected = ATTACHING.union(*map(needed, ATTACHING)) if image == "bot" else needed("trimtab", image)
    assert listed(image) == sorted(expected)


def test_each_library_is_picked_from_the_lock_with_its_hashes() -> None:
    for image in IMAGES:
        done = pick(DEPLOY / "images" / f"{image}.libraries")
        assert done.returncode == 0, done.stderr
        entries = re.split(r"^(?=\w)", done.stdout, flags=re.MULTILINE)[1:]
        assert [entry.partition("==")[0] for entry in entries] == listed(image)
        assert all("--hash=sha256:" in entry for entry in entries)


def test_a_library_that_is_not_locked_is_not_installed(tmp_path: Path) -> None:
    wanted = tmp_path / "wanted"
    wanted.write_text("orjson\nunheard-of\n")
    done = pick(wanted)
    assert (done.returncode, done.stdout) == (1, "")
    assert "unheard-of" in done.stderr


def test_nothing_is_installed_but_from_the_lock_and_from_wheels() -> None:
    installs = [run for stage in deployment.stages().values() for run in stage.all("RUN") if " install " in run]
    by_pip = [run for run in installs if "pip" in run]
    assert len(by_pip) == len(IMAGES)
    for run in by_pip:
        assert "pick.py wanted requirements.lock > wanted.lock" in run
        assert "--no-deps --require-hashes --only-binary :all: -r wanted.lock" in run
        assert run.endswith("pip --python /opt/trimtab/bin/python check")
    assert "apt-get" not in DOCKERFILE.read_text()


def test_images_end_as_a_user_that_is_not_root_on_a_pinned_base() -> None:
    stages = deployment.stages()
    assert re.search(r"^ARG PYTHON=python:3\.\d+\.\d+-slim-\w+$", DOCKERFILE.read_text(), re.MULTILINE)
    for image in IMAGES:
        stage = stages[image]
        assert stages[stage.base].base == "${PYTHON}"
        [user] = stage.all("USER")
        assert re.fullmatch(r"1000[12]:10000", user)
        [copied] = stage.all("COPY")
        assert copied == f"--from={image}-libraries /opt/trimtab /opt/trimtab"


def rooms(image: str, target: Path) -> Path:
    """Lay out what the Dockerfile copies into an image, where it copies it to."""
    for told in deployment.stages()[f"{image}-libraries"].all("COPY"):
        source, place = told.split()
        if place.startswith("/opt/trimtab/"):
            outside = target / place.removeprefix("/opt/trimtab/")
            outside.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, outside)
    return target


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With the rooms of an image and the libraries installed here, but nothing of this checkout."""
    [libraries] = [one for one in site.getsitepackages() if one.endswith("site-packages")]
    path = {"PYTHONPATH": f"{place / 'rooms'}:{libraries}"}
    return subprocess.run([sys.executable, "-S", *arguments], check=False, capture_output=True, text=True, env=path)


@pytest.mark.parametrize(
    ("image", "program", "absent"),
    [
        ("sidecar", ("-m", "trimtab_sidecar", "--help"), ("trimtab_store",)),
        ("bot", ("bot.py", "--help"), ("trimtab_store", "trimtab_sidecar")),
        ("sidecar", ("-m", "trimtab_sidecar", "probe", "--help"), ("trimtab_store",)),
        ("store", ("-m", "trimtab_store", "migrate", "--help"), ("trimtab_sidecar",)),
        ("store", ("-m", "trimtab_store", "relay", "probe", "--help"), ("trimtab_sidecar",)),
    ],
)
def test_an_image_runs_with_its_own_rooms_alone(
    image: str, program: tuple[str, ...], absent: tuple[str, ...], tmp_path: Path
) -> None:
    place = rooms(image, tmp_path)
    entrypoint = deployment.stages()[image].all("ENTRYPOINT")[0]
    assert program[-1] == "--help"
    assert (program[1] if program[0] == "-m" else program[0]) in entrypoint
    started = [str(place / one) if one.endswith(".py") else one for one in program]
    done = run(place, *started)
    assert (done.returncode, done.stderr) == (0, "")
    for name in absent:
        assert run(place, "-c", f"import {name}").returncode == 1
    if image == "store":
        assert (place / "rooms/trimtab_store/migrations/env.py").is_file()


def test_what_the_image_of_a_bot_lacks_is_nothing_that_attaching_needs() -> None:
    """Bindings and subscriptions included: only its libraries may be imported."""
    code = (
        "import sys, trimtab.attached, trimtab.attach_binding, trimtab.attach_events\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    foreign = {name.replace("-", "_") for image in IMAGES for name in listed(image)}
    foreign -= {name.replace("-", "_") for name in listed("bot")}
    assert set(done.stdout.split()) & foreign == set()


def test_the_builder_is_given_what_the_dockerfile_copies_and_nothing_else() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for stage in deployment.stages().values()
        for told in stage.all("COPY")
        if not told.startswith("--from=")
        for source in told.split()[:-1]
    ]
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(source == one or source.startswith(f"{one}/") for one in allowed), source
    assert all(any(source.startswith(one) for source in copied) for one in allowed)
