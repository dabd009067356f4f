"""Files of priors: round trip, and files that are refused."""

import json
from pathlib import Path

import pytest
import torch

from ptychopinn.bundle.tensors import pack_tensors
from ptychopinn.errors import BundleError
from ptychopinn.prior import Prior, PriorRecipe, load_prior, save_prior
from ptychopinn.prior.files import MOST_BYTES


def written(path: Path, prior: Prior, **changed: object) -> Path:
    """The file of a prior with another state, recipe or record."""
    state = changed.pop("state", prior.network.state_dict())
    parts = {"recipe": prior.recipe.model_dump(), "record": prior.record.model_dump()} | changed
    path.write_bytes(pack_tensors(state, {"prior": json.dumps(parts)}))  # type: ignore[arg-type]
    return path


def test_a_prior_comes_back_as_it_was_saved(prior: Prior, tmp_path: Path) -> None:
    path = save_prior(prior, tmp_path / "mine.safetensors")
    back = load_prior(path)
    assert (back.recipe, back.record, back.name) == (prior.recipe, prior.record, str(path))
    for name, value in prior.network.state_dict().items():
        assert torch.equal(back.network.state_dict()[name], value.half().float())
    assert not back.network.training


def test_weights_in_single_precision_are_read_as_they_are(prior: Prior, tmp_path: Path) -> None:
    back = load_prior(written(tmp_path / "a", prior))
    for name, value in prior.network.state_dict().items():
        assert torch.equal(back.network.state_dict()[name], value)


def test_weights_that_are_not_finite_are_refused(prior: Prior, tmp_path: Path) -> None:
    state = dict(prior.network.state_dict())
    state["last.bias"] = torch.tensor([0.0, float("nan")])
    with pytest.raises(BundleError, match=r"must be finite numbers, float16 or float32, which last\.bias are not"):
        load_prior(written(tmp_path / "a", prior, state=state))


def test_weights_of_another_type_are_refused(prior: Prior, tmp_path: Path) -> None:
    state = {name: value.double() for name, value in prior.network.state_dict().items()}
    with pytest.raises(BundleError, match="must be finite numbers, float16 or float32"):
        load_prior(written(tmp_path / "a", prior, state=state))


def test_a_recipe_that_asks_for_more_than_its_weights_is_refused_without_building_it(
    prior: Prior, tmp_path: Path
) -> None:
    large = prior.recipe.changed(width=64, levels=5, blocks=4).model_dump()
    with pytest.raises(BundleError, match="do not fit the model of the recipe"):
        load_prior(written(tmp_path / "a", prior, recipe=large))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("levels", 0),
        ("levels", 99),
        ("width", 10**9),
        ("blocks", 10**6),
        ("local_mean_px", 1e9),
        ("frame_px", 1e9),
        ("noise_floor", 0),
        ("step_scale", -1),
        ("limit_sigma", 1e9),
        ("another", 1),
    ],
)
def test_a_recipe_out_of_bounds_is_refused(prior: Prior, tmp_path: Path, name: str, value: float) -> None:
    tree = prior.recipe.model_dump() | {name: value}
    with pytest.raises(BundleError, match=name):
        load_prior(written(tmp_path / "a", prior, recipe=tree))


@pytest.mark.parametrize("name", ["recipe", "record"])
@pytest.mark.parametrize("value", [None, [1, 2], "text"])
def test_a_recipe_or_record_that_is_no_mapping_is_refused(
    prior: Prior, tmp_path: Path, name: str, value: object
) -> None:
    with pytest.raises(BundleError, match=name):
        load_prior(written(tmp_path / "a", prior, **{name: value}))


@pytest.mark.parametrize("texts", [{}, {"prior": "{"}, {"prior": "[1]"}, {"prior": "[" * 100_000}, {"other": "{}"}])
def test_a_file_without_a_recipe_is_no_prior(prior: Prior, tmp_path: Path, texts: dict[str, str]) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack_tensors(prior.network.state_dict(), texts))
    with pytest.raises(BundleError):
        load_prior(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\xff" * 64, (2**62).to_bytes(8, "little") + b"{}"])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(BundleError):
        load_prior(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(BundleError, match=f"at most {MOST_BYTES} bytes"):
        load_prior(path)


def test_a_missing_file_and_a_folder_say_what_to_give(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BundleError, match="give 'default', or a file that"):
            load_prior(path)


def test_a_prior_that_is_too_large_is_not_written(prior: Prior, tmp_path: Path) -> None:
    from ptychopinn.prior import PriorNetwork

    large = Prior(PriorNetwork(PriorRecipe(levels=4, width=64)), prior.record, "large")
    with pytest.raises(BundleError, match="lower width"):
        save_prior(large, tmp_path / "a")
    assert not (tmp_path / "a").exists()
