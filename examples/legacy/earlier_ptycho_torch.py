"""A script as users of legacy PtychoPINN wrote it for `ptycho_torch`: both of its workflows, and Lightning by hand.

python examples/legacy/earlier_ptycho_torch.py scan.npz --gridsize 2 --nepochs 50 --output outputs/earlier_torch
"""

import argparse
from dataclasses import replace
from pathlib import Path

import lightning
import numpy as np
import torch

from ptycho import params
from ptycho.config.config import PyTorchExecutionConfig, update_legacy_dict
from ptycho.raw_data import RawData
from ptycho_torch.api.base_api import (
    ConfigManager,
    InferenceEngine,
    Orchestration,
    PtychoDataLoader,
    PtychoModel,
    Trainer,
)
from ptycho_torch.config_bridge import to_model_config, to_training_config
from ptycho_torch.config_factory import create_training_payload
from ptycho_torch.dataloader import PtychoDataset, TensorDictDataLoader
from ptycho_torch.generators.registry import resolve_generator
from ptycho_torch.lightning_utils import find_best_checkpoint
from ptycho_torch.model import PtychoPINN_Lightning
from ptycho_torch.raw_data_bridge import RawDataTorch
from ptycho_torch.reassembly import reconstruct_image_barycentric
from ptycho_torch.workflows.components import (
    create_container_from_raw,
    load_inference_bundle_torch,
    run_cdi_example_torch,
    save_torch_bundle,
)

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("scan", type=Path, help="NPZ with diffraction, xcoords, ycoords, probeGuess, objectGuess")
parser.add_argument("--gridsize", type=int, default=1)
parser.add_argument("--nepochs", type=int, default=50)
parser.add_argument("--n_filters_scale", type=int, default=2)
parser.add_argument("--n_images", type=int, help="use only so many patterns, those nearest to the first")
parser.add_argument("--output", type=Path, default=Path("outputs/earlier_ptycho_torch"))
options = parser.parse_args()
data_dir = options.output / "data"
data_dir.mkdir(parents=True, exist_ok=True)

# 1. Load.
raw = RawData.from_file(options.scan)
if options.n_images is not None:
    distance = np.hypot(raw.xcoords - raw.xcoords[0], raw.ycoords - raw.ycoords[0])
    near = np.sort(np.argsort(distance)[: options.n_images])
    arrays = raw.xcoords[near], raw.ycoords[near], raw.diff3d[near], raw.probeGuess
    raw = RawDataTorch(*arrays, scan_index=np.zeros(len(near), int), objectGuess=raw.objectGuess)
scan = raw.to_file(data_dir / "scan.npz")

# 2. Configure, all families at once; and the bridge, which fills the legacy dictionary.
overrides = {
    "gridsize": options.gridsize,
    "n_filters_scale": options.n_filters_scale,
    "max_epochs": options.nepochs,
    "nphotons": 1e6,
    "neighbor_count": 7,
}
execution = PyTorchExecutionConfig(accelerator="cpu", learning_rate=2e-3, enable_checkpointing=False)
payload = create_training_payload(scan, options.output / "workflow", overrides, execution)
model_config = to_model_config(payload.pt_data_config, payload.pt_model_config)
bridged = to_training_config(
    model_config,
    payload.pt_data_config,
    payload.pt_model_config,
    payload.pt_training_config,
    {"nphotons": 1e6, "train_data_file": scan},
)
update_legacy_dict(params.cfg, bridged)
assert params.get("gridsize") == options.gridsize

# 3. The workflow: train, stitch, save, load, predict.
config = payload.tf_training_config
container = create_container_from_raw(raw, config)
print("container", tuple(container.X.shape), tuple(container.coords_relative.shape))
amplitude, phase, results = run_cdi_example_torch(
    raw, raw, config, do_stitching=True, execution_config=payload.execution_config
)
print("last loss", results["history"]["train_loss"][-1], "image", results["recon_amp"].shape)
save_torch_bundle(results["models"], options.output / "bundle" / "wts.h5", config)
models, restored = load_inference_bundle_torch(options.output / "workflow")
model = models["diffraction_to_obj"].eval()
patches = model([container.X * restored["intensity_scale"], container.local_offsets])
assert patches.shape == container.X.shape

# 4. The high-level API.
manager = ConfigManager.from_configs(
    payload.pt_model_config,
    payload.pt_data_config,
    replace(payload.pt_training_config, device="cpu"),
    payload.pt_inference_config,
)
loader = PtychoDataLoader(data_dir, manager, output_dir=options.output / "api")
new = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=manager)
trainer = Trainer._from_lightning(model=new, dataloader=loader, orchestration="lightning", config_manager=manager)
trainer.train(orchestration="lightning", experiment_name="earlier")
checkpoint = find_best_checkpoint(loader.output_dir)
loaded = PtychoModel.load(checkpoint)
image = InferenceEngine(ptycho_model=loaded, config_manager=manager).predict_and_stitch(loader)
new.save(options.output / "kept", strategy=Orchestration.PYTORCH)
kept = PtychoModel._load(path=options.output / "kept", strategy=Orchestration.PYTORCH)
same = reconstruct_image_barycentric(kept, loader, inference_config=manager.inference_config).image
assert torch.allclose(same, torch.from_numpy(image), atol=1e-4)

# 5. Lightning by hand.
configs = {"data_config": manager.data_config, "model_config": manager.model_config}
configs |= {"training_config": manager.training_config, "inference_config": manager.inference_config}
module = resolve_generator(config).build_model(configs)
batches = TensorDictDataLoader(PtychoDataset(raw, manager.data_config), batch_size=16, shuffle=True)
by_hand = lightning.Trainer(
    max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
)
by_hand.fit(module, batches)
print("by hand", float(by_hand.callback_metrics["train_loss"]))
print("image", image.shape, image.dtype)
