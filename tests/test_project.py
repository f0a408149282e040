"""Versions, rules, pages and changes that several files of the project name, held together."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import jaxpose

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def bounds(requirements: list[str], name: str) -> SpecifierSet:
    """Versions of a package that a list of requirements accepts."""
    found = [r for r in map(Requirement, requirements) if r.name == name]
    assert len(found) == 1, f"{name} is named {len(found)} times in {requirements}"
    return found[0].specifier


def lowest(specifiers: SpecifierSet) -> Version:
    return next(Version(s.version) for s in specifiers if s.operator == ">=")


@pytest.fixture(scope="module")
def matrix() -> list[dict[str, str]]:
    """The combinations of Python and JAX that the tests run on."""
    return load(GITHUB / "workflows" / "tests.yml")["jobs"]["test"]["strategy"]["matrix"]["include"]


def test_every_python_that_is_claimed_is_tested(matrix):
    prefix = "Programming Language :: Python :: "
    claimed = {c.removeprefix(prefix) for c in PROJECT["classifiers"] if c.startswith(prefix)}
    assert {job["python"] for job in matrix if job["jax"] == "newest"} == claimed
    assert {job["python"] for job in matrix} == claimed
    assert lowest(SpecifierSet(PROJECT["requires-python"])) == min(map(Version, claimed))


def test_the_oldest_jax_that_is_claimed_is_tested(matrix):
    oldest = lowest(bounds(PROJECT["dependencies"], "jax"))
    pinned = [job for job in matrix if job["jax"] != "newest"]
    assert [Version(job["jax"]) for job in pinned] == [oldest]
    assert Version(pinned[0]["python"]) == lowest(SpecifierSet(PROJECT["requires-python"]))
    for extra in ("cuda12", "cuda13", "tpu"):
        assert lowest(bounds(EXTRAS[extra], "jax")) == oldest
    # With it, the oldest of what is built on it.
    install = (GITHUB / "workflows" / "tests.yml").read_text()
    for name in ("flax", "optax", "orbax-checkpoint"):
        assert f"{name}=={lowest(bounds(PROJECT['dependencies'], name))}" in install


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_name_what_exists(path):
    """Extras, configuration files, and a Python that is tested; `on` is YAML 1.1's True."""
    workflow, text = load(path), path.read_text()
    assert workflow[True] and workflow["permissions"] == {"contents": "read"}
    for extras in re.findall(r"-e \"\.\[([\w,]+)\]\"", text):
        assert set(extras.split(",")) <= set(EXTRAS)
    for file in re.findall(r"-f (\S+)", text):
        assert (ROOT / file).is_file()
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 180
        for step in job["steps"]:
            python = step.get("with", {}).get("python-version", "3.12")
            assert python.startswith("${{") or python in SpecifierSet(PROJECT["requires-python"])


def test_the_three_workflows_do_what_they_are_for():
    commands = {p.stem: re.findall(r"- run: (.*)", p.read_text()) for p in WORKFLOWS}
    assert set(commands) == {"docs", "slow", "tests"}
    assert "pytest" in commands["tests"] and "mypy -p jaxpose" in commands["tests"]
    assert "mkdocs build --strict -f .github/mkdocs.yml" in commands["docs"]
    assert "pytest -m slow -n 0" in commands["slow"]


def test_pre_commit_runs_the_projects_ruff():
    ruff = [r for r in load(ROOT / ".pre-commit-config.yaml")["repos"] if "ruff" in r["repo"]]
    assert len(ruff) == 1
    for extra in ("test", "docs"):
        accepted = bounds(EXTRAS[extra], "ruff")
        assert Version(ruff[0]["rev"]) in accepted
        assert importlib.metadata.version("ruff") in accepted
    # No rule of its own: both read pyproject.toml.
    hooks = {hook["id"]: hook.get("args", []) for hook in ruff[0]["hooks"]}
    assert hooks == {"ruff-check": ["--fix"], "ruff-format": []}


def pages(nav: list[Any]) -> list[str]:
    """The pages of MkDocs' nested lists and mappings."""
    found = []
    for entry in nav:
        for item in entry.values() if isinstance(entry, dict) else [entry]:
            found += [item] if isinstance(item, str) else pages(item)
    return found


def test_navigation_names_every_page_once():
    named = pages(load(GITHUB / "mkdocs.yml")["nav"])
    assert len(named) == len(set(named))
    docs = GITHUB / "docs"
    written = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert written and written <= set(named)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The documentation site, built as strictly as in CI."""
    pytest.importorskip("mkdocs", reason="needs the extra `docs`")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    command += ["-f", str(GITHUB / "mkdocs.yml"), "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.slow
def test_the_reference_has_every_public_package(site):
    package = Path(jaxpose.__file__).parent
    packages = {path.parent.name for path in package.glob("*/__init__.py")} - {"cli"}
    assert {"codecs", "models", "pipeline"} <= packages
    built = {path.name for path in (site / "api").iterdir()}
    assert {"jaxpose", *(f"jaxpose.{name}" for name in packages)} <= built
    html = (site / "api" / "jaxpose.codecs" / "index.html").read_text()
    assert 'id="jaxpose.codecs.heatmap.udp"' in html  # a function, for links to it
    assert "jaxpose.cli" not in "".join(built)


@pytest.mark.slow
def test_links_between_files_lead_to_pages(site):
    """A picture, a notebook, a folder of scripts and a page, from where GitHub finds them."""
    train = (site / "train" / "index.html").read_text()
    overview = (site / "overview" / "index.html").read_text()
    for html, links in (
        (train, ("../pictures/data_check.jpg", "../recipes/", "../finetune/")),
        (overview, ("../pictures/quickstart.jpg", "../colab/lift3d.ipynb", "../predict/")),
    ):
        for link in links:
            assert f'"{link}"' in html
            assert (site / "train" / link).exists()
    assert "../../" not in "".join(re.findall(r'(?:href|src)="([^"]*)"', train + overview))


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_work_on_github(name):
    for target in re.findall(r"\]\(([^)#\s]+)", (GITHUB / name).read_text()):
        assert "://" in target or (GITHUB / target).exists(), target


def test_the_version_has_its_changes():
    assert PROJECT["version"] == jaxpose.__version__
    versions = re.findall(r"^## (\S+)", (GITHUB / "CHANGELOG.md").read_text(), re.M)
    assert versions[0] == "Unreleased"
    released = [Version(version) for version in versions[1:]]
    assert released == sorted(released, reverse=True) and released[0] == Version(PROJECT["version"])


def test_issue_forms_ask_and_require():
    files = (GITHUB / "ISSUE_TEMPLATE").glob("*.yml")
    forms = [load(path) for path in files if path.name != "config.yml"]
    assert len(forms) == 3
    for form in forms:
        assert form["name"] and form["description"]
        fields = [field["id"] for field in form["body"]]
        assert len(fields) == len(set(fields))
        assert any(field.get("validations", {}).get("required") for field in form["body"])
