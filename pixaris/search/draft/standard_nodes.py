"""What the inputs of ComfyUI's standard nodes take, for workflows whose server cannot be asked.

Ranges that ComfyUI has had for years. Options that depend on the installation (samplers, models) are open:
the workflow's own value is all that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pixaris.comfyui.object_info import InputSpec

Inputs = Mapping[str, InputSpec]


def _whole(low: float, high: float) -> InputSpec:
    return InputSpec("INT", True, min=low, max=high)


def _real(low: float, high: float) -> InputSpec:
    return InputSpec("FLOAT", True, min=low, max=high)


def _one_of(*options: str) -> InputSpec:
    return InputSpec("COMBO", True, options=options)


_OPEN = InputSpec("COMBO", True, remote=True)
_TEXT = InputSpec("STRING", True)
_SWITCH = InputSpec("BOOLEAN", True)
_SEED = _whole(0, 2**64 - 1)
_STEPS = _whole(1, 10_000)
_STEP = _whole(0, 10_000)
_CFG = _real(0, 100)
_SHARE = _real(0, 1)
_STRENGTH = _real(0, 10)
_SIDE = _whole(0, 16_384)
_LATENT_SIDE = _whole(16, 16_384)
_METHOD = _one_of("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
_LATENT_METHOD = _one_of("nearest-exact", "bilinear", "area", "bicubic", "bislerp")
_CROP = _one_of("disabled", "center")

_SAMPLING: Inputs = {"steps": _STEPS, "cfg": _CFG, "sampler_name": _OPEN, "scheduler": _OPEN}
_LORA: Inputs = {"lora_name": _OPEN, "strength_model": _real(-100, 100)}
_CONTROL: Inputs = {"strength": _STRENGTH, "start_percent": _SHARE, "end_percent": _SHARE}
_LATENT: Inputs = {"width": _LATENT_SIDE, "height": _LATENT_SIDE, "batch_size": _whole(1, 4096)}
_SIZE: Inputs = {"width": _SIDE, "height": _SIDE}
_SCALE_BY: Inputs = {"scale_by": _real(0.01, 8)}
_TILES: Inputs = {
    "tile_size": _whole(64, 4096),
    "overlap": _whole(0, 4096),
    "temporal_size": _whole(8, 4096),
    "temporal_overlap": _whole(4, 4096),
}
_SHIFT: Inputs = {"shift": _real(0, 100)}
_NONE: Inputs = {}
_WITHOUT_VALUES = (
    *("VAEDecode", "VAEEncode", "SetLatentNoiseMask", "DifferentialDiffusion", "ImageUpscaleWithModel"),
    *(
        "SamplerCustomAdvanced",
        "BasicGuider",
        "DisableNoise",
        "FlipSigmas",
        "ReferenceLatent",
        "GetImageSize",
    ),
    *("ConditioningCombine", "ConditioningConcat", "ConditioningZeroOut", "FluxKontextImageScale"),
)
_FREE_U: Inputs = dict.fromkeys(("b1", "b2", "s1", "s2"), _STRENGTH)

STANDARD_NODES: Mapping[str, Inputs] = MappingProxyType(
    {
        "KSampler": {"seed": _SEED, **_SAMPLING, "denoise": _SHARE},
        "KSamplerAdvanced": {
            "add_noise": _one_of("enable", "disable"),
            "noise_seed": _SEED,
            **_SAMPLING,
            "start_at_step": _STEP,
            "end_at_step": _STEP,
            "return_with_leftover_noise": _one_of("disable", "enable"),
        },
        "SamplerCustom": {"add_noise": _SWITCH, "noise_seed": _SEED, "cfg": _CFG},
        "KSamplerSelect": {"sampler_name": _OPEN},
        "BasicScheduler": {"scheduler": _OPEN, "steps": _STEPS, "denoise": _SHARE},
        "RandomNoise": {"noise_seed": _SEED},
        "CFGGuider": {"cfg": _CFG},
        "DualCFGGuider": {"cfg_conds": _CFG, "cfg_cond2_negative": _CFG},
        "FluxGuidance": {"guidance": _CFG},
        "RescaleCFG": {"multiplier": _SHARE},
        "PerturbedAttentionGuidance": {"scale": _CFG},
        "FreeU": _FREE_U,
        "FreeU_V2": _FREE_U,
        "ModelSamplingSD3": _SHIFT,
        "ModelSamplingAuraFlow": _SHIFT,
        "ModelSamplingStableCascade": _SHIFT,
        "ModelSamplingFlux": {
            "max_shift": _real(0, 100),
            "base_shift": _real(0, 100),
            "width": _LATENT_SIDE,
            "height": _LATENT_SIDE,
        },
        "ModelSamplingDiscrete": {
            "sampling": _one_of("eps", "v_prediction", "lcm", "x0", "img_to_img"),
            "zsnr": _SWITCH,
        },
        "CheckpointLoaderSimple": {"ckpt_name": _OPEN},
        "UNETLoader": {"unet_name": _OPEN, "weight_dtype": _OPEN},
        "VAELoader": {"vae_name": _OPEN},
        "CLIPLoader": {"clip_name": _OPEN, "type": _OPEN},
        "DualCLIPLoader": {"clip_name1": _OPEN, "clip_name2": _OPEN, "type": _OPEN},
        "TripleCLIPLoader": {"clip_name1": _OPEN, "clip_name2": _OPEN, "clip_name3": _OPEN},
        "ControlNetLoader": {"control_net_name": _OPEN},
        "UpscaleModelLoader": {"model_name": _OPEN},
        "CLIPVisionLoader": {"clip_name": _OPEN},
        "StyleModelLoader": {"style_model_name": _OPEN},
        "LoraLoader": {**_LORA, "strength_clip": _real(-100, 100)},
        "LoraLoaderModelOnly": _LORA,
        "ControlNetApply": {"strength": _STRENGTH},
        "ControlNetApplyAdvanced": _CONTROL,
        "ControlNetApplySD3": _CONTROL,
        "StyleModelApply": {"strength": _STRENGTH, "strength_type": _one_of("multiply", "attn_bias")},
        "unCLIPConditioning": {"strength": _real(-10, 10), "noise_augmentation": _SHARE},
        "ConditioningAverage": {"conditioning_to_strength": _SHARE},
        "ConditioningSetTimestepRange": {"start": _SHARE, "end": _SHARE},
        "CLIPTextEncode": {"text": _TEXT},
        "CLIPTextEncodeFlux": {"clip_l": _TEXT, "t5xxl": _TEXT, "guidance": _CFG},
        "CLIPTextEncodeSD3": {"clip_l": _TEXT, "clip_g": _TEXT, "t5xxl": _TEXT},
        "CLIPTextEncodeSDXL": {
            **dict.fromkeys(("width", "height", "crop_w", "crop_h", "target_width", "target_height"), _SIDE),
            "text_g": _TEXT,
            "text_l": _TEXT,
        },
        "CLIPSetLastLayer": {"stop_at_clip_layer": _whole(-24, -1)},
        "EmptyLatentImage": _LATENT,
        "EmptySD3LatentImage": _LATENT,
        "ImageScale": {"upscale_method": _METHOD, **_SIZE, "crop": _CROP},
        "ImageScaleBy": {"upscale_method": _METHOD, **_SCALE_BY},
        "ImageScaleToTotalPixels": {"upscale_method": _METHOD, "megapixels": _real(0.01, 16)},
        "LatentUpscale": {"upscale_method": _LATENT_METHOD, **_SIZE, "crop": _CROP},
        "LatentUpscaleBy": {"upscale_method": _LATENT_METHOD, **_SCALE_BY},
        "ImagePadForOutpaint": {
            **dict.fromkeys(("left", "top", "right", "bottom"), _SIDE),
            "feathering": _SIDE,
        },
        "VAEDecodeTiled": _TILES,
        "VAEEncodeTiled": _TILES,
        "VAEEncodeForInpaint": {"grow_mask_by": _whole(0, 64)},
        "InpaintModelConditioning": {"noise_mask": _SWITCH},
        "Canny": {"low_threshold": _real(0.01, 0.99), "high_threshold": _real(0.01, 0.99)},
        "CLIPVisionEncode": {"crop": _one_of("center", "none")},
        "PrimitiveInt": {"value": InputSpec("INT", True)},
        "PrimitiveFloat": {"value": InputSpec("FLOAT", True)},
        "PrimitiveBoolean": {"value": _SWITCH},
        "PrimitiveString": {"value": _TEXT},
        "PrimitiveStringMultiline": {"value": _TEXT},
        **dict.fromkeys(_WITHOUT_VALUES, _NONE),
    }
)
