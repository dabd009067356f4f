"""Where every field of the TensorFlow-era settings arrives."""

from ptycho.config.arrival import ANY, Arrival, nowhere, read_by, to_recipe

_OTHER_NETWORK = "our architectures have no such part; `n_filters_scale` sizes them all"
_OWN_SCALE = "counts carry their own scale: probe and patterns are compared as they are"
_NO_WORKERS = "the scan lies in the memory of the device; nothing is loaded in the background"
_CHECKPOINTS = "the best epoch and the last one are kept, by the validation loss, where there is an output folder"
_NO_PICTURES = "pictures are drawn after training, by `reconstruct`"
_PINN_ONLY = "supervised training compares with labels alone"
_WORKFLOW = "the workflows and commands"
_COSINE = {"scheduler": ("WarmupCosine", "Cosine")}
_PLATEAU = {"scheduler": ("ReduceLROnPlateau",)}
_SGD = {"optimizer": ("sgd",)}
_ADAM = {"optimizer": ("adam", "adamw")}
_CLIPPED = {"gradient_clip_val": (ANY,)}

MODEL: dict[str, Arrival] = {
    "N": read_by("`ptycho.params`", "the size of a model is that of the patterns it is trained on; any size, also 0"),
    "gridsize": to_recipe(
        "data.group_size",
        "data.neighbors",
        "training.patterns_per_step",
        how="gridsize squared, and a step holds `batch_size` groups; 1 shows the network one pattern at a time, as "
        "ours always does, merges our usual 16, and a step holds `batch_size` patterns",
    ),
    "n_filters_scale": to_recipe("model.generator.width", how="four times it: 2 is our default of 8 channels"),
    "model_type": to_recipe("model.kind"),
    "architecture": to_recipe(
        "model.generator.architecture", how="one that is not registered is refused when the model is built"
    ),
    "fno_modes": to_recipe("model.generator.spectral_modes"),
    "fno_width": nowhere(_OTHER_NETWORK),
    "fno_blocks": to_recipe("model.generator.blocks"),
    "fno_cnn_blocks": nowhere(_OTHER_NETWORK),
    "learned_input_channels": nowhere(_OTHER_NETWORK),
    "max_hidden_channels": nowhere(_OTHER_NETWORK),
    "resnet_width": nowhere(_OTHER_NETWORK),
    "fno_input_transform": nowhere("the network sees lifted patterns, normalised by what training measured"),
    "generator_output_mode": to_recipe(
        "model.generator.output", how="`real_imaginary` or `amplitude_phase`; logits have no meaning of their own"
    ),
    "amp_activation": nowhere("the network gives real and imaginary part, so that no activation bounds the amplitude"),
    "object_big": to_recipe("model.merge.enabled", how="the patches of a group are merged before they are compared"),
    "probe_big": nowhere("every patch is reconstructed over the whole window"),
    "probe_mask": to_recipe(
        "model.probe.mask_radius",
        "model.probe.mask_edge_px",
        how="a disk of radius N/4, which is 0.5 in our unit, unless `probe_mask_diameter` is given",
    ),
    "probe_mask_sigma": to_recipe("model.probe.mask_edge_px", given={"probe_mask": (True,)}),
    "probe_mask_diameter": to_recipe(
        "model.probe.mask_radius", how="divided by N, at most 1", given={"probe_mask": (True,), "N": (ANY,)}
    ),
    "pad_object": nowhere("the canvas always has room for every patch"),
    "probe_scale": nowhere(_OWN_SCALE),
    "gaussian_smoothing_sigma": to_recipe("model.probe.smoothing_px"),
}

_DATA: dict[str, Arrival] = {
    "n_groups": to_recipe(
        "data.n_groups",
        how="None is one group for every pattern; no more groups than patterns unless `enable_oversampling`",
    ),
    "n_images": to_recipe("data.n_groups", how="deprecated; taken for `n_groups` where that is not given"),
    "n_subsample": to_recipe("data.n_patterns", how="at most as many as the scan has"),
    "subsample_seed": to_recipe("training.seed", how="one seed fixes sub-sample, groups and weights; None is 0"),
    "neighbor_count": to_recipe(
        "data.neighbors", how="at least group size - 1, because a group of ours holds its seed point too"
    ),
    "enable_oversampling": to_recipe(
        "data.n_groups", how="allows more groups than patterns", given={"n_groups": (ANY,)}
    ),
    "neighbor_pool_size": to_recipe("data.neighbors", how="instead of `neighbor_count`"),
}

_BACKEND = to_recipe("backend", how="`tensorflow` is refused where that backend is not there; the default is `pytorch`")

TRAINING: dict[str, Arrival] = {
    "model": read_by("`recipe_of`", "field by field, see ModelConfig"),
    "train_data_file": read_by(_WORKFLOW),
    "test_data_file": read_by(_WORKFLOW),
    "batch_size": to_recipe("training.patterns_per_step", how="groups there, patterns here: times the group size"),
    "nepochs": to_recipe("training.epochs"),
    "mae_weight": to_recipe("model.loss.amplitude_mae_weight", how=_PINN_ONLY),
    "nll_weight": to_recipe("model.loss.poisson_weight", how=_PINN_ONLY, given={"torch_loss_mode": ("poisson",)}),
    "realspace_mae_weight": to_recipe("model.loss.realspace_mae_weight"),
    "realspace_weight": to_recipe("model.loss.realspace_weight"),
    "nphotons": nowhere(_OWN_SCALE, 1e5, 1e6, 1e9),
    **_DATA,
    "positions_provided": nowhere("every scan carries its positions"),
    "probe_trainable": to_recipe("model.probe.trainable"),
    "intensity_scale_trainable": to_recipe("model.intensity_scale", how="`trainable`, else `auto`"),
    "output_dir": read_by(_WORKFLOW),
    "sequential_sampling": to_recipe("data.sampler", how="`sequential`, else `seeded`"),
    "backend": _BACKEND,
    "torch_loss_mode": to_recipe(
        "model.loss.poisson_weight",
        "model.loss.amplitude_mae_weight",
        how="`mae` leaves only the amplitude MAE, with `mae_weight` or else 1; `poisson` follows the weights",
    ),
    "torch_mae_pred_l2_match_target": nowhere("model and counts are brought to one scale before they are compared"),
    "gradient_clip_val": to_recipe(
        "training.gradient_clip", how="None leaves our limit of 1; a very large value switches it off"
    ),
    "gradient_clip_algorithm": to_recipe("training.gradient_clip_algorithm", given=_CLIPPED),
    "optimizer": to_recipe("training.optimizer"),
    "momentum": to_recipe("training.momentum", given=_SGD),
    "weight_decay": to_recipe("training.weight_decay"),
    "adam_beta1": to_recipe("training.betas", given=_ADAM),
    "adam_beta2": to_recipe("training.betas", given=_ADAM),
    "scheduler": to_recipe(
        "training.scheduler",
        how="`Default` is our default, a cosine; `Constant` and `Cosine` are known too, whatever the case",
    ),
    "lr_warmup_epochs": to_recipe("training.warmup_epochs", given=_COSINE),
    "lr_min_ratio": to_recipe("training.min_lr_ratio", given=_COSINE),
    "plateau_factor": to_recipe("training.plateau_factor", given=_PLATEAU),
    "plateau_patience": to_recipe("training.plateau_patience", given=_PLATEAU),
    "plateau_min_lr": to_recipe("training.plateau_min_lr", given=_PLATEAU),
    "plateau_threshold": to_recipe("training.plateau_threshold", given=_PLATEAU),
}

INFERENCE: dict[str, Arrival] = {
    "model": read_by("`recipe_of`", "field by field, see ModelConfig"),
    "model_path": read_by(_WORKFLOW),
    "test_data_file": read_by(_WORKFLOW),
    **_DATA,
    "debug": nowhere("the level of the log is the caller's", ANY),
    "output_dir": read_by(_WORKFLOW),
    "backend": _BACKEND,
}

EXECUTION: dict[str, Arrival] = {
    "accelerator": to_recipe("training.device", how="`cuda` and `gpu` become `auto`: the CPU where there is no GPU"),
    "devices": to_recipe("training.devices", caveats={"auto": "one device is used; give their number"}),
    "strategy": nowhere("one device trains in this process, several in processes of ours", "ddp", "ddp_spawn"),
    "deterministic": to_recipe("training.deterministic", how="`warn` is true: it never ends a run"),
    "precision": to_recipe(
        "training.precision",
        how="`16-mixed` and `bf16-mixed` are `bfloat16`",
        caveats={"16-mixed": "bfloat16 is used instead, which cannot overflow where counts are large"},
    ),
    "gradient_clip_val": to_recipe("training.gradient_clip", how="where given, instead of the training setting"),
    "gradient_clip_algorithm": to_recipe("training.gradient_clip_algorithm", given=_CLIPPED),
    "accum_steps": to_recipe("training.accumulate_steps"),
    "num_workers": nowhere(_NO_WORKERS),
    "pin_memory": nowhere(_NO_WORKERS),
    "persistent_workers": nowhere(_NO_WORKERS),
    "prefetch_factor": nowhere(_NO_WORKERS),
    "learning_rate": to_recipe("training.learning_rate", how="without execution settings our default of 0.002 holds"),
    "scheduler": to_recipe("training.scheduler", how="instead of the training setting, unless it is `Default`"),
    "enable_progress_bar": nowhere("the commands show progress; the library shows none"),
    "enable_checkpointing": nowhere(_CHECKPOINTS),
    "checkpoint_save_top_k": nowhere(_CHECKPOINTS),
    "checkpoint_monitor_metric": nowhere(_CHECKPOINTS),
    "checkpoint_mode": nowhere(_CHECKPOINTS),
    "early_stop_patience": to_recipe(
        "training.early_stop_patience",
        how="with it the weights of the best epoch are taken; the default of 100 leaves ours: never",
    ),
    "logger_backend": to_recipe(
        "training.logger", how="None is `none`", caveats={"mlflow": "losses are written as CSV, and nothing to MLflow"}
    ),
    "recon_log_every_n_epochs": nowhere(_NO_PICTURES),
    "recon_log_num_patches": nowhere(_NO_PICTURES),
    "recon_log_fixed_indices": nowhere(_NO_PICTURES),
    "recon_log_stitch": nowhere(_NO_PICTURES),
    "recon_log_max_stitch_samples": nowhere(_NO_PICTURES),
    "ffno_encoder_blocks": nowhere(_OTHER_NETWORK),
    "ffno_encoder_modes": nowhere(_OTHER_NETWORK),
    "ffno_encoder_share_weights": nowhere(_OTHER_NETWORK),
    "ffno_encoder_gate_init": nowhere(_OTHER_NETWORK),
    "ffno_encoder_norm": nowhere(_OTHER_NETWORK),
    "ffno_encoder_mlp_ratio": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_blocks": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_modes": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_share_weights": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_gate_init": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_gate_mode": nowhere(_OTHER_NETWORK),
    "inference_batch_size": to_recipe("reconstruction.batch_size"),
    "middle_trim": to_recipe("reconstruction.window_px", how="0 leaves the central 20 px"),
    "pad_eval": nowhere("the canvas always has room for every patch"),
}
