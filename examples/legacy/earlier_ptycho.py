"""A script as users of legacy PtychoPINN wrote it for `ptycho`: load, train, stitch, save, load, predict, compare.

    python examples/legacy/earlier_ptycho.py scan.npz --gridsize 2 --nepochs 50 --output outputs/earlier

Nothing in it is of `ptychopinn`: only the legacy names are imported.
"""

import argparse
from pathlib import Path

import numpy as np

from ptycho import params
from ptycho.config.config import InferenceConfig, ModelConfig, TrainingConfig, update_legacy_dict
from ptycho.evaluation import eval_reconstruction
from ptycho.loader import PtychoDataContainer, load
from ptycho.metadata import MetadataManager
from ptycho.model_manager import MODEL_FILE_NAME, ModelManager, save
from ptycho.nbutils import reconstruct_image
from ptycho.probe import get_default_probe, set_probe_guess
from ptycho.raw_data import RawData
from ptycho.tf_helper import reassemble_position
from ptycho.workflows.backend_selector import load_inference_bundle_with_backend, run_cdi_example_with_backend
from ptycho.workflows.components import (
    create_ptycho_data_container,
    load_data,
    load_inference_bundle,
    reassemble_cdi_image,
    run_cdi_example,
    save_outputs,
)

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("scan", type=Path, help="NPZ with diffraction, xcoords, ycoords, probeGuess, objectGuess")
parser.add_argument("--gridsize", type=int, default=1)
parser.add_argument("--nepochs", type=int, default=50)
parser.add_argument("--n_filters_scale", type=int, default=2)
parser.add_argument("--n_images", type=int, help="use only so many patterns, those nearest to the first")
parser.add_argument("--output", type=Path, default=Path("outputs/earlier_ptycho"))
options = parser.parse_args()
options.output.mkdir(parents=True, exist_ok=True)

# 1. Load.
raw = RawData.from_file(options.scan)
if options.n_images is not None:
    distance = np.hypot(raw.xcoords - raw.xcoords[0], raw.ycoords - raw.ycoords[0])
    near = np.sort(np.argsort(distance)[: options.n_images])
    arrays = raw.xcoords[near], raw.ycoords[near], raw.diff3d[near], raw.probeGuess
    raw = RawData.from_coords(*arrays, scan_index=np.zeros(len(near), int), objectGuess=raw.objectGuess)
raw.to_file(options.output / "train.npz")
train_data, test_data = RawData.from_files(options.output / "train.npz", options.output / "train.npz")
print("patterns", len(load_data(options.output / "train.npz")), "of", raw.diff3d.shape[1:])

# 2. Configure; the dictionary that older modules read is filled from the dataclasses.
config = TrainingConfig(
    model=ModelConfig(N=raw.diff3d.shape[-1], gridsize=options.gridsize, n_filters_scale=options.n_filters_scale),
    train_data_file=options.output / "train.npz",
    nepochs=options.nepochs,
    batch_size=16,
    nphotons=1e6,
    neighbor_count=7,
    output_dir=options.output,
)
update_legacy_dict(params.cfg, config)
print("gridsize", params.get("gridsize"), "canvas of a group", params.get("bigN"))

# 3. Groups and containers.
groups = raw.generate_grouped_data(config.model.N, K=7, nsamples=8, seed=1, gridsize=options.gridsize)
assert groups["nn_indices"].shape == (8, options.gridsize**2)
container = create_ptycho_data_container(raw, config)
container.to_npz(options.output / "container.npz")
print("container", container.X.shape, container.coords_nominal.shape)

# 4. Train, stitch, save.
amplitude, phase, results = run_cdi_example(train_data, test_data, config, do_stitching=True)
print("last loss", results["history"]["loss"][-1])
save(options.output)
save_outputs(amplitude, phase, results, str(options.output))
MetadataManager.save_with_metadata(
    options.output / "image.npz",
    {"amplitude": amplitude, "phase": phase},
    MetadataManager.create_metadata(config, "earlier_ptycho.py"),
)

# 5. Load again, in another process as a rule, and predict patches.
model, loaded = load_inference_bundle(options.output)
model.summary()
set_probe_guess(None, raw.probeGuess)
whole = raw.generate_grouped_data(loaded["N"], K=7, nsamples=1, gridsize=options.gridsize)
test = load(lambda: whole, raw.probeGuess, which=None, create_split=False)
patches = model.predict([test.X * params.get("intensity_scale"), test.local_offsets])
object_ = np.squeeze(reassemble_position(patches, test.global_offsets, M=20))
assert reconstruct_image(test)[0].shape == patches.shape
inference = InferenceConfig(model=config.model, model_path=options.output, test_data_file=options.scan)
again, _, more = reassemble_cdi_image(test_data, inference, False, False, False, M=20)
assert more["obj_tensor_full"].shape[0] == len(raw)

# 6. Other ways to the same model.
assert (options.output / MODEL_FILE_NAME).exists()
named = ModelManager.load_multiple_models(options.output, ["diffraction_to_obj"])
selected, _ = load_inference_bundle_with_backend(options.output, inference)
assert set(named) == {"diffraction_to_obj"}
assert len(list(selected.parameters())) == len(list(model.parameters()))

# 7. Compare, in the frame of the known object.
if raw.objectGuess is not None:
    y, x = (slice(int(values.min()), int(values.max())) for values in (raw.ycoords, raw.xcoords))
    scores = eval_reconstruction(object_[y, x], raw.objectGuess[y, x], label="earlier_ptycho")
    print("PSNR of the phase", scores["psnr_phase"], "SSIM of the amplitude", scores["ssim_amplitude"])

# 8. The same through the other entry, on arrays alone.
plain = PtychoDataContainer.from_raw_data_without_pc(
    raw.xcoords, raw.ycoords, raw.diff3d, get_default_probe(config.model.N, "np"), None, raw.objectGuess
)
assert plain.X.shape[0] == len(raw)
config.nepochs = 1
_, _, results = run_cdi_example_with_backend(train_data, None, config)
print("backend", results["backend"])
