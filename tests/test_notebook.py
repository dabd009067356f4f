"""What a prompt and a notebook show of scans and results."""

import base64
import html
import re
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import ptychopinn
from ptychopinn.api.evaluate import Evaluation
from ptychopinn.api.run import Run
from ptychopinn.data import Scan
from ptychopinn.notebook import FIGURES, Shown

QUICK = [
    "simulation.object_size_px=52",
    "simulation.probe_size_px=16",
    "simulation.step_px=3",
    "training.epochs=2",
    "model.generator.width=2",
    "model.generator.levels=2",
]


@pytest.fixture(scope="module")
def scan() -> Scan:
    made = ptychopinn.simulate(overrides=QUICK).scan
    return replace(made, pixel_size_m=11.5e-9, source="a<b>&.npz")


@pytest.fixture(scope="module")
def run(scan: Scan) -> Run:
    return ptychopinn.run(scan, overrides=[*QUICK, "reconstruction.prior=none"])


@pytest.fixture(scope="module")
def evaluation(scan: Scan, run: Run) -> Evaluation:
    return ptychopinn.evaluate(run.reconstruction, scan)


@pytest.fixture(params=["scan", "reconstruction", "trained", "evaluation", "run", "reconstructed"])
def value(request: pytest.FixtureRequest, scan: Scan, run: Run, evaluation: Evaluation) -> Shown:
    return {
        "scan": scan,
        "reconstruction": run.reconstruction,
        "trained": run.trained,
        "evaluation": evaluation,
        "run": run,
        "reconstructed": run.reconstructed,
    }[request.param]


def test_a_value_is_described_in_a_few_lines(value: Shown) -> None:
    lines = repr(value).splitlines()

    assert 1 < len(lines) <= 6
    assert max(len(line) for line in lines) <= 160
    assert "array(" not in repr(value)


def test_a_figure_opens_no_window(value: Shown) -> None:
    from matplotlib import pyplot

    figure = value.plot()

    assert isinstance(figure, Figure)
    assert len(figure.axes) >= 2
    assert pyplot.get_fignums() == []


def test_the_notebook_shows_text_and_figure_without_another_file(value: Shown) -> None:
    shown = value._repr_html_()

    text = re.search(r"<pre[^>]*>(.*?)</pre>", shown, flags=re.DOTALL)
    assert text is not None
    assert html.unescape(text[1]) == repr(value)
    assert "<" not in text[1]
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', shown)
    assert len(sources) == shown.count("src=") == 1
    with Image.open(BytesIO(base64.b64decode(sources[0]))) as image:
        pixels = np.asarray(image.convert("L"))
    assert min(pixels.shape) > 200
    assert pixels.std() > 10
    assert f'alt="Figure of the {type(value).__name__}"' in shown


def test_a_scan_says_what_info_says(scan: Scan) -> None:
    about, said = ptychopinn.info(scan), repr(scan)

    assert f"{len(scan)} patterns of 16 x 16 px, counts ({scan.patterns.dtype}), from a<b>&.npz" in said
    assert f"{about.mean_photons_per_pattern:.3g} photons per pattern" in said
    assert f"overlap {about.overlap:.0%}, 1 probe mode, object pixel 11.5 nm" in said


def test_bad_pixels_do_not_count(scan: Scan) -> None:
    bad = np.zeros((16, 16), bool)
    bad[8, 8] = True
    spoilt = scan.patterns.copy()
    spoilt[:, 8, 8] = 60_000
    masked = replace(scan, patterns=spoilt, bad_pixels=bad)

    expected = (scan.counts() * ~bad).sum(axis=(1, 2)).mean()
    assert f"{expected:.3g} photons per pattern" in repr(masked)
    assert masked.plot().axes[0].images[0].get_array().mask[8, 8]


def test_modes_and_an_estimated_probe_are_named(scan: Scan) -> None:
    three = replace(scan, probe=np.repeat(scan.probe, 3, axis=0), metadata={"probe_estimated": True})
    assert "3 probe modes (estimated)" in repr(three)
    assert "Probe, estimated, 3 modes" in [axes.get_title(loc="left") for axes in three.plot().axes]


def test_a_scan_without_reference_shows_three_panels(scan: Scan) -> None:
    titles = [axes.get_title(loc="left") for axes in replace(scan, object_guess=None).plot().axes]
    assert titles == [f"Mean of {len(scan)} patterns", "Scan positions", "Probe"]
    assert len(scan.plot().axes) == 5


def test_a_reconstruction_says_verdict_and_coverage(run: Run) -> None:
    image, said = run.reconstruction, repr(run.reconstruction)
    rows, columns = image.object_.shape

    assert f"object of {rows} x {columns} px, {image.covered.mean():.0%} covered" in said
    assert f"verdict: {image.metadata['verdict']['level']}" in said
    assert "error bars" not in said
    errors = np.full(image.object_.shape, 0.1, np.float32)
    assert "with error bars" in repr(replace(image, amplitude_error=errors, phase_error=errors))


def test_an_evaluation_says_its_scores(evaluation: Evaluation) -> None:
    assert f"phase PSNR {evaluation.report['psnr_phase']:.2f} dB" in repr(evaluation)
    assert f"FRC 0.5 at {evaluation.report['frc_0.5_nyquist']:.3g} of Nyquist" in repr(evaluation)


def test_a_training_says_epochs_and_losses(run: Run) -> None:
    said = repr(run.trained)
    assert "2 epochs in " in said
    assert f"training loss {run.trained.history['train_loss'][-1]:.4g}" in said


def test_a_value_that_nobody_checked_can_still_be_printed() -> None:
    odd = Scan(np.ones(3), "counts", np.zeros((3, 2)), np.ones((1, 1, 1)))  # type: ignore[arg-type]
    assert repr(odd).startswith("<Scan that cannot be described: ")


def test_a_type_without_figure_is_refused() -> None:
    class Bare(Shown):
        def summary(self) -> str:
            return "bare"

    with pytest.raises(TypeError, match="Bare has no figure"):
        Bare().plot()


def test_a_subclass_has_the_figure_of_its_kind(scan: Scan) -> None:
    class Special(Scan):
        pass

    fields = {name: getattr(scan, name) for name in scan.__dataclass_fields__}
    assert len(Special(**fields).plot().axes) == 5
    assert set(FIGURES) == {"Scan", "Reconstruction"}
