"""Workflows as people have them, and a server that says what its nodes are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kit import DATA

from pixaris.comfyui.server.declarations import declarations

SAMPLERS = [
    "euler",
    "euler_cfg_pp",
    "euler_ancestral",
    "heun",
    "dpm_2",
    "lms",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "ddim",
    "uni_pc",
]
SCHEDULERS = ["simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal"]
VERSIONS = ("0.27.0", "0.3.64")
LARGE = 18446744073709551615


def number(kind: str, default: float, low: float, high: float) -> list[Any]:
    return [kind, {"default": default, "min": low, "max": high}]


def words(options: list[str], version: str) -> list[Any]:
    """A combo: new servers name the type, older ones give the list in its place."""
    return ["COMBO", {"options": options}] if version == "0.27.0" else [options]


def node_class(
    outputs: list[str], required: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "input": {"required": required, "optional": optional or {}},
        "output": outputs,
        "output_node": False,
    }


def object_info(
    version: str = "0.27.0", models: tuple[str, ...] = ("sd15.safetensors", "sdxl.safetensors")
) -> dict[str, Any]:
    """A recorded description with the classes of diffusion models added."""
    text = (DATA / f"object_info.{version}.json").read_text()
    loras, unets = ["detail.safetensors", "style.safetensors"], ["flux1-dev.safetensors"]
    prompt = ["STRING", {"multiline": True}]
    size = number("INT", 512, 16, 16384)
    return json.loads(text) | {
        "CheckpointLoaderSimple": node_class(
            ["MODEL", "CLIP", "VAE"], {"ckpt_name": words(list(models), version)}
        ),
        "UNETLoader": node_class(
            ["MODEL"],
            {"unet_name": words(unets, version), "weight_dtype": words(["default", "fp8_e4m3fn"], version)},
        ),
        "DualCLIPLoader": node_class(
            ["CLIP"],
            {
                "clip_name1": words(["clip_l.safetensors", "t5xxl.safetensors"], version),
                "clip_name2": words(["clip_l.safetensors", "t5xxl.safetensors"], version),
                "type": words(["sdxl", "sd3", "flux"], version),
            },
        ),
        "VAELoader": node_class(["VAE"], {"vae_name": words(["ae.safetensors"], version)}),
        "LoraLoader": node_class(
            ["MODEL", "CLIP"],
            {
                "model": ["MODEL"],
                "clip": ["CLIP"],
                "lora_name": words(loras, version),
                "strength_model": number("FLOAT", 1.0, -100.0, 100.0),
                "strength_clip": number("FLOAT", 1.0, -100.0, 100.0),
            },
        ),
        "CLIPTextEncode": node_class(["CONDITIONING"], {"text": prompt, "clip": ["CLIP"]}),
        "FluxGuidance": node_class(
            ["CONDITIONING"], {"conditioning": ["CONDITIONING"], "guidance": number("FLOAT", 3.5, 0.0, 100.0)}
        ),
        "EmptyLatentImage": node_class(
            ["LATENT"], {"width": size, "height": size, "batch_size": number("INT", 1, 1, 4096)}
        ),
        "VAEEncode": node_class(["LATENT"], {"pixels": ["IMAGE"], "vae": ["VAE"]}),
        "VAEDecode": node_class(["IMAGE"], {"samples": ["LATENT"], "vae": ["VAE"]}),
        "KSampler": node_class(
            ["LATENT"],
            {
                "model": ["MODEL"],
                "seed": number("INT", 0, 0, LARGE),
                "steps": number("INT", 20, 1, 10000),
                "cfg": number("FLOAT", 8.0, 0.0, 100.0),
                "sampler_name": words(SAMPLERS, version),
                "scheduler": words(SCHEDULERS, version),
                "positive": ["CONDITIONING"],
                "negative": ["CONDITIONING"],
                "latent_image": ["LATENT"],
                "denoise": number("FLOAT", 1.0, 0.0, 1.0),
            },
        ),
        "ResizeImageMaskNode": declarations()["ResizeImageMaskNode"],
        "Power Lora Loader (rgthree)": node_class(
            ["MODEL", "CLIP"], {}, {"model": ["MODEL"], "clip": ["CLIP"]}
        ),
        "DynamicNest": node_class(["IMAGE"], {"images": ["IMAGE"], "combo": NEST}),
        "PrimitiveInt": node_class(["INT"], {"value": number("INT", 0, -(2**63), 2**63 - 1)}),
    }


def dynamic(**options: Mapping[str, Any]) -> list[Any]:
    """A dynamic combo: option to its required inputs."""
    rows = [{"key": key, "inputs": {"required": dict(inputs)}} for key, inputs in options.items()]
    return ["COMFY_DYNAMICCOMBO_V3", {"options": rows}]


NEST = dynamic(
    plain={},
    whole={"number": number("INT", 3, 0, 9)},
    deep={
        "sub": dynamic(
            floats={"float_x": number("FLOAT", 0.5, 0.0, 1.0), "float_y": number("FLOAT", 0.5, 0.0, 1.0)},
            linked={"mask": ["MASK"]},
        )
    },
)


def titled(nodes: Mapping[str, tuple[str, str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Id to (class, title, inputs) in API format."""
    return {
        key: {"class_type": kind, "inputs": dict(inputs), "_meta": {"title": title}}
        for key, (kind, title, inputs) in nodes.items()
    }


def _sampled(latent: str, **values: Any) -> dict[str, Any]:
    usual = {
        "seed": 156680208700286,
        "steps": 20,
        "cfg": 8,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1,
    }
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": [latent, 0]}
    return {**usual, **values, **links}


def text_to_image() -> dict[str, Any]:
    """ComfyUI's own first workflow, as it is exported: two nodes of one title."""
    return titled(
        {
            "3": ("KSampler", "KSampler", _sampled("5")),
            "4": ("CheckpointLoaderSimple", "Load Checkpoint", {"ckpt_name": "sd15.safetensors"}),
            "5": ("EmptyLatentImage", "Empty Latent Image", {"width": 512, "height": 512, "batch_size": 1}),
            "6": (
                "CLIPTextEncode",
                "CLIP Text Encode (Prompt)",
                {"text": "a glass bottle, galaxy: #1", "clip": ["4", 1]},
            ),
            "7": (
                "CLIPTextEncode",
                "CLIP Text Encode (Prompt)",
                {"text": "text, watermark", "clip": ["4", 1]},
            ),
            "8": ("VAEDecode", "VAE Decode", {"samples": ["3", 0], "vae": ["4", 2]}),
            "9": ("SaveImage", "Save Image", {"filename_prefix": "ComfyUI", "images": ["8", 0]}),
        }
    )


def image_to_image() -> dict[str, Any]:
    """SDXL with a LoRA on a photograph; titles as ComfyUI gives them, two results, one of them unicode."""
    return titled(
        {
            "1": ("LoadImage", "Load Image", {"image": "example.png"}),
            "2": ("VAEEncode", "VAE Encode", {"pixels": ["1", 0], "vae": ["10", 2]}),
            "3": ("KSampler", "Sampler: #1 {küche}", _sampled("2", steps=30, cfg=6.5, denoise=0.55)),
            "10": ("CheckpointLoaderSimple", "Load Checkpoint", {"ckpt_name": "sdxl.safetensors"}),
            "4": (
                "LoraLoader",
                "Load LoRA",
                {
                    "model": ["10", 0],
                    "clip": ["10", 1],
                    "lora_name": "style.safetensors",
                    "strength_model": 0.8,
                    "strength_clip": 1,
                },
            ),
            "6": ("CLIPTextEncode", "Prompt 🎨", {"text": 'say "hi"\n\\ naïve 写真', "clip": ["4", 1]}),
            "7": ("CLIPTextEncode", "no", {"text": "", "clip": ["4", 1]}),
            "8": ("VAEDecode", "VAE Decode", {"samples": ["3", 0], "vae": ["10", 2]}),
            "9": ("SaveImage", "Ergebnis – groß", {"filename_prefix": "a", "images": ["8", 0]}),
            "11": ("SaveImage", "Original", {"filename_prefix": "b", "images": ["1", 0]}),
        }
    )


def flux() -> dict[str, Any]:
    """Flux dev: distilled, cfg 1 and a guidance of its own."""
    return titled(
        {
            "4": (
                "UNETLoader",
                "Load Diffusion Model",
                {"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"},
            ),
            "11": (
                "DualCLIPLoader",
                "DualCLIPLoader",
                {"clip_name1": "clip_l.safetensors", "clip_name2": "t5xxl.safetensors", "type": "flux"},
            ),
            "12": ("VAELoader", "Load VAE", {"vae_name": "ae.safetensors"}),
            "13": ("CLIPTextEncode", "Positive", {"text": "a cat", "clip": ["11", 0]}),
            "6": ("FluxGuidance", "FluxGuidance", {"conditioning": ["13", 0], "guidance": 3.5}),
            "7": ("CLIPTextEncode", "Negative", {"text": "", "clip": ["11", 0]}),
            "5": ("EmptyLatentImage", "Size", {"width": 1024, "height": 1024, "batch_size": 1}),
            "3": ("KSampler", "KSampler", _sampled("5", cfg=1, scheduler="simple")),
            "8": ("VAEDecode", "VAE Decode", {"samples": ["3", 0], "vae": ["12", 0]}),
            "9": ("SaveImage", "Save Image", {"filename_prefix": "flux", "images": ["8", 0]}),
        }
    )


def structured() -> dict[str, Any]:
    """What newer and custom nodes have: structures, dynamic combos in dynamic combos, seeds behind links."""
    return titled(
        {
            "1": ("LoadImage", "Load Input Image", {"image": "example.png"}),
            "2": (
                "ResizeImageMaskNode",
                "Resize",
                {
                    "input": ["1", 0],
                    "resize_type": "scale dimensions",
                    "resize_type.width": 512,
                    "resize_type.height": 384,
                    "resize_type.crop": "center",
                    "scale_method": "area",
                },
            ),
            "3": (
                "Power Lora Loader (rgthree)",
                "Loras",
                {
                    "PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"},
                    "lora_1": {"on": True, "lora": "style.safetensors", "strength": 1},
                    "lora_2": {"on": False, "lora": "gone.safetensors", "strength": 0.5},
                    "➕ Add Lora": "",
                    "model": ["10", 0],
                    "clip": ["10", 1],
                },
            ),
            "4": (
                "DynamicNest",
                "Nest",
                {
                    "images": ["2", 0],
                    "combo": "deep",
                    "combo.sub": "floats",
                    "combo.sub.float_x": 0.5,
                    "combo.sub.float_y": 0.25,
                },
            ),
            "10": ("CheckpointLoaderSimple", "Load Checkpoint", {"ckpt_name": "sd15.safetensors"}),
            "11": ("PrimitiveInt", "Seed", {"value": 123}),
            "5": ("VAEEncode", "VAE Encode", {"pixels": ["4", 0], "vae": ["10", 2]}),
            "6": ("CLIPTextEncode", "Prompt", {"text": "a cat", "clip": ["3", 1]}),
            "7": ("KSampler", "KSampler", {**_sampled("5", denoise=0.5), **_structured_links()}),
            "8": ("VAEDecode", "VAE Decode", {"samples": ["7", 0], "vae": ["10", 2]}),
            "9": ("SaveImage", "Save Image", {"filename_prefix": "x", "images": ["8", 0]}),
        }
    )


def _structured_links() -> dict[str, Any]:
    return {"model": ["3", 0], "positive": ["6", 0], "negative": ["6", 0], "seed": ["11", 0]}


@contextmanager
def serving(info: Mapping[str, Any]) -> Iterator[str]:
    """A server that answers ``/object_info`` with this; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            found = info if name == "object_info" else {name: info[name]} if name in info else {}
            data = json.dumps(found).encode()
            self.send_response(200 if self.path.startswith("/object_info") else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
