"""Every config file of the project loads; every one that is named exists."""

import pathlib
import re

import pytest

from pd_tf.config import recipe
from pd_tf.config import settings
from pd_tf.config import train

ROOT = pathlib.Path(__file__).absolute().parents[2]
FILES = sorted(
    path.relative_to(ROOT).as_posix() for path in ROOT.glob("configs/*/*.yaml")
)


@pytest.mark.parametrize("name", FILES)
def test_it_loads(name):
  kind = recipe.RecipeConfig if "/recipes/" in name else train.TrainConfig
  settings.load(kind, [str(ROOT / name)])


def test_files_that_are_named_exist():
  places = ("*.md", "docs/*.md", "docs/results/*.md", "pd_tf/*.py",
            "configs/*/*.yaml")
  texts = [path for place in places for path in ROOT.glob(place)]
  for text in texts:
    for name in re.findall(r"configs/\w+/\w+\.yaml", text.read_text()):
      assert (ROOT / name).exists(), f"{text}: {name}"
