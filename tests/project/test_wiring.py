"""dvc.yaml, params.yaml and the code say the same."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.parser import Parser

from carbrand.photos import severities
from carbrand.pipeline.dvc_files import DVC_YAML, read_outputs
from stages.__main__ import SECTIONS
from tests.conftest import ROOT
from tests.support.local_imports import local_imports

PIPELINE = yaml.safe_load((ROOT / DVC_YAML).read_text("utf-8"))
NODES = PIPELINE["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


def fields(node: str) -> list[str]:
    return [field.name for field in dataclasses.fields(SECTIONS[node])]


def paths(entries: list) -> list[str]:
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_every_node_has_its_module_and_the_reverse():
    modules = {path.stem for path in (ROOT / "stages").glob("[!_]*.py")}
    assert set(NODES) == modules
    # What the gate and drift ask for reruns no node.
    assert set(SECTIONS) == set(PARAMS) == modules | {"gate", "drift"}


def test_the_nodes_are_those_of_the_design_in_their_order():
    assert list(NODES) == ["validate", "features", "train", "finetune", "evaluate", "plot"]


@pytest.mark.parametrize("node", NODES)
def test_a_node_says_what_it_is_for_and_runs_its_own_module(node):
    assert NODES[node]["desc"]
    assert NODES[node]["cmd"].startswith(f"python -m stages.{node} params.yaml ")


@pytest.mark.parametrize("node", NODES)
def test_a_node_depends_on_its_module_and_on_the_rooms_that_it_imports_from_and_no_other(node):
    deps = {path for path in paths(NODES[node]["deps"]) if path.startswith(("stages", "carbrand"))}
    imported = {Path(path).parts for path in local_imports(ROOT / "stages" / f"{node}.py")}
    rooms = {f"carbrand/{parts[1]}" for parts in imported if parts[0] == "carbrand"}
    missing, too_much = rooms - deps, deps - rooms - {f"stages/{node}.py"}
    assert not missing, f"{node} imports from {missing}: dvc.yaml has to name them"
    assert not too_much, f"{node} imports nothing from {too_much}: dvc.yaml must not name them"
    assert f"stages/{node}.py" in deps


# All that `__init__.py` may do: a call to a module that every node depends on, and a late import.
FIRST_OF_ALL = {
    "carbrand": """\
from typing import TYPE_CHECKING, Any
from carbrand.node.errors import explain_missing_packages
if TYPE_CHECKING:
    from carbrand.release.registry.load import load
__all__ = ['load']
explain_missing_packages()

def __getattr__(name: str) -> Any:
    if name == 'load':
        from carbrand.release.registry.load import load
        return load
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')""",
    "stages": "import carbrand",
}


@pytest.mark.parametrize("package", FIRST_OF_ALL)
def test_modules_that_are_no_dependency_hold_nothing(package):
    """`__init__.py` of the packages that nodes import from is in no `deps`."""
    docstring, *rest = ast.parse((ROOT / package / "__init__.py").read_text("utf-8")).body
    assert ast.get_docstring(ast.Module([docstring], []))
    assert ast.unparse(rest) == FIRST_OF_ALL[package]
    assert all("carbrand/node" in NODES[node]["deps"] for node in NODES)


@pytest.mark.parametrize("node", NODES)
def test_a_node_depends_on_its_section_of_params_and_reads_every_key_of_it(node):
    section, *others = NODES[node]["params"]
    assert section == node
    assert list(PARAMS[node]) == fields(node)
    assert sorted(others) == sorted(f"validate.{name}" for name in read_of_validate(node))


def read_of_validate(node: str) -> list[str]:
    """The keys of the section `validate` that another node reads, and watches while it runs."""
    source = (ROOT / "stages" / f"{node}.py").read_text("utf-8")
    read = re.findall(r'read_keys\(\w+, "validate", (\w+)\)', source)
    assert read == re.findall(r"start\(main, (\w+)\)", source)
    return [field.name for kind in read for field in dataclasses.fields(getattr(severities, kind))]


@pytest.mark.parametrize(
    ("node", "name"), [(node, name) for node in NODES for name in fields(node)]
)
def test_every_parameter_is_read_by_its_node(node, name):
    rooms = {"finetune": "carbrand/training/finetuning", "plot": "carbrand/report/sections"}
    library = (ROOT / rooms[node]).glob("*.py") if node in rooms else ()
    files = [ROOT / "stages" / f"{node}.py", *library]
    source = "\n".join(file.read_text("utf-8") for file in files)
    source = source.replace("from __future__ import annotations", "")
    attributes = {
        item.attr for item in ast.walk(ast.parse(source)) if isinstance(item, ast.Attribute)
    }
    # validate hands its severities on as a mapping: by name
    assert name in attributes or (node == "validate" and "asdict(params)" in source)


def test_every_parameter_has_a_comment():
    lines = (ROOT / "params.yaml").read_text("utf-8").splitlines()
    knobs = [line for line in lines if line.startswith("  ") and not line.startswith("  #")]
    assert len(knobs) == sum(len(section) for section in PARAMS.values())
    assert [line for line in knobs if "# " not in line] == []


@pytest.mark.parametrize("node", NODES)
def test_metrics_and_plots_are_readable_without_a_remote(node):
    kept_in_git = [o for o in read_outputs() if o.node == node and not o.cached]
    listed = paths(NODES[node].get("metrics", [])) + paths(NODES[node].get("plots", []))
    assert [output.path.as_posix() for output in kept_in_git] == listed


@pytest.mark.parametrize("node", NODES)
def test_nothing_switches_the_run_cache_off(node):
    assert not NODES[node].get("always_changed")
    for entry in NODES[node].get("outs", []):
        assert isinstance(entry, str)  # no `cache: false`, no `persist: true`


@pytest.mark.parametrize("node", NODES)
def test_a_command_names_every_path_it_reads_and_writes_into(node):
    words = [Path(word) for word in NODES[node]["cmd"].split()]
    for entry in paths([*NODES[node].get("outs", []), *NODES[node].get("metrics", [])]):
        assert any(word == Path(entry) or word in Path(entry).parents for word in words)
    for entry in NODES[node]["deps"]:
        if entry.startswith(("Datasets", "artifacts")) and node not in (
            "features",
            "finetune",
            "evaluate",
        ):
            assert any(word == Path(entry) or word in Path(entry).parents for word in words)


@pytest.mark.parametrize("node", NODES)
def test_no_node_depends_on_what_dvc_writes_beside_the_photos(node):
    """`dvc add Datasets/train` writes Datasets/train.dvc and Datasets/.gitignore."""
    assert "Datasets" not in paths(NODES[node]["deps"])


def test_what_dvc_caches_git_ignores():
    for output in read_outputs():
        ignored = output.path.parent / ".gitignore"
        listed = (ROOT / ignored).read_text("utf-8").split() if (ROOT / ignored).is_file() else []
        assert (f"/{output.path.name}" in listed) == output.cached


def test_plot_names_are_no_prefixes_of_one_another():
    names = [name for plot in PIPELINE["plots"] for name in plot]
    assert not [(a, b) for a in names for b in names if a != b and b.startswith(a)]


def test_the_model_is_an_artifact():
    assert PIPELINE["artifacts"]["model"]["path"] == "artifacts/finetune/model.h5"
    assert PIPELINE["artifacts"]["model"]["type"] == "model"


def test_stages_import_no_stages_and_the_library_imports_no_stage():
    for module in (ROOT / "stages").glob("[!_]*.py"):
        assert {p for p in local_imports(module) if p.startswith("stages/")} == {
            f"stages/{module.name}"
        }
    for module in (ROOT / "carbrand").rglob("*.py"):
        assert not [path for path in local_imports(module) if path.startswith("stages/")]


@pytest.mark.parametrize("node", ["validate", "plot"])
def test_nodes_that_need_no_network_do_not_import_one(node):
    assert "carbrand/network/keras_import.py" not in local_imports(ROOT / "stages" / f"{node}.py")


def test_dvc_tells_nobody_and_links_nothing_that_a_stray_writer_could_reach():
    config = (ROOT / ".dvc" / "config").read_text("utf-8")
    assert "analytics = false" in config
    assert 'type = "reflink,copy"' in config


def test_dvc_reads_yaml_with_the_parser_in_c():
    """Else each of its commands takes a quarter of a second longer, and nobody is told."""
    assert not issubclass(YAML(typ="safe").Parser, Parser)
