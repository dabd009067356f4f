"""Where every field of the PyTorch settings arrives."""

from ptycho.config.arrival import ANY, Arrival, not_available, nowhere, read_by, to_recipe

_OTHER_NETWORK = "our architectures have no such part; `n_filters_scale` sizes them all"
_OWN_NETWORK = "the network is a plain U-Net that `n_filters_scale` sizes"
_OWN_SCALE = "counts carry their own scale: probe and patterns are compared as they are"
_FROM_FILES = "taken from the files"
_STAGES = "training in stages is not available yet"
_LOSS = "`MAE` in any of `loss_function`, `nll`, `torch_loss_mode` leaves only the amplitude MAE"
_API = "`ptycho_torch.api`"
_SIMULATION = "`ptycho_torch.datagen.simulate_multiple_experiments`"
_COSINE = {"scheduler": ("WarmupCosine", "Cosine")}
_PLATEAU = {"scheduler": ("ReduceLROnPlateau",)}
_ADAM = {"optimizer": ("adam", "adamw")}

DATA: dict[str, Arrival] = {
    "nphotons": nowhere(_OWN_SCALE, 1e5, 1e6, 1e9),
    "scale_contract_version": nowhere(_OWN_SCALE),
    "measurement_domain": to_recipe(
        "data.domain",
        how="`normalized_amplitude` is `amplitude`; the default leaves `auto`, which sees counts for what they are",
    ),
    "N": read_by(_API, "the size of a model is that of the patterns it is trained on"),
    "C": to_recipe(
        "data.group_size",
        "training.patterns_per_step",
        how="any number; a step holds `batch_size` groups; 1 merges our usual 16, with `batch_size` patterns in a "
        "step; a warning says where `grid_size` or `C_model` differs",
    ),
    "K": to_recipe("data.neighbors", how="at least C - 1, because a group of ours holds its seed point too"),
    "K_quadrant": nowhere("neighbours in the four quadrants are looked for among eight times K"),
    "n_subsample": to_recipe("data.groups_per_pattern", how="at most as many as there are different groups"),
    "subsample_seed": to_recipe("training.seed", how="one seed fixes groups and weights; None is 0"),
    "grid_size": read_by("`ptycho_torch.config_bridge`", "a group has `C` patterns, on any kind of grid"),
    "neighbor_function": to_recipe("data.neighbor_rule"),
    "min_neighbor_distance": to_recipe("data.min_distance_px", given={"neighbor_function": ("Min_dist",)}),
    "max_neighbor_distance": to_recipe(
        "data.max_distance_px",
        how="with the other rules 3 px would leave most positions without neighbours",
        given={"neighbor_function": ("Min_dist",)},
    ),
    "scan_pattern": nowhere("neighbours are found by their distance on any scan"),
    "normalize": nowhere(_OWN_SCALE),
    "probe_scale": nowhere(_OWN_SCALE),
    "probe_normalize": nowhere(_OWN_SCALE),
    "data_scaling": nowhere(_OWN_SCALE),
    "phase_subtraction": nowhere("labels are taken as they are", ANY),
    "x_bounds": to_recipe("data.bounds_x", how="for training only; every position is reconstructed"),
    "y_bounds": to_recipe("data.bounds_y", how="for training only; every position is reconstructed"),
    "probe_ramp_removal": nowhere("a phase ramp of the probe shifts every pattern alike and is kept"),
    "n_groups": to_recipe("data.n_groups", how="instead of `n_subsample` groups for every pattern"),
    "neighbor_count": to_recipe("data.neighbors", how="instead of `K`"),
}

MODEL: dict[str, Arrival] = {
    "mode": to_recipe("model.kind", how="`Unsupervised` is `pinn`"),
    "architecture": to_recipe(
        "model.generator.architecture", how="one that is not registered is refused when the model is built"
    ),
    "fno_modes": to_recipe("model.generator.spectral_modes"),
    "fno_width": nowhere(_OTHER_NETWORK),
    "fno_blocks": to_recipe("model.generator.blocks"),
    "fno_cnn_blocks": nowhere(_OTHER_NETWORK),
    "learned_input_channels": nowhere(_OTHER_NETWORK),
    "fno_input_transform": nowhere("the network sees lifted patterns, normalised by what training measured"),
    "max_hidden_channels": nowhere(_OTHER_NETWORK),
    "resnet_width": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_blocks": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_modes": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_share_weights": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_gate_init": nowhere(_OTHER_NETWORK),
    "spectral_bottleneck_gate_mode": nowhere(_OTHER_NETWORK),
    "generator_output_mode": to_recipe(
        "model.generator.output", how="`real_imaginary` or `amplitude_phase`; logits have no meaning of their own"
    ),
    "cnn_output_mode": nowhere("every generator gives real and imaginary part", "real_imag"),
    "use_shared_decoder": nowhere("one decoder gives both parts of the patch"),
    "intensity_scale_trainable": to_recipe("model.intensity_scale", how="`trainable`, else `auto`"),
    "intensity_scale": nowhere("the scale is measured from the counts"),
    "max_position_jitter": nowhere("the canvas of a group is as large as its positions ask for"),
    "num_datasets": nowhere(_FROM_FILES),
    "C_model": nowhere("each pattern is encoded alone; one that differs from C is named in the log", ANY),
    "n_filters_scale": to_recipe("model.generator.width", how="four times it: 2 is our default of 8 channels"),
    "amp_activation": nowhere("the network gives real and imaginary part, so that no activation bounds the amplitude"),
    "batch_norm": nowhere("the network has group normalisation"),
    "probe_mask": to_recipe(
        "model.probe.mask_radius",
        "model.probe.mask_edge_px",
        how="a disk of radius N/4, which is 0.5 in our unit, unless `probe_mask_diameter` is given; "
        "a mask given as an array is refused",
    ),
    "probe_mask_tensor": not_available("only a disk is known: probe_mask=True and probe_mask_diameter"),
    "probe_mask_sigma": to_recipe("model.probe.mask_edge_px", given={"probe_mask": (True,)}),
    "probe_mask_diameter": to_recipe(
        "model.probe.mask_radius", how="divided by N, at most 1", given={"probe_mask": (True,)}
    ),
    "edge_pad": nowhere("the canvas always has room for every patch"),
    "decoder_last_c_outer_fraction": nowhere(_OWN_NETWORK),
    "decoder_last_amp_channels": nowhere(
        "each pattern has a patch of its own; one that differs from C is named in the log", ANY
    ),
    "use_legacy_decoder_channel_override": nowhere(_OWN_NETWORK),
    "eca_encoder": nowhere(_OWN_NETWORK),
    "cbam_encoder": nowhere(_OWN_NETWORK, False),
    "cbam_bottleneck": nowhere(_OWN_NETWORK),
    "cbam_decoder": nowhere(_OWN_NETWORK),
    "eca_decoder": nowhere(_OWN_NETWORK),
    "spatial_decoder": nowhere(_OWN_NETWORK),
    "decoder_spatial_kernel": nowhere(_OWN_NETWORK),
    "object_big": to_recipe("model.merge.enabled", how="the patches of a group are merged before they are compared"),
    "probe_big": nowhere("every patch is reconstructed over the whole window"),
    "offset": nowhere("offsets are those of the positions"),
    "C_forward": nowhere("every pattern of a group is compared; one that differs from C is named in the log", ANY),
    "training_patch_weighting": to_recipe("model.merge.weight", how="`central_mask` is `central`, half of each side"),
    "physics_forward_mode": nowhere(_OWN_SCALE),
    "rect_s1s2_trainable": nowhere(_OWN_SCALE),
    "rect_s1s2_init": nowhere(_OWN_SCALE),
    "amplitude_physics_gain": nowhere(_OWN_SCALE),
    "pad_object": nowhere("the canvas always has room for every patch"),
    "gaussian_smoothing_sigma": to_recipe("model.probe.smoothing_px"),
    "loss_function": to_recipe("model.loss.poisson_weight", "model.loss.amplitude_mae_weight", how=_LOSS),
    "amp_loss": to_recipe(
        "model.loss.amplitude_total_variation_weight", "model.loss.amplitude_mean_deviation_weight", how="one of them"
    ),
    "phase_loss": to_recipe(
        "model.loss.phase_total_variation_weight", "model.loss.phase_mean_deviation_weight", how="one of them"
    ),
    "amp_loss_coeff": to_recipe(
        "model.loss.amplitude_total_variation_weight",
        "model.loss.amplitude_mean_deviation_weight",
        how="the weight of `amp_loss`",
        given={"amp_loss": (ANY,)},
    ),
    "phase_loss_coeff": to_recipe(
        "model.loss.phase_total_variation_weight",
        "model.loss.phase_mean_deviation_weight",
        how="the weight of `phase_loss`",
        given={"phase_loss": (ANY,)},
    ),
    "probe_reference_coeff": nowhere("the probe is fixed here, so that nothing draws it to a reference"),
    "amplitude_variance_loss": nowhere("there is no such term; `amp_loss` = Mean_Deviation is near to it"),
    "amplitude_variance_coeff": nowhere("there is no such term; `amp_loss` = Mean_Deviation is near to it"),
}

TRAINING: dict[str, Arrival] = {
    "training_directories": read_by(_API),
    "nll": to_recipe("model.loss.poisson_weight", "model.loss.amplitude_mae_weight", how=_LOSS),
    "device": to_recipe("training.device", how="`cuda` and `gpu` become `auto`: the CPU where there is no GPU"),
    "strategy": nowhere("one device trains in this process, several in processes of ours", "ddp", "auto", None),
    "n_devices": to_recipe("training.devices", caveats={"auto": "one device is used; give their number"}),
    "framework": nowhere("training always runs on Lightning"),
    "orchestrator": nowhere("training always runs on Lightning, and nothing is sent to MLflow"),
    "learning_rate": to_recipe("training.learning_rate"),
    "epochs": to_recipe("training.epochs", how="with `epochs_fine_tune` on top"),
    "batch_size": to_recipe("training.patterns_per_step", how="groups there, patterns here: times C"),
    "epochs_fine_tune": to_recipe("training.epochs", how="on top of `epochs`, in one run with one schedule"),
    "fine_tune_gamma": nowhere("the schedule leads the learning rate down over the whole run"),
    "scheduler": to_recipe(
        "training.scheduler", how="`Default` is our default, a cosine; `MultiStage` and `Adaptive` are refused"
    ),
    "lr_warmup_epochs": to_recipe("training.warmup_epochs", how="unless `warmup_epochs` is given", given=_COSINE),
    "lr_min_ratio": to_recipe("training.min_lr_ratio", how="unless `min_lr_ratio` is given", given=_COSINE),
    "plateau_factor": to_recipe("training.plateau_factor", given=_PLATEAU),
    "plateau_patience": to_recipe("training.plateau_patience", given=_PLATEAU),
    "plateau_min_lr": to_recipe("training.plateau_min_lr", given=_PLATEAU),
    "plateau_threshold": to_recipe("training.plateau_threshold", given=_PLATEAU),
    "num_workers": nowhere("the scan lies in the memory of the device; nothing is loaded in the background", 0),
    "accum_steps": to_recipe("training.accumulate_steps"),
    "gradient_clip_val": to_recipe(
        "training.gradient_clip", how="None leaves our limit of 1; a very large value switches it off"
    ),
    "gradient_clip_algorithm": to_recipe("training.gradient_clip_algorithm", given={"gradient_clip_val": (ANY,)}),
    "optimizer": to_recipe("training.optimizer"),
    "momentum": to_recipe("training.momentum", given={"optimizer": ("sgd",)}),
    "weight_decay": to_recipe("training.weight_decay"),
    "adam_beta1": to_recipe("training.betas", given=_ADAM),
    "adam_beta2": to_recipe("training.betas", given=_ADAM),
    "log_grad_norm": nowhere("the norm of the gradient is not logged"),
    "grad_norm_log_freq": nowhere("the norm of the gradient is not logged"),
    "stage_1_epochs": not_available(_STAGES),
    "stage_2_epochs": not_available(_STAGES),
    "stage_3_epochs": not_available(_STAGES),
    "physics_weight_schedule": nowhere(_STAGES),
    "stage_3_lr_factor": nowhere(_STAGES),
    "torch_loss_mode": to_recipe("model.loss.poisson_weight", "model.loss.amplitude_mae_weight", how=_LOSS),
    "torch_mae_pred_l2_match_target": nowhere("model and counts are brought to one scale before they are compared"),
    "experiment_name": read_by(_API, "kept with the model"),
    "notes": read_by(_API, "kept with the model"),
    "model_name": read_by(_API, "kept with the model"),
    "output_dir": read_by(_API),
    "train_data_file": read_by(_API),
    "test_data_file": read_by("`ptycho_torch.config_bridge`"),
    "n_groups": to_recipe("data.n_groups", how="instead of `n_subsample` groups for every pattern"),
    "neighbor_count": to_recipe("data.neighbors", how="instead of `K`"),
    "warmup_epochs": to_recipe("training.warmup_epochs", how="instead of `lr_warmup_epochs`", given=_COSINE),
    "min_lr_ratio": to_recipe("training.min_lr_ratio", how="instead of `lr_min_ratio`", given=_COSINE),
    "enable_staged_finetuning": not_available(_STAGES),
    **{
        f"finetune_{name}": nowhere(_STAGES)
        for name in (
            "stage1_epochs",
            "stage2_epochs",
            "stage3_epochs",
            "stage1_lr_decoder",
            "stage2_lr_encoder_top",
            "stage2_lr_decoder",
            "stage2_lr_phase_head",
            "stage3_lr_encoder_bottom",
            "stage3_lr_encoder_top",
            "stage3_lr_decoder",
            "stage3_lr_phase_head",
            "skip_stage3",
            "early_stop_patience",
            "val_split",
        )
    },
}

INFERENCE: dict[str, Arrival] = {
    "middle_trim": to_recipe("reconstruction.window_px", given={"patch_weighting": ("uniform",)}),
    "batch_size": to_recipe(
        "reconstruction.batch_size",
        how="the default of 1000 leaves ours of 64, which large patterns fit into memory with",
    ),
    "experiment_number": read_by(_API, "which scan of a loader that holds several is reconstructed"),
    "pad_eval": nowhere("the canvas always has room for every patch"),
    "window": nowhere("the image is as large as the input object, its edges included"),
    "patch_weighting": to_recipe(
        "reconstruction.weight",
        "reconstruction.window_px",
        how="`uniform` is `central` with a window of `middle_trim`, where patches count by the light on them",
    ),
    "varpro_scaling": nowhere(_OWN_SCALE),
    "log_patch_stats": nowhere("patches are not logged"),
    "patch_stats_limit": nowhere("patches are not logged"),
}

DATAGEN: dict[str, Arrival] = {
    name: read_by(_SIMULATION)
    for name in (
        "objects_per_probe",
        "diff_per_object",
        "object_class",
        "image_size",
        "probe_paths",
        "beamstop_diameter",
    )
}
