"""Who may import whom. What measures knows nothing of what explains, and the server needs no backend."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "tb_trainspeed"
FRAMEWORKS = {"keras", "tensorflow", "jax", "torch"}

# Unit of the package -> the units it may import. A unit is a folder or a module directly below the package.
MAY_IMPORT = {
    "profile": set(),
    "recorder": {"profile"},
    "summary": {"profile"},
    "rules": {"profile"},
    "whatif": {"profile", "rules"},
    "levers": {"profile", "rules", "whatif"},
    "report": {"profile", "rules", "whatif", "levers"},
    "probes": {"profile", "recorder"},
    "session": {"profile", "recorder", "probes", "summary"},
    "callback": {"session", "probes", "report"},
    "plugin": {"profile", "summary", "rules", "report"},
    "cli": {"profile", "summary", "rules", "whatif", "report"},
    "demo": {"callback", "rules", "report", "profile"},
    "__main__": {"cli"},
    "__init__": set(),
}
# What may be imported inside functions or for type checkers only.
MAY_IMPORT_LATE = {
    "__init__": {"callback", "report"},
    "cli": {"callback", "demo"},
}
# Frameworks that may be imported, by module. Nothing else may, early or late.
MAY_USE = {
    "callback": {"keras"},
    "demo": {"keras", "tensorflow"},
    "probes.fit_entry": {"keras"},
    "probes.source": {"keras"},
    "probes.code": {"keras"},  # its trees
    "probes.facts": {"keras"},  # its configuration
    "probes.jax": {"jax", "keras"},
    "probes.torch": {"keras", "torch"},  # which knows the device
    "probes.torch_parts": {"torch"},
    "probes.ready_fetch": {"tensorflow"},
    "probes.tensorflow": {"keras", "tensorflow"},
    "probes.tf_data": {"tensorflow"},
}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


def is_type_checking(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path):
    """Yields (dotted name, whether it is imported late) for everything a module imports."""

    def visit(node, late):
        if isinstance(node, ast.Import):
            yield from ((alias.name, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            yield from ((f"{node.module}.{alias.name}", late) for alias in node.names)
        late = late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or is_type_checking(node)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, late)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), False)


def unit_of(dotted):
    """The unit of ours that a dotted name is in, or `None`: `tb_trainspeed.__version__` belongs to all."""
    first, _, rest = dotted.partition(".")
    unit = rest.partition(".")[0]
    return unit if first == "tb_trainspeed" and unit in MAY_IMPORT else None


MODULES = dict(modules())


def test_every_unit_is_in_the_table():
    assert {name.partition(".")[0] for name in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("name", MODULES)
def test_imports_of_ours(name):
    unit = name.partition(".")[0]
    early, late = MAY_IMPORT[unit] | {unit}, MAY_IMPORT[unit] | {unit} | MAY_IMPORT_LATE.get(unit, set())
    found = [(unit_of(dotted), is_late) for dotted, is_late in imports(MODULES[name]) if unit_of(dotted)]
    assert {imported for imported, is_late in found if imported not in (late if is_late else early)} == set()


@pytest.mark.parametrize("name", MODULES)
def test_frameworks(name):
    found = {dotted.partition(".")[0] for dotted, _ in imports(MODULES[name])} & FRAMEWORKS
    assert found <= MAY_USE.get(name, set())


@pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] == "profile"])
def test_the_waist_needs_only_the_standard_library(name):
    others = {dotted for dotted, _ in imports(MODULES[name]) if unit_of(dotted) != "profile"}
    assert {dotted.partition(".")[0] for dotted in others} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "name", ["tb_trainspeed", *(f"tb_trainspeed.{unit}" for unit in ("plugin", "plugin.loader", "plugin.app", "report",
                                                                    "rules", "whatif", "summary", "recorder", "cli"))]
)  # fmt: skip
def test_importing_loads_no_framework(name):
    script = f"import sys, {name}; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    command = [sys.executable, "-c", script, *FRAMEWORKS]
    assert subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "[]\n"
