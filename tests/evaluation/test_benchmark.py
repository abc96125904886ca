"""The benchmark's arithmetic, its failures, its tables and its report."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.evaluation import figures
from sasnet_live.evaluation.adapters import Entry
from sasnet_live.evaluation.benchmark import Benchmark, run_benchmark, score_method, summarize, textured
from sasnet_live.evaluation.case import Case, ControlPoints
from sasnet_live.evaluation.datasets import Dataset
from sasnet_live.evaluation.implicit import ImplicitModel
from sasnet_live.evaluation.methods import CLASSICAL, NoRegistration, OurModel, make_methods, method_names
from sasnet_live.evaluation.protocol import Registered, RegistrationFailed
from sasnet_live.evaluation.report import write_report
from sasnet_live.evaluation.tables import markdown, text_rows, write_scores
from sasnet_live.geometry import ScanGeometry
from sasnet_live.metrics import ncc, psnr, ssim
from sasnet_live.network.checkpoint import ModelCard, build_model, save_model
from tiny_training import EXPLICIT, IMPLICIT

STEPPED = ScanGeometry(slow_axis="stepped")


class Constant:
    """Says that everything is displaced by the same amount, and gives the forward lines back."""

    def __init__(self, displacement_px: float, down_px: float | None = None) -> None:
        self.right, self.down = displacement_px, down_px

    def register(self, forward: Any, backward: Any, geometry: ScanGeometry) -> Registered:
        down = None if self.down is None else np.full(backward.shape, self.down)
        return Registered(forward[: len(backward)], np.full(backward.shape, self.right), down)


class Broken:
    """Fails in the way it is told to."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def register(self, forward: Any, backward: Any, geometry: ScanGeometry) -> Registered:
        raise self.error


class WrongShape:
    """Gives an image of another shape."""

    def register(self, forward: Any, backward: Any, geometry: ScanGeometry) -> Registered:
        return Registered(backward[:, :-1])


def _case(seed: int = 0, level: str = "easy", **truth: Any) -> Case:
    forward, backward = np.random.default_rng(seed).random((2, 16, 24)).astype(np.float32)
    return Case(f"case-{seed}", level, forward, backward, STEPPED, **truth)


def _dataset(cases: list[Case]) -> Dataset:
    return Dataset("some data", tuple(Entry(case.name, case.level, lambda c=case: c) for case in cases))


@pytest.fixture
def benchmark_run() -> Benchmark:
    displacement = np.full((16, 24), 2.0)
    cases = [_case(i, level, displacement_px=displacement) for i, level in enumerate(["easy", "easy", "hard"])]
    methods = {
        "none": NoRegistration(),
        "good": Constant(1.75),
        "sift": Broken(RegistrationFailed("no key points <here>")),
    }
    return run_benchmark(_dataset(cases), methods)


class TestScore:
    def test_figures_are_against_the_truth(self) -> None:
        truth = np.random.default_rng(5).random((16, 24)).astype(np.float32)
        case = _case(truth=truth)
        score, _ = score_method("data", case, "none", NoRegistration())
        assert score.ncc == ncc(truth, case.backward)
        assert score.ssim == ssim(truth, case.backward)
        assert score.psnr_db == psnr(truth, case.backward)
        assert score.ms > 0
        assert math.isnan(score.displacement_error_px)
        assert not score.failed

    def test_displacement_error_counts_textured_px_only(self) -> None:
        displacement, mask = np.zeros((16, 24)), np.zeros((16, 24), bool)
        displacement[:8], mask[:8] = 3.0, True
        score, _ = score_method("d", _case(displacement_px=displacement, textured=mask), "m", Constant(1.0))
        assert score.displacement_error_px == pytest.approx(2.0)

    def test_texture_is_found_where_there_is_no_mask(self) -> None:
        truth = np.zeros((16, 64), np.float32)
        truth[:, 30:33] = 5.0
        found = textured(_case(truth=truth))
        assert found[:, 28:36].any()
        assert not found[:, :20].any()
        assert not found[:, 44:].any()

    def test_the_forward_pass_is_compared_with_too(self) -> None:
        case = _case(truth=np.random.default_rng(5).random((16, 24)).astype(np.float32))
        score, _ = score_method("d", case, "m", Constant(0.0))
        assert score.reference_ncc == pytest.approx(1)
        assert score.ncc < 0.9

    @pytest.mark.parametrize(("method", "expected"), [(Constant(-3.0), 5.0), (Constant(-3.0, 4.0), 9.0)])
    def test_control_points(self, method: Constant, expected: float) -> None:
        """Each reference point (x, y) has moved to (x + 3, y + 5): without the slow axis 5 px remain, or 5 + 4."""
        reference = np.array([[4.0, 3.0], [10.5, 7.25]])
        points = ControlPoints(reference, reference + np.array([3.0, 5.0]))
        score, _ = score_method("d", _case(points=points), "m", method)
        assert score.point_error_px == pytest.approx(expected)

    def test_control_points_are_in_px_of_the_original(self) -> None:
        reference = np.array([[4.0, 3.0]])
        points = ControlPoints(reference, reference + np.array([3.0, 0.0]), original_px=4.0)
        score, _ = score_method("d", _case(points=points), "m", NoRegistration())
        assert score.point_error_px == pytest.approx(12.0)

    @pytest.mark.parametrize(
        ("method", "note"),
        [
            (Broken(RegistrationFailed("nothing found")), "nothing found"),
            (Broken(ZeroDivisionError("oh")), "ZeroDivisionError: oh"),
            (WrongShape(), r"gave an image of (16, 23), expected (16, 24)"),
        ],
    )
    def test_a_failure_is_scored_as_no_registration(self, method: Any, note: str) -> None:
        case = _case()
        score, registered = score_method("d", case, "m", method)
        assert score.failed
        assert score.note == note
        assert score.ncc == score_method("d", case, "none", NoRegistration())[0].ncc
        np.testing.assert_array_equal(registered.image, case.backward)

    def test_a_frame_that_a_method_refuses_is_its_failure(self) -> None:
        score, _ = score_method("d", _case(), "m", Broken(InputError("a line of 24 px; expected 32 or more")))
        assert score.failed
        assert "expected 32 or more" in score.note


class TestSummary:
    def test_means_spreads_and_levels(self, benchmark_run: Benchmark) -> None:
        summaries = {(s.level, s.method): s for s in summarize(benchmark_run, "none")}
        assert set(summaries) == {(lv, m) for lv in ("easy", "hard", "all") for m in ("none", "good", "sift")}
        none = [score for score in benchmark_run.scores if score.method == "none"]
        easy = summaries["easy", "none"]
        assert easy.frames == 2
        assert easy.mean["ncc"] == pytest.approx(np.mean([s.ncc for s in none[:2]]))
        assert easy.std["ncc"] == pytest.approx(np.std([s.ncc for s in none[:2]], ddof=1))
        assert math.isnan(summaries["hard", "none"].std["ncc"])
        assert summaries["all", "good"].mean["displacement_error_px"] == pytest.approx(0.25)
        assert summaries["all", "sift"].failed == 3

    def test_paired_differences(self, benchmark_run: Benchmark) -> None:
        summaries = {(s.level, s.method): s for s in summarize(benchmark_run, "none")}
        assert summaries["all", "none"].difference == {}
        ncc_none = [s.ncc for s in benchmark_run.scores if s.method == "none"]
        mean, half, wins, pairs = summaries["all", "good"].difference["ncc"]
        gaps = 1 - np.array(ncc_none)
        assert mean == pytest.approx(gaps.mean(), abs=1e-6)
        assert half == pytest.approx(1.96 * gaps.std(ddof=1) / math.sqrt(3), rel=1e-3)
        assert (wins, pairs) == (3, 3)
        error = summaries["all", "good"].difference["displacement_error_px"]
        assert error[0] == pytest.approx(0.25 - 2.0)
        assert error[2:] == (3, 3)  # less is better
        assert summaries["all", "sift"].difference["ncc"][2] == 0

    def test_against_something_that_was_not_run(self, benchmark_run: Benchmark) -> None:
        with pytest.raises(InputError, match="cannot compare against 'lite'; expected one of none, good, sift"):
            summarize(benchmark_run, "lite")

    def test_progress_and_examples(self) -> None:
        seen: list[tuple[int, int]] = []
        cases = [_case(0), _case(1, "hard")]
        methods = {"none": NoRegistration(), "good": Constant(0.0)}
        found = run_benchmark(_dataset(cases), methods, lambda done, total, what: seen.append((done, total)))
        assert seen == [(0, 4), (1, 4), (2, 4), (3, 4)]
        assert [example.case.level for example in found.examples] == ["easy", "hard"]
        assert set(found.examples[0].results) == {"none", "good"}


class TestRecordings:
    @staticmethod
    def run(places: list[tuple[str, int]]) -> Benchmark:
        cases = [replace(_case(i), recording=name, number=number) for i, (name, number) in enumerate(places)]
        return run_benchmark(_dataset(cases), {"none": NoRegistration(), "good": Constant(0.0)})

    def test_frames_are_compared_with_the_one_before(self) -> None:
        scores = [score for score in self.run([("a", 0), ("a", 1), ("a", 2)]).scores if score.method == "good"]
        assert math.isnan(scores[0].temporal_ncc)
        for seed, score in enumerate(scores[1:], 1):
            assert score.temporal_ncc == pytest.approx(float(ncc(_case(seed - 1).forward, _case(seed).forward)))

    @pytest.mark.parametrize("places", [[("", 0), ("", 1)], [("a", 0), ("b", 1)], [("a", 0), ("a", 2)]])
    def test_but_only_within_a_recording(self, places: list[tuple[str, int]]) -> None:
        found = self.run(places)
        assert all(math.isnan(score.temporal_ncc) for score in found.scores)
        assert "temporal NCC" not in markdown(summarize(found))

    def test_the_table_shows_it(self) -> None:
        assert "temporal NCC" in markdown(summarize(self.run([("a", 4), ("a", 5)])))


class TestTables:
    def test_csv_holds_every_frame(self, benchmark_run: Benchmark, tmp_path: Path) -> None:
        write_scores(benchmark_run, tmp_path / "scores.csv")
        with (tmp_path / "scores.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 9
        assert float(rows[1]["displacement_error_px"]) == 0.25
        assert rows[2]["note"] == "no key points <here>"
        assert float(rows[0]["ncc"]) == benchmark_run.scores[0].ncc

    def test_only_known_figures_are_shown(self, benchmark_run: Benchmark) -> None:
        header, *rows = text_rows(summarize(benchmark_run))
        assert "displacement error, px" in header
        assert "control points, px" not in header
        assert rows[-1][-1] == "failed on 3"
        assert markdown(summarize(benchmark_run)).splitlines()[1].startswith("| --- |")

    def test_a_place_that_cannot_be_written(self, benchmark_run: Benchmark, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be written"):
            write_scores(benchmark_run, tmp_path / "nowhere" / "scores.csv")


class TestReport:
    def test_one_file_with_everything_in_it(self, benchmark_run: Benchmark, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        write_report(benchmark_run, path, "none")
        page = path.read_text(encoding="utf-8")
        assert page.count('src="data:image/png;base64,iVBOR') == 8  # four sorts of curves and time, two a level
        assert not re.search(r'(src|href)="(?!data:)', page)
        assert "failed on 3" in page
        assert "no key points &lt;here&gt;" in page
        for heading in ("<h2>easy</h2>", "<h2>hard</h2>", "<h2>all</h2>", "against none"):
            assert heading in page

    def test_every_method_looks_different_in_the_pictures(self) -> None:
        names = [*CLASSICAL, "lite", "lite:warped", "full", "full:warped", "correspondence", "runs/x.safetensors"]
        styles = [tuple(figures._style(name, names).items()) for name in names]
        assert len({str(style) for style in styles}) == len(names)

    def test_many_methods_are_shown_in_several_rows(self) -> None:
        methods = {f"m{i}": Constant(float(i)) for i in range(13)}
        found = run_benchmark(_dataset([_case(displacement_px=np.full((16, 24), 2.0))]), methods)
        heights = []
        for count in (2, 6, 13):
            few = replace(found.examples[0], results=dict(list(found.examples[0].results.items())[:count]))
            width, height = np.frombuffer(figures.example_images(few)[16:24], ">u4")
            assert width <= 2.2 * 7 * 110 + 1
            heights.append(height)
        assert heights[0] == heights[1]
        assert heights[2] > 2.5 * heights[1]

    def test_pictures_of_cases_without_any_truth(self) -> None:
        class Silent:
            def register(self, forward: Any, backward: Any, geometry: ScanGeometry) -> Registered:
                return Registered(backward)

        found = run_benchmark(_dataset([_case()]), {"silent": Silent()})
        assert figures.displacement_curves(found.examples[0]) is None
        assert figures.score_curves(found, "displacement_error_px") is None
        assert figures.example_images(found.examples[0]).startswith(b"\x89PNG")


class TestMethods:
    def test_names_and_groups(self, fake_registrar: Any) -> None:
        assert method_names()[-4:] == ("lite", "lite:warped", "full", "full:warped")
        assert list(make_methods(["ours"])) == ["lite", "lite:warped", "full", "full:warped"]
        assert list(make_methods(["none", "ours", "lite"]))[:2] == ["none", "lite"]
        assert tuple(make_methods(["all"])) == method_names()

    def test_peers_need_no_model(self) -> None:
        assert list(make_methods(["peers"]))[:2] == ["none", "line-phase"]

    @pytest.mark.parametrize(
        ("names", "message"),
        [(["tvl"], "unknown method 'tvl'; did you mean tvl1"), (["zzz"], "expected all, peers"), ([], "no method")],
    )
    def test_bad_names(self, fake_registrar: Any, names: list[str], message: str) -> None:
        with pytest.raises(InputError, match=message):
            make_methods(names)

    def test_weights_files_are_methods(self, tmp_path: Path) -> None:
        case = _case()
        for name, kind in (("own", EXPLICIT), ("paper", IMPLICIT)):
            save_model(tmp_path / f"{name}.safetensors", build_model(kind), ModelCard(name, kind))
        own, paper = (str(tmp_path / f"{name}.safetensors") for name in ("own", "paper"))
        methods = make_methods([own, f"{own}:warped", paper])
        assert list(methods) == [own, f"{own}:warped", paper]
        assert [type(method).__name__ for method in methods.values()] == ["OurModel", "OurModel", "ImplicitModel"]
        before = case.backward.copy()
        found = methods[paper].register(case.forward, case.backward, STEPPED)
        assert found.image.shape == case.backward.shape
        assert found.displacement_px is None
        assert np.isfinite(found.image).all()
        np.testing.assert_array_equal(case.backward, before)
        with pytest.raises(InputError, match="moves no lines, it paints them; leave out :warped"):
            make_methods([f"{paper}:warped"])
        with pytest.raises(InputError, match="explicit correspondence"):
            ImplicitModel(Path(own))
        with pytest.raises(InputError, match="no such weights file"):
            make_methods([str(tmp_path / "none.safetensors")])
        with pytest.raises(InputError, match="device is 'banana'"):
            make_methods([paper], "banana")

    def test_our_model_forgets_and_is_warm_before_the_clock(self, fake_registrar: Any) -> None:
        case = _case()
        method = OurModel("lite")
        for _ in range(2):
            score_method("d", case, "lite", method)
        calls = ["new lite", "new lite", "warm up (32, 24)", "reset", "register", "reset", "register"]
        assert fake_registrar.calls == calls

    def test_outputs_and_reasons(self, fake_registrar: Any) -> None:
        case = _case()
        rendered, warped = (make_methods([name])[name] for name in ("lite", "lite:warped"))
        np.testing.assert_array_equal(rendered.register(case.forward, case.backward, STEPPED).image, case.forward)
        np.testing.assert_array_equal(warped.register(case.forward, case.backward, STEPPED).image, case.backward)
        flat = Case("flat", "easy", np.ones((12, 12), np.float32), np.ones((12, 12), np.float32), STEPPED)
        score, _ = score_method("d", flat, "lite", rendered)
        assert (score.note, score.failed) == ("constant frame", False)
        found = run_benchmark(_dataset([flat]), {"lite": rendered})
        assert summarize(found)[0].passed_through == 1
