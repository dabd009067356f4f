"""The grid-lines simulator under the legacy name."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ptycho.workflows.grid_lines_workflow import GridLinesConfig
from ptychopinn.studies.grid_lines.data import make_grid_lines
from ptychopinn.studies.grid_lines.files import file_arrays, write_grid_lines


def grid_lines_sim(
    config: GridLinesConfig | None = None,
    probe: NDArray[Any] | None = None,
    output_dir: str | Path | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Simulate training and test data of the grid-lines study.

    Args:
        config: what to make; or its fields one by one, which win over it.
        probe: (H, H) complex; wins over the file that the configuration names.
        output_dir: instead of that of the configuration; nothing is written without one.

    Returns:
        For both parts, with `_train` and `_test` behind the name: `X` amplitudes, `Y_I`, `Y_phi` (B, N, N, C) float32;
        `coords_nominal`, `coords_true` [x, y] and `coords_offsets` [y, x], (B, 1, 2, C) float32; `YY_full`
        (n, Y, X, 1) complex64. `coords_nominal`, `coords_true` and `YY_full` without a suffix are those of the test
        part. Once: `YY_ground_truth` complex64 and `norm_Y_I` of the test part, `probeGuess`,
        `probe_simulated` (N, N) complex64, `intensity_scale`, `metadata`, and `train_npz`, `test_npz` of files.

    Raises:
        ValueError: settings that break a rule, or a probe that cannot be used.
        OutputError: a file cannot be written.
    """
    given = {} if config is None else config.model_dump()
    asked = GridLinesConfig.model_validate(given | settings)
    data = make_grid_lines(asked.data(), probe)
    result: dict[str, Any] = {"intensity_scale": data.train.intensity_scale, "metadata": data.train.metadata}
    for part in (data.train, data.test):
        for key, array in file_arrays(part).items():
            result[key if key in _ONCE else f"{_SHORT.get(key, key)}_{part.split}"] = array
    result |= {name: result[f"{name}_test"] for name in ("coords_nominal", "coords_true", "YY_full")}
    folder = asked.output_dir if output_dir is None else output_dir
    if folder is not None:
        result["train_npz"], result["test_npz"] = write_grid_lines(data, folder)
    return result


_ONCE = ("YY_ground_truth", "norm_Y_I", "probeGuess", "probe_simulated")
_SHORT = {"diffraction": "X"}
