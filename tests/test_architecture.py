"""The shape of the code, by ast: floors, third-party libraries, cycles, sizes, docstrings, forbidden habits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "colossus_sim"

FLOORS = {
    "errors": 0,
    "units": 0,
    "randomness": 0,
    "records": 0,
    "intervals": 0,
    "sums": 0,
    "compiling": 0,
    "policies": 0,
    "version": 0,
    "formulas": 1,
    "specs": 2,
    "loading": 3,
    "traces": 3,
    "topology": 4,
    "network": 4,
    "parallelism": 5,
    "training": 6,
    "engine": 7,
    "results": 8,
    "validation": 8,
    "sweeps": 9,
    "plots": 9,
    "html": 9,
    "trace": 9,
    "cli": 10,
}
"""Floor of each folder or module directly below the package; imports go down or stay in the same folder."""

NEIGHBOURS = {("network", "topology"), ("topology", "network"), ("html", "plots"), ("sweeps", "plots")}
"""Imports between two folders of one floor that the design names."""

FLOOR_ZERO_ORDER = (
    "version",
    "errors",
    "units",
    "randomness",
    "records",
    "sums",
    "intervals",
    "policies",
    "compiling",
)
"""Modules of floor 0, each may import those before it."""

TYPES_ONLY = {("records", "specs"), ("records", "training")}
"""Records name the types of what they carry; under TYPE_CHECKING only, nothing is imported when it runs."""

LIBRARIES = {
    "numpy": set(FLOORS) - {"errors", "version", "specs"},
    "scipy": set(FLOORS) - {"errors", "version", "specs", "cli", "units"},
    "numba": {"compiling", "engine", "sweeps"},
    "pydantic": {"units", "specs", "loading", "results", "validation", "sweeps", "cli"},
    "pydantic_core": {"units", "specs"},
    "yaml": {"loading"},
    "networkx": {"topology", "network"},
    "simpy": {"engine"},
    "pandas": {"results", "validation", "plots", "sweeps", "html", "trace", "cli"},
    "pyarrow": {"results", "sweeps"},
    "matplotlib": {"plots"},
    "click": {"cli"},
    "rich": {"cli"},
    "dask": {"sweeps"},
    "distributed": {"sweeps"},
    "perfetto": {"trace"},
}
"""Folders in which a third-party library may be imported."""

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_CLASS_METHODS = 25
MAX_CLASS_LINES = 300
MAX_POSITIONAL = 6

LATE_IMPORTS = {("colossus_sim.results.result", "colossus_sim.results.store")}
"""`Result.save` is a convenience of the Python API; the store reads and writes results."""

BROAD_EXCEPT = {("cli/main.py", "run_command_line")}
"""The last door of the command line, where a bug becomes one line instead of a traceback."""


@cache
def files() -> tuple[Path, ...]:
    """Return every module of the package."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text("utf-8"))


def place(path: Path) -> str:
    """Return how a file is called in messages."""
    return path.relative_to(PACKAGE).as_posix()


def part(path: Path) -> str:
    """Return the folder or module directly below the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_name(path: Path) -> str:
    """Return the dotted name of a module."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def type_checking_lines(path: Path) -> frozenset[int]:
    """Return the lines below `if TYPE_CHECKING:`."""
    lines: set[int] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                lines.update(range(child.lineno, (child.end_lineno or child.lineno) + 1))
    return frozenset(lines)


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Give the dotted name of everything that a module imports, and where."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(path)}:{node.lineno}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Give every function and method of a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body that hold code: no docstring, comments or blank lines."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    lines: set[int] = set()
    for statement in body:
        for child in ast.walk(statement):
            if isinstance(child, ast.stmt | ast.expr | ast.excepthandler):
                lines.add(child.lineno)
                lines.add(child.end_lineno or child.lineno)
    return len(lines)


def test_every_folder_has_a_floor() -> None:
    """A new folder or module below the package is given its floor here."""
    unknown = {part(path) for path in files()} - set(FLOORS) - {"__init__", "__main__"}
    assert not unknown


def test_imports_go_down() -> None:
    """Nothing imports from a higher floor, nor from a neighbour on its own floor."""
    wrong = []
    for path in files():
        home = part(path)
        if home in ("__init__", "__main__"):
            continue
        for name, node in imports(path):
            pieces = name.split(".")
            if pieces[0] != "colossus_sim" or len(pieces) < 2 or pieces[1] not in FLOORS:
                continue
            other = pieces[1]
            if other == home or FLOORS[other] < FLOORS[home] or (home, other) in NEIGHBOURS:
                continue
            if FLOORS[home] == 0 and FLOORS[other] == 0:
                if FLOOR_ZERO_ORDER.index(other) < FLOOR_ZERO_ORDER.index(home):
                    continue
            elif (home, other) in TYPES_ONLY and node.lineno in type_checking_lines(path):
                continue
            wrong.append(f"{place(path)}:{node.lineno} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_formulas_and_specs_do_not_know_each_other() -> None:
    """Formulas take floats and specs are data; neither imports the other."""
    wrong = [
        f"{place(path)} imports {name}"
        for path in files()
        for name, _ in imports(path)
        if {part(path), *name.split(".")[1:2]} == {"formulas", "specs"}
    ]
    assert not wrong, "\n".join(wrong)


def test_libraries_stay_on_their_floors() -> None:
    """Each third-party library is imported only where the design says, and no other library at all."""
    import sys

    wrong = []
    for path in files():
        for name, node in imports(path):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names or top == "colossus_sim":
                continue
            if part(path) not in LIBRARIES.get(top, set()):
                wrong.append(f"{place(path)}:{node.lineno} imports {top}")
    assert not wrong, "\n".join(wrong)


def test_no_import_cycles() -> None:
    """No chain of imports between modules, late ones included, leads back to its start."""
    names = {module_name(path): path for path in files()}
    graph: dict[str, set[str]] = {name: set() for name in names}
    for module, path in names.items():
        for target, node in imports(path):
            found = target if target in names else target.rpartition(".")[0]
            if (module, found) in LATE_IMPORTS:
                continue
            if found in names and found != module and node.lineno not in type_checking_lines(path):
                graph[module].add(found)
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module in done:
            return
        for other in sorted(graph[module]):
            visit(other, (*trail, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("path", files(), ids=place)
def test_file_is_short(path: Path) -> None:
    """A file has at most 400 lines; a longer one holds two subjects."""
    assert len(path.read_text("utf-8").splitlines()) <= MAX_FILE_LINES


def test_functions_are_short() -> None:
    """A function has at most 50 lines of code."""
    wrong = [
        f"{place(path)}:{node.lineno} {node.name}: {code_lines(node)} lines"
        for path in files()
        for node in functions(path)
        if code_lines(node) > MAX_FUNCTION_LINES
    ]
    assert not wrong, "\n".join(wrong)


def test_functions_take_few_positional_parameters() -> None:
    """A function takes at most six parameters by position, `self` not counted."""
    wrong = []
    for path in files():
        for node in functions(path):
            given = [*node.args.posonlyargs, *node.args.args]
            count = len(given) - (bool(given) and given[0].arg in ("self", "cls"))
            if count > MAX_POSITIONAL:
                wrong.append(f"{place(path)}:{node.lineno} {node.name}: {count}")
    assert not wrong, "\n".join(wrong)


def test_classes_are_small() -> None:
    """A class has at most 25 methods and 300 lines."""
    wrong = []
    for path in files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                methods = sum(isinstance(child, ast.FunctionDef) for child in node.body)
                lines = (node.end_lineno or 0) - node.lineno + 1
                if methods > MAX_CLASS_METHODS or lines > MAX_CLASS_LINES:
                    wrong.append(f"{place(path)}:{node.lineno} {node.name}: {methods} methods, {lines} lines")
    assert not wrong, "\n".join(wrong)


def public_without_docstring(path: Path) -> Iterator[str]:
    """Give the public modules, classes, functions and methods that have no docstring."""
    if path.name != "__init__.py" and ast.get_docstring(tree(path)) is None:
        yield place(path)
    todo: list[ast.Module | ast.ClassDef] = [tree(path)]
    while todo:
        for node in todo.pop().body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("_") or is_overload(node):
                continue
            if ast.get_docstring(node) is None:
                yield f"{place(path)}:{node.lineno} {node.name}"
            if isinstance(node, ast.ClassDef):
                todo.append(node)


def is_overload(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function is only a signature for the type checker."""
    return any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)


def test_public_names_have_docstrings() -> None:
    """Every public module, class, function and method says what it does."""
    wrong = [name for path in files() for name in public_without_docstring(path)]
    assert not wrong, "\n".join(wrong)


def test_no_asserts() -> None:
    """The package has no assert: it would vanish with python -O."""
    wrong = [
        f"{place(path)}:{node.lineno}"
        for path in files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Assert)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_command_line_prints() -> None:
    """Nothing below the command line calls print."""
    wrong = [
        f"{place(path)}:{node.lineno}"
        for path in files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong, "\n".join(wrong)


def test_no_broad_except() -> None:
    """No handler catches everything, but for the last door of the command line."""
    wrong = []
    for path in files():
        for function in functions(path):
            for node in ast.walk(function):
                if not isinstance(node, ast.ExceptHandler):
                    continue
                caught = "" if node.type is None else ast.unparse(node.type)
                if caught not in ("", "Exception", "BaseException"):
                    continue
                if (place(path), function.name) not in BROAD_EXCEPT:
                    wrong.append(f"{place(path)}:{node.lineno} except {caught}")
    assert not wrong, "\n".join(wrong)


def test_no_star_imports() -> None:
    """Every imported name is written out."""
    wrong = [f"{place(path)}: {name}" for path in files() for name, _ in imports(path) if name.endswith(".*")]
    assert not wrong, "\n".join(wrong)


def test_no_module_level_state() -> None:
    """No function rebinds a name of its module, so two runs in one process cannot see each other."""
    wrong = [
        f"{place(path)}:{node.lineno} global {', '.join(node.names)}"
        for path in files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Global)
    ]
    assert not wrong, "\n".join(wrong)


CLOCKS = {("time", "time"), ("datetime", "now"), ("datetime", "today"), ("date", "today"), ("random", "seed")}


def test_no_wall_clock_and_no_global_random() -> None:
    """Below the command line nothing reads the wall clock or Python's and numpy's global generators."""
    wrong = []
    for path in files():
        if part(path) in ("cli", "sweeps"):
            continue
        for name, node in imports(path):
            if name.split(".")[0] in ("random", "secrets", "uuid"):
                wrong.append(f"{place(path)}:{node.lineno} imports {name}")
        for call in ast.walk(tree(path)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                text = ast.unparse(call.func)
                pair = tuple(text.split(".")[-2:])
                legacy = text.startswith(("np.random.", "numpy.random.")) and pair[1].islower()
                if pair in CLOCKS or (legacy and pair[1] != "default_rng"):
                    wrong.append(f"{place(path)}:{call.lineno} {text}")
    assert not wrong, "\n".join(wrong)


def test_source_is_ascii() -> None:
    """Source files hold ASCII only, so that what is read is what is run."""
    wrong = [place(path) for path in files() if not path.read_bytes().isascii()]
    assert not wrong
