import re
import subprocess
import sys
from dataclasses import replace

from alexnet.reproduction.findings.page import write_page
from alexnet.reproduction.plan.value import Choice, Figure
from alexnet.reproduction.running.results import Results

from .made_up import IMAGES, claim, experiment, run, store

BETTER = {"with": [0.40, 0.41, 0.42], "without": [0.45, 0.46, 0.48]}


def page_of(tmp_path, one, scales=("gpu", "cpu")) -> str:
    return write_page([one], tmp_path / "results", tmp_path / "docs", scales).read_text(encoding="utf-8")


def test_the_page_says_what_the_runs_say(tmp_path) -> None:
    one = experiment(claim(), claim(says="Without is better", without="with", arm="without"))
    store(Results(tmp_path / "results", "cpu"), one, BETTER)
    text = page_of(tmp_path, one)
    assert "\nOf 2 claims on the scale cpu: 1 reproduced, 1 not reproduced.\n" in text
    row = next(line for line in text.splitlines() if "[With is better](#made-up)" in line)
    assert "| 2 points | - | +5.3 points (+3.9 to +6.8; 3 seeds), cpu | **reproduced** |" in row
    assert "| with | the arm with | 1,000 | 0 | 0.01 | 41.0% (38.5% to 43.5%) | 20.5% (19.3% to 21.7%) | 3 |" in text
    assert "6 runs: 6 minutes of an abacus, 1 thread a run, fp32, torch 2." in text
    (image,) = re.findall(r"!\[.*\]\((.*)\)", text)
    assert (tmp_path / "docs" / image).read_text(encoding="utf-8").count("<svg") == 1


def test_the_page_is_the_same_from_the_same_runs(tmp_path) -> None:
    store(Results(tmp_path / "results", "cpu"), experiment(), BETTER)
    first = page_of(tmp_path, experiment())
    plot = (tmp_path / "docs" / "images" / "paper" / "made-up.svg").read_bytes()
    assert page_of(tmp_path, experiment()) == first
    assert (tmp_path / "docs" / "images" / "paper" / "made-up.svg").read_bytes() == plot


def test_what_was_not_run_has_no_figure(tmp_path) -> None:
    text = page_of(tmp_path, experiment())
    assert "| [With is better](#made-up) | 2 points | - | | not run yet |" in text
    assert "Not run yet." in text
    assert not (tmp_path / "docs" / "images").exists()
    store(Results(tmp_path / "results", "cpu"), experiment(), {"with": [0.4]})
    text = page_of(tmp_path, experiment())
    assert "| 2 points | - | | not run yet |" in text
    assert "| without | the arm without | | | | not run yet | not run yet | |" in text


def test_what_only_a_gpu_has_time_for_says_so(tmp_path) -> None:
    both = experiment().arms["cpu"]
    one = experiment(arms={"smoke": both, "cpu": both[:1], "gpu": both})
    assert "| 2 points | - | | not run yet, on the scale gpu alone |" in page_of(tmp_path, one)


def test_smoke_and_runs_with_other_settings_are_left_out(tmp_path) -> None:
    store(Results(tmp_path / "results", "smoke"), experiment(), BETTER)
    assert "not run yet" in page_of(tmp_path, experiment())
    store(Results(tmp_path / "results", "cpu"), experiment(), BETTER)
    arms = tuple(replace(each, training={**each.training, "epochs": 9}) for each in experiment().arms["cpu"])
    assert "not run yet" in page_of(tmp_path, experiment(arms=dict.fromkeys(("cpu", "gpu"), arms)))


def test_an_arm_may_have_chosen_a_setting(tmp_path) -> None:
    choice = Choice(setting="lr", values=(0.01, 0.5), arms=("with",), by=Figure(name="test_error"))
    one, results = experiment(choice=choice), Results(tmp_path / "results", "cpu")
    store(results, one, {"without": [0.5, 0.51]})
    arm = one.arm("cpu", "with")
    chose = replace(arm, training={**arm.training, "lr": 0.5})
    for seed in range(2):
        results.write("made-up", chose, seed, IMAGES, run(0.4) | {"settings": chose.to_json()})
    assert "| with | the arm with | 1,000 | 0 | 0.5 |" in page_of(tmp_path, one)


def test_ratios_and_levels_that_are_not_reached(tmp_path) -> None:
    reached = Figure(name="train_error", level=0.25, words="epochs to 25%", is_share=False)
    one = experiment(claim(figure=reached, is_ratio=True), figures=(reached,), plot="train_error")
    results = Results(tmp_path / "results", "cpu")
    for seed in range(2):
        for name, errors in (("with", [0.5, 0.25]), ("without", [0.5, 0.4, 0.4, 0.3])):
            points = [{"epoch": number, "train_error": each} for number, each in enumerate(errors, start=1)]
            results.write("made-up", one.arm("cpu", name), seed, IMAGES, run(curve=points))
    text = page_of(tmp_path, one)
    assert "2.00 times (at least, in 2 of them; 2.00 to any; 2 seeds), cpu | **reproduced** |" in text
    assert "at least 4.00 (4.00 to 4.00, not reached in 2)" in text


def test_a_run_that_failed_is_counted_and_decides_nothing(tmp_path) -> None:
    one, results = experiment(), Results(tmp_path / "results", "cpu")
    store(results, one, BETTER)
    failed = run() | {"failed": "the loss is nan", "figures": {}}
    results.write("made-up", one.arm("cpu", "without"), 2, IMAGES, failed)
    text = page_of(tmp_path, one)
    assert (
        "2 seeds, without 1 of which a run failed or has a bound only), cpu | **not testable at this size** |" in text
    )
    assert "| 3, 1 failed |" in text


def test_runs_of_other_experiments_are_not_counted_twice(tmp_path) -> None:
    one, results = experiment(), Results(tmp_path / "results", "cpu")
    store(results, one, BETTER)
    for seed in range(3):
        taken = run(0.4) | {"same_as": f"other/with-{seed}"}
        results.write("made-up", one.arm("cpu", "with"), seed, IMAGES, taken)
    assert "6 runs, 3 of them of other experiments: 3 minutes of an abacus" in page_of(tmp_path, one)


def test_the_page_needs_no_torch(tmp_path) -> None:
    """It is written from JSON alone."""
    store(Results(tmp_path / "results", "cpu"), experiment(), BETTER)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from alexnet.reproduction.findings.page import write_page\n"
        f"print(write_page([], Path({str(tmp_path / 'results')!r}), Path({str(tmp_path / 'docs')!r}), ['cpu']))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "| claim |" in (tmp_path / "docs" / "paper.md").read_text(encoding="utf-8")


def test_what_was_tried_first_stands_on_the_page(tmp_path) -> None:
    reached = Figure(name="train_error", level=0.25, words="epochs to 25%", is_share=False)
    one = experiment(choice=Choice(setting="lr", values=(0.01, 0.5), arms=("with",), by=reached))
    results = Results(tmp_path / "results", "cpu")
    store(results, one, BETTER)
    arm = one.arm("cpu", "with")
    for value, errors in ((0.01, [0.5, 0.0]), (0.5, [0.5, 0.4])):
        tried = replace(arm, name=f"with-lr-{value:g}", training={**arm.training, "lr": value, "epochs": 7})
        points = [{"epoch": number, "train_error": each} for number, each in enumerate(errors, start=1)]
        results.write("made-up", tried, 100, IMAGES, run(curve=points) | {"settings": tried.to_json()})
    text = page_of(tmp_path, one)
    assert "3 runs, and 2 before them: 5 minutes of an abacus" in text
    assert "Tried first with seed 100, epochs to 25% by lr: with 0.01: 1.50, 0.5: more than 2.00." in text
