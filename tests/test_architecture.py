"""Which way the arrows run: what a room may import, who holds the key to the test split, how long a function is."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT: Mapping[str, set[str]] = {  # the third-party packages and the rooms that each room may name
    "spaces": {"pydantic", "yaml"},
    "trainer": {
        *("PIL", "filelock", "numpy", "psutil", "safetensors", "sklearn", "threadpoolctl"),
        *("timm", "torch", "torchvision"),
    },
    "search": {
        *("spaces", "trainer"),
        *("cmaes", "filelock", "matplotlib", "mlflow", "numpy", "onnx", "onnxruntime", "optuna", "optuna_dashboard"),
        *("pandas", "psutil", "ray", "scipy", "sklearn", "sqlalchemy", "tensorboard", "threadpoolctl", "torch", "yaml"),
    },
    "serving": {
        *("search", "trainer"),
        *(
            "fastapi",
            "numpy",
            "onnx",
            "onnxruntime",
            "prometheus_client",
            "python_multipart",
            "safetensors",
            "starlette",
            "torch",
            "uvicorn",
        ),
    },
    "autoclf": {"serving", "spaces", "trainer", "search", "pandas", "rich", "typer"},
}
DOORS: Mapping[str, set[str]] = {  # the only modules of `search` that may name a package
    "cmaes": {"samplers.cmaes"},
    "optuna": {"distributions", "storage", "study"},
    "ray": {"executors.ray_cluster", "executors.ray_worker"},
    "sqlalchemy": {"crew.postgres", "crew.tables", "storage"},
    "mlflow": {"promotion.publish", "promotion.registry", "tracking.connect", "tracking.mlflow_runs"},
    "tensorboard": {"tracking.event_files"},
    "torch": {"doctor", "promotion.graph"},  # within functions: a driver does not load it
}
FREE_OF_TORCH = ("search.engine", "search.run", "autoclf.application")
HEAVY = ("torch", "torchvision", "timm", "mlflow")
LOADED_LATE = {*HEAVY, "ray", "tensorboard"}  # by what needs it, when it does
LONGEST_FUNCTION = 60  # lines
LONGEST_FILE = 400  # lines

FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _lengths() -> dict[str, int]:
    return {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imported(path: Path) -> frozenset[str]:
    """Full names of all modules that a file imports, and of what it takes out of them."""
    return frozenset(_imports_in(_tree(path)))


def _imports_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _needed(path: Path, modules: set[str]) -> set[str]:
    """The modules that a file imports; of `from package import module`, the module."""
    imported = _imported(path) & modules
    taken_from = {name.rpartition(".")[0] for name in imported}
    return set(imported - taken_from)


def _roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in _imported(path)}


def _called(path: Path, name: str) -> bool:
    """Whether a file calls something of this name."""
    calls = (node.func for node in ast.walk(_tree(path)) if isinstance(node, ast.Call))
    return any(ast.unparse(function).rpartition(".")[2] == name for function in calls)


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The first circle that is found, or nothing."""
    done: set[str] = set()

    def follow(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        found = next((c for n in sorted(graph.get(node, ())) if (c := follow(n, [*way, node]))), [])
        done.add(node)
        return found

    return next((circle for node in graph if (circle := follow(node, []))), [])


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]

    extra = _roots(path) - sys.stdlib_module_names - {package} - MAY_IMPORT[package]

    assert not extra, (
        f"{package}/ must not import {', '.join(sorted(extra))}. "
        f"Pass the value in as an argument, or move this code up a room."
    )


def test_packages_do_not_import_each_other_in_a_circle() -> None:
    graph = {
        package: {root for path in (ROOT / package).rglob("*.py") for root in _roots(path)}
        & MAY_IMPORT.keys() - {package}
        for package in MAY_IMPORT
    }

    assert not _circle(graph)


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    modules = {_module(path): path for path in FILES}
    graph = {name: _needed(path, set(modules)) for name, path in modules.items()}

    assert not _circle(graph)


def test_a_circle_would_be_found() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert _circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("package", DOORS)
def test_the_search_names_a_large_library_behind_few_doors(package: str) -> None:
    found = {_module(path) for path in (ROOT / "search").rglob("*.py") if package in _roots(path)}

    assert found == {f"search.{name}" for name in DOORS[package]}


def test_only_the_end_of_a_search_orders_a_reading_of_the_test_split() -> None:
    assert [_name(path) for path in FILES if _called(path, "TestOrder")] == ["search/finish.py"]


def test_only_a_job_opens_the_test_split() -> None:
    openers = [_name(path) for path in FILES if "trainer.data.locked.open_test_split" in _imported(path)]

    assert openers == ["trainer/job.py"]
    assert [_name(path) for path in FILES if _called(path, "open_test_split")] == ["trainer/job.py"]
    assert {_name(path) for path in FILES if _called(path, "read_split")} == {
        "trainer/data/locked.py",
        "trainer/data/store.py",
    }


def test_a_function_fits_on_a_screen() -> None:
    long = [
        f"{_name(path)}: {node.name}"
        for path in FILES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]

    assert not long


def test_a_file_can_be_read_in_one_sitting() -> None:
    assert not [name for name, num_lines in _lengths().items() if num_lines > LONGEST_FILE]


def test_a_module_says_first_what_belongs_in_it() -> None:
    assert not [_name(path) for path in FILES if not ast.get_docstring(_tree(path))]


def test_the_driver_and_the_command_line_load_neither_torch_nor_mlflow(
    python_environment: dict[str, str],
) -> None:
    code = f"import sys, {', '.join(FREE_OF_TORCH)}; print(*sys.modules.keys() & {LOADED_LATE})"

    done = subprocess.run(
        [sys.executable, "-c", code], env=python_environment, check=True, capture_output=True, text=True
    )

    assert done.stdout.split() == []


def test_the_tests_of_the_search_need_no_torch() -> None:
    files = [path for room in ("search", "contracts") for path in (ROOT / "tests" / room).glob("*.py")]

    found = {_name(path) for path in files if _roots(path) & set(HEAVY)}

    assert not found
