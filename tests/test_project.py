"""The project's metadata: bounds of the dependencies, one version everywhere, the citation."""

import re
import tomllib
from pathlib import Path

import yaml

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]

TESTS = {name for name in PROJECT["optional-dependencies"] if name.startswith(("test", "dev"))}


def test_every_dependency_has_a_lower_bound() -> None:
    """`.ci/lowest` tests these versions; packages of the tests alone may have one version."""
    extras = PROJECT["optional-dependencies"]
    used = [one for name, extra in extras.items() if name not in TESTS for one in extra]
    for requirement in [*PROJECT["dependencies"], *used]:
        assert re.fullmatch(r"pplr\[.*\]|[\w.-]+>=[\d.]+", requirement), requirement


def test_lowest_installs_every_extra() -> None:
    script = (TOP / ".ci" / "lowest").read_text()
    named = set(re.findall(r"'\.\[(.*)\]'", script)[0].split(","))
    others = {"mlflow", "onnx"} | TESTS - {"test"}  # mlflow is large; export implies onnx
    assert named == set(PROJECT["optional-dependencies"]) - others


def test_version_and_date_agree() -> None:
    changelog = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(\d\S*)\] - (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    citation = yaml.safe_load((TOP / "CITATION.cff").read_text(encoding="utf-8"))
    assert releases[0] == (PROJECT["version"], str(citation["date-released"]))
    assert citation["version"] == PROJECT["version"]
    assert "## [Unreleased]" in changelog
    assert f"\n## [{releases[0][0]}]" in changelog.partition("## [Unreleased]")[2]


def test_the_paper_is_cited_alike() -> None:
    citation = yaml.safe_load((TOP / "CITATION.cff").read_text(encoding="utf-8"))
    paper, readme = citation["preferred-citation"], (TOP / "README.md").read_text(encoding="utf-8")
    names = [f"{each['family-names']}, {each['given-names']}" for each in paper["authors"]]
    assert " and ".join(names) in readme
    assert paper["title"] in readme
    assert str(paper["year"]) in readme
