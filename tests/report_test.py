import html.parser
import json
import pathlib

import pytest

from pd_tf import cli
from pd_tf import report
from pd_tf.config import errors
from pd_tf.config import report as report_config

RESULTS = pathlib.Path(__file__).parents[1] / "docs" / "results"


@pytest.fixture
def evaluations(tmp_path):
  paths = []
  for name, value in (("pf", 0.8), ("pd", 0.85)):
    model = tmp_path / f"train_{name}"
    model.mkdir()
    (model / "metrics.jsonl").write_text(
        '{"step": 1, "loss": 0.7}\n{"step": 2, "loss": 0.6}\n'
    )
    path = tmp_path / name
    path.mkdir()
    (path / "result.json").write_text(json.dumps({
        "model": str(model),
        "examples": 100,
        "metrics": {
            "accuracy": {"value": value, "low": value - 0.05,
                         "high": value + 0.05},
            "matthews": {"value": 0.5, "low": 0.4, "high": 0.6},
        },
        "training": None,
    }))
    paths.append(str(path))
  return tuple(paths)


def test_report(evaluations, tmp_path, capsys):
  to = tmp_path / "report"
  result = report.run(report_config.ReportConfig(
      runs=evaluations, names=("PF", "<PD>"), to=str(to), title="A & B"
  ))
  assert sorted(path.name for path in to.iterdir()) == [
      "curves.csv", "curves.png", "report.html", "results.csv", "results.json",
      "results.md", "results.png",
  ]
  printed = capsys.readouterr().out
  assert "80.0 (75.0–85.0)" in printed
  text = (to / "results.md").read_text()
  assert text.startswith("# A & B\n") and printed.rstrip() in text
  assert json.loads((to / "results.json").read_text()) == result
  assert result["runs"][1]["metrics"]["accuracy"]["value"] == 0.85


class Page(html.parser.HTMLParser):
  """Collects what the page holds and what it would load."""

  def __init__(self):
    super().__init__()
    self.tags, self.sources, self.ids, self.text = [], [], set(), ""

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.sources += [
        value for name, value in attrs
        if name in ("src", "srcset", "href", "xlink:href")
    ]
    self.ids |= {value for name, value in attrs if name == "id"}

  def handle_data(self, data):
    self.text += data


def test_page_is_whole_in_itself(evaluations, tmp_path):
  report.run(report_config.ReportConfig(
      runs=evaluations, names=("PF", "<PD>"), to=str(tmp_path / "r"),
      title="A & B",
  ))
  page = Page()
  page.feed((tmp_path / "r" / "report.html").read_text(encoding="utf-8"))
  # Links within the page; nothing else is named.
  assert page.sources
  assert all(source.startswith("#") for source in page.sources)
  assert {source for source in page.sources if source[:5] == "#run-"} == {
      "#run-PF", "#run--PD-"
  }
  assert set(page.sources) >= {"#run-PF"}
  assert page.ids >= {source[1:] for source in page.sources}
  assert page.tags.count("svg") == 2
  assert page.tags.count("tr") == 3 + 2  # All runs; the difference of two.
  assert "<PD>" in page.text and "A & B" in page.text
  assert "link" not in page.tags and "img" not in page.tags


def test_without_a_directory_only_prints(evaluations, tmp_path, capsys):
  before = sorted(tmp_path.iterdir())
  assert cli.main(["report", *evaluations, "--names=a,b"]) == 0
  output = capsys.readouterr().out.splitlines()
  assert output[4].startswith("| a ")
  assert sorted(tmp_path.iterdir()) == before


def test_report_is_written_over_by_the_next(evaluations, tmp_path):
  to = tmp_path / "report"
  report.run(report_config.ReportConfig(runs=evaluations, to=str(to)))
  (tmp_path / "train_pf" / "metrics.jsonl").unlink()
  report.run(report_config.ReportConfig(runs=evaluations[:1], to=str(to)))
  assert not (to / "curves.png").exists()
  assert len(json.loads((to / "results.json").read_text())["runs"]) == 1


def test_chosen_metric(evaluations, tmp_path):
  config = report_config.ReportConfig(runs=evaluations, metric="matthews")
  report.run(config)
  with pytest.raises(errors.InputError) as raised:
    report.run(report_config.ReportConfig(runs=evaluations, metric="f1"))
  assert str(raised.value) == (
      "metric: expected one of accuracy, matthews, got 'f1'."
  )


def test_mistakes(evaluations, tmp_path):
  with pytest.raises(errors.InputError, match="^runs: expected directories"):
    report.run(report_config.ReportConfig())
  with pytest.raises(errors.InputError, match=r"^names: .* \(2\), got 1"):
    report_config.ReportConfig(runs=evaluations, names=("a",))
  (tmp_path / "full").mkdir()
  (tmp_path / "full" / "thesis.txt").write_text("mine")
  (tmp_path / "file").write_text("mine")
  for name, message in (
      ("full", "holds thesis.txt, which is not of a report"),
      ("file", "is a file, not a directory"),
  ):
    with pytest.raises(errors.InputError, match=message):
      report.run(report_config.ReportConfig(
          runs=evaluations, to=str(tmp_path / name)
      ))
  assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
  assert len(list((tmp_path / "full").iterdir())) == 1


def test_page_by_its_name_and_again_from_its_numbers(evaluations, tmp_path):
  first = report.run(report_config.ReportConfig(
      runs=evaluations, names=("PF", "PD"), question="Does it help?",
      out=str(tmp_path / "page.html"), title="T", subject="PF",
      metric="matthews",
  ))
  assert first["title"] == "T"
  assert (first["subject"], first["metric"]) == ("PF", "matthews")
  files = tmp_path / "page_files"
  again = report.run(report_config.ReportConfig(
      runs=(str(files / "results.json"),), out=str(tmp_path / "again.html"),
  ))
  assert again == first
  for path in sorted(files.iterdir()):
    assert (tmp_path / "again_files" / path.name).read_bytes() == (
        path.read_bytes()
    )
  assert (tmp_path / "page.html").read_text() == (
      tmp_path / "again.html"
  ).read_text()
  assert first["answer"] == [
      "In matthews, PF is not shown to differ from PD: 50.0 and 50.0."
  ]


def test_wrong_out():
  with pytest.raises(errors.InputError, match="^out: expected the name of an"):
    report_config.ReportConfig(out="report")
  with pytest.raises(errors.InputError, match=r"^out \(a.html\) and to \(b\)"):
    report_config.ReportConfig(out="a.html", to="b")


def test_models_in_directories_of_one_name_stay_apart(tmp_path):
  paths = []
  for parent, value in (("tiny", 0.5), ("mini", 0.75)):
    path = tmp_path / parent / "scores"
    path.mkdir(parents=True)
    (path / "result.json").write_text(
        json.dumps({"metrics": {"accuracy": value}})
    )
    paths.append(str(path))
  to = tmp_path / "r"
  # One is given twice.
  report.run(report_config.ReportConfig(runs=(*paths, paths[0]), to=str(to)))
  lines = (to / "results.csv").read_text().splitlines()[1:]
  assert [line.split(",")[2] for line in lines] == ["0.5", "0.75"]
  with pytest.raises(errors.InputError, match="^names: .* 2 runs with names"):
    report.run(report_config.ReportConfig(
        runs=(str(to / "results.json"),), names=("A",)
    ))


def test_the_best_under_a_budget_is_marked(evaluations, tmp_path, capsys):
  for path, size in zip(evaluations, (10**7, 10**8), strict=True):
    place = tmp_path / path / "result.json"
    result = json.loads(place.read_text())
    place.write_text(json.dumps({**result, "disk_bytes": size}))
  to = tmp_path / "r"
  arguments = ["report", *evaluations, "--names=PF,PD", f"--to={to}"]
  assert cli.main([*arguments, "--budget=size<20MB"]) == 0
  printed = capsys.readouterr().out
  assert (
      "Under the budget size < 20 MB, the best is PF: accuracy 80.0 "
      "(75.0–85.0), size 10 MB. 1 of 2 is under it.\n"
  ) in printed
  rows = [line.split("|") for line in printed.splitlines() if "|" in line]
  assert [row[2].strip() for row in rows] == [
      "budget", rows[1][2].strip(), "best", "over"
  ]
  text = (to / "report.html").read_text()
  assert text.count('<tr class="best">') == 1
  assert "#run-PF" in text.partition('<tr class="best">')[2].partition("<tr")[0]
  assert json.loads((to / "results.json").read_text())["marks"] == [
      "best", "over"
  ]
  assert cli.main([*arguments, "--budget=size<2"]) == 1
  assert cli.main([*arguments, "--budget=p95<2ms"]) == 1
  assert capsys.readouterr().err.splitlines() == [
      "pd-tf report: budget: size: expected a number with one of B, kB, KB, "
      "MB, GB, KiB, MiB, GiB, got '2'.",
      "pd-tf report: budget: no run says its p95; `pd-tf evaluate --latency` "
      "measures it.",
  ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "directory", sorted(path.parent for path in RESULTS.glob("*/results.json")),
    ids=lambda path: path.name,
)
def test_figures_of_our_results_come_from_their_numbers(directory, tmp_path):
  again = report.run(report_config.ReportConfig(
      runs=(str(directory / "results.json"),), out=str(tmp_path / "page.html"),
  ))
  files = tmp_path / "page_files"
  figures = [*directory.glob("*.csv"), *directory.glob("*.png")]
  assert figures
  for path in figures:
    assert (files / path.name).read_bytes() == path.read_bytes(), path.name
  kept = json.loads((directory / "results.json").read_text())
  assert kept["answer"] == again["answer"]
