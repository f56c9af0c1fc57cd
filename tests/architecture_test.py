"""The floors, names and sizes that CONTRIBUTING.md promises, over the AST."""

import ast
from collections.abc import Iterator
import dataclasses
import functools
import graphlib
import pathlib
import statistics

import pytest

from pd_tf import verbs

ROOT = pathlib.Path(__file__).absolute().parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef
GROUND = ("config", "text")
FORBIDDEN_NAMES = (
    "base", "common", "core", "helper", "helpers", "util", "utils"
)
# At most, and in the median.
FILE_LINES, MEDIAN_FILE_LINES = 400, 170
FUNCTION_LINES, MEDIAN_FUNCTION_LINES = 50, 12


@dataclasses.dataclass(frozen=True)
class Module:
  """One file of pd_tf.

  Attributes:
    name: Dotted, `pd_tf.data.packing`; a package by its own name.
    path: Relative to the checkout.
    lines: How many lines it has.
    tree: What it parses to.
  """

  name: str
  path: pathlib.Path
  lines: int
  tree: ast.Module

  @property
  def folder(self) -> str:
    """`data` of pd_tf/data/packing.py; empty for a verb's file."""
    return self.path.parent.relative_to("pd_tf").as_posix().strip(".")


def parsed(path: pathlib.Path) -> Module:
  """Reads one file."""
  relative = path.relative_to(ROOT)
  parts = relative.with_suffix("").parts
  name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
  text = path.read_text(encoding="utf-8")
  return Module(name, relative, text.count("\n"), ast.parse(text, str(path)))


@functools.cache
def modules() -> dict[str, Module]:
  """Every file of pd_tf by its dotted name."""
  files = map(parsed, sorted((ROOT / "pd_tf").rglob("*.py")))
  return {module.name: module for module in files}


def imports(module: Module) -> Iterator[tuple[int, str]]:
  """Yields line and name of what a file imports, inside functions too."""
  for node in ast.walk(module.tree):
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield node.lineno, alias.name
    elif isinstance(node, ast.ImportFrom):
      source = "." * node.level + (node.module or "")
      for alias in node.names:
        yield node.lineno, f"{source}.{alias.name}"


def inner_imports(module: Module) -> Iterator[tuple[int, str]]:
  """Yields line and name of what a file imports of pd_tf."""
  for line, name in imports(module):
    if name == "pd_tf" or name.startswith("pd_tf."):
      yield line, name


def functions(module: Module) -> Iterator[Function]:
  """Yields functions, methods and functions within functions."""
  for node in ast.walk(module.tree):
    if isinstance(node, Function):
      yield node


def length(node: Function) -> int:
  """Lines of a function, with its docstring."""
  return (node.end_lineno or node.lineno) - node.lineno + 1


def require_none(wrong: list[str]) -> None:
  """Fails with one line for each thing that is wrong."""
  if wrong:
    pytest.fail("\n".join(wrong), pytrace=False)


def test_modules_are_imported_and_not_names():
  require_none([
      f"{module.path}:{line}: {name} is no module of pd_tf; import the module, "
      "and absolutely."
      for module in modules().values()
      for line, name in imports(module)
      if name.startswith((".", "pd_tf")) and name not in modules()
  ])


def test_a_noun_imports_only_itself_and_the_ground():
  wrong = []
  for module in modules().values():
    if not module.folder:
      continue
    allowed = {*GROUND, module.folder}
    if module.folder in GROUND:
      allowed = set(GROUND)
    for line, name in inner_imports(module):
      # `pd_tf` itself says the version.
      if name != "pd_tf" and name.split(".")[1] not in allowed:
        wrong.append(
            f"{module.path}:{line}: may import {', '.join(sorted(allowed))}, "
            f"imports {name}."
        )
  require_none(wrong)


def test_nothing_imports_in_a_circle():
  graph = {
      module.name: {name for _, name in inner_imports(module)}
      for module in modules().values()
  }
  try:
    graphlib.TopologicalSorter(graph).prepare()
  except graphlib.CycleError as error:
    pytest.fail("imports in a circle: " + " -> ".join(error.args[1]))


def test_folders_are_one_deep():
  require_none([
      f"{module.path}: expected pd_tf/<verb>.py or pd_tf/<noun>/<file>.py."
      for module in modules().values()
      if len(module.path.parts) > 3
  ])


def test_names_say_what_is_in_it():
  require_none([
      f"{module.path}: {part} says nothing of what is in it."
      for module in modules().values()
      for part in module.name.split(".")
      if part in FORBIDDEN_NAMES
  ])


def test_files_are_short():
  require_none([
      f"{module.path}: has {module.lines} lines, at most {FILE_LINES}."
      for module in modules().values()
      if module.lines > FILE_LINES
  ])
  median = statistics.median(
      module.lines for module in modules().values() if module.tree.body
  )
  assert median <= MEDIAN_FILE_LINES, f"lines of the median file: {median}"


def test_functions_are_short():
  require_none([
      f"{module.path}:{node.lineno}: {node.name} has {length(node)} lines, at "
      f"most {FUNCTION_LINES}."
      for module in modules().values()
      for node in functions(module)
      if length(node) > FUNCTION_LINES
  ])
  median = statistics.median(
      length(node)
      for module in modules().values()
      for node in functions(module)
  )
  assert median <= MEDIAN_FUNCTION_LINES, (
      f"lines of the median function: {median}"
  )


def test_keras_3_is_not_used():
  wrong = [
      f"{module.path}:{line}: imports {name}; expected tf_keras."
      for module in modules().values()
      for line, name in imports(module)
      if name.split(".")[0] == "keras" or name.startswith("tensorflow.keras")
  ]
  wrong += [
      f"{module.path}:{node.lineno}: tf.keras is Keras 3; expected tf_keras."
      for module in modules().values()
      for node in ast.walk(module.tree)
      if isinstance(node, ast.Attribute)
      and node.attr == "keras"
      and isinstance(node.value, ast.Name)
      and node.value.id == "tf"
  ]
  require_none(wrong)


def test_keyword_arguments_are_not_passed_on():
  wrong = []
  for module in modules().values():
    for node in functions(module):
      if node.args.kwarg is None:
        continue
      for call in ast.walk(node):
        if isinstance(call, ast.Call) and any(
            keyword.arg is None
            and isinstance(keyword.value, ast.Name)
            and keyword.value.id == node.args.kwarg.arg
            for keyword in call.keywords
        ):
          wrong.append(
              f"{module.path}:{call.lineno}: {node.name} passes "
              f"**{node.args.kwarg.arg} on; name the arguments."
          )
  require_none(wrong)


@pytest.mark.parametrize("verb", sorted(verbs.VERBS))
def test_a_verb_has_a_module_with_run_and_help(verb):
  name = verbs.VERBS[verb].module
  if name not in modules():
    pytest.fail(f"{name}: expected the module of {verb}.", pytrace=False)
  tree = modules()[name].tree
  wrong = []
  if f"pd-tf {verb}" not in (ast.get_docstring(tree) or ""):
    wrong.append(f"{name}: expected `pd-tf {verb} …` in its docstring.")
  if not any(
      isinstance(node, ast.FunctionDef) and node.name == "run"
      for node in tree.body
  ):
    wrong.append(f"{name}: expected a function run.")
  require_none(wrong)


def test_every_verb_has_a_program_and_every_program_a_verb():
  programs = {path.stem for path in (ROOT / "tools").glob("*.py")}
  assert programs == set(verbs.VERBS)
  targets = strings(ast.parse((ROOT / "tools" / "BUILD").read_text()))
  for verb in verbs.VERBS:
    text = (ROOT / "tools" / f"{verb}.py").read_text(encoding="utf-8")
    assert f'cli.main(["{verb}", ' in text
    assert verb in targets


def test_a_folder_has_a_build_file():
  folders = {module.path.parent for module in modules().values()}
  require_none([
      f"{folder}/BUILD: expected a library of the folder."
      for folder in sorted(folders)
      if not (ROOT / folder / "BUILD").exists()
  ])


def test_a_bazel_target_depends_on_what_its_files_import():
  wrong = []
  for module in modules().values():
    target, dependencies = declared(module)
    for line, name in inner_imports(module):
      label = target_of(modules()[name])
      if label != target and label not in dependencies:
        wrong.append(
            f"{module.path}:{line}: imports {name}, but {target} does not "
            f"depend on {label}."
        )
  require_none(wrong)


def test_the_targets_of_a_folder_of_tests_depend_on_what_they_import():
  wrong = []
  for path in sorted((ROOT / "tests").glob("*/*_test.py")):
    test = parsed(path)
    build = (path.parent / "BUILD").read_text(encoding="utf-8")
    dependencies = strings(ast.parse(build)) | {"//pd_tf:package"}
    for line, name in inner_imports(test):
      if name in modules() and target_of(modules()[name]) not in dependencies:
        wrong.append(
            f"{test.path}:{line}: imports {name}, but {test.path.parent}/BUILD "
            f"does not name {target_of(modules()[name])}."
        )
  require_none(wrong)


def target_of(module: Module) -> str:
  """The label of the library that holds a file."""
  if module.folder:
    return f"//pd_tf/{module.folder}"
  stem = module.path.stem
  return "//pd_tf:" + {"__init__": "package", "__main__": "cli"}.get(stem, stem)


def declared(module: Module) -> tuple[str, set[str]]:
  """A file's target, and every label that its call in the BUILD file names."""
  target = target_of(module)
  name = target.rpartition(":")[2].rpartition("/")[2]
  # BUILD files are calls with literals, which is Python as well.
  path = ROOT / module.path.parent / "BUILD"
  tree = ast.parse(path.read_text(encoding="utf-8"))
  labels = {"//pd_tf:package"}
  for node in ast.walk(tree):
    if isinstance(node, ast.Dict):
      for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == name:
          # A verb: an entry of VERB_DEPS; all have the settings.
          labels |= {"//pd_tf/config", *strings(value)}
    elif isinstance(node, ast.Call) and any(
        keyword.arg == "name"
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value == name
        for keyword in node.keywords
    ):
      labels |= strings(node)
  return target, {
      "//pd_tf" + label if label.startswith(":") else label for label in labels
  }


def strings(tree: ast.AST) -> set[str]:
  """Every literal string in an expression."""
  return {
      node.value
      for node in ast.walk(tree)
      if isinstance(node, ast.Constant) and isinstance(node.value, str)
  }
