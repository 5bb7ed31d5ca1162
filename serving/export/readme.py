"""The page that lies in an export: what it is, how it is loaded, and how it compares with the model."""

from collections.abc import Mapping, Sequence

from search.promotion.package import GRAPH, Manifest
from serving.export.checks import BATCHES, Comparison, Measured
from serving.export.formats import PROGRAM, SCRIPT
from serving.export.source import Source

_ONNX = f"""import onnxruntime

session = onnxruntime.InferenceSession("{GRAPH}")
probabilities = session.run(None, {{"images": images}})[0]"""
LOADING: Mapping[str, str] = {
    "onnx": _ONNX,
    "onnx-int8": _ONNX,
    "onnx-int8-dynamic": _ONNX,
    "torch-export": f"""import torch

# A program of torch.export may hold code that runs when it is loaded: load none that others gave you.
model = torch.export.load("{PROGRAM}").module()
probabilities = model(torch.from_numpy(images))""",
    "torchscript": f"""import torch

model = torch.jit.load("{SCRIPT}")
probabilities = model(torch.from_numpy(images))""",
    "safetensors": """from safetensors.torch import load_file

weights = load_file("extra_files/weights-N.safetensors")  # of the network that configs.json describes""",
    "triton": """tritonserver --model-repository=repository   # in a shell, where NVIDIA's Triton is installed""",
}


def readme(source: Source, manifest: Manifest, comparison: Comparison, format: str, files: Sequence[str]) -> str:
    """Return the page as Markdown."""
    height, width, channels = manifest.image_shape
    seen = (
        " It has learnt from these images, too: they tell what changed, not how good it is."
        * source.has_seen_validation
    )
    sections = (
        f"# {source.name} as {format}",
        f"`{'`, `'.join(files)}`; `extra_files/manifest.json` holds the classes in their order and the SHA-256 of each "
        f"file.\n\nIt takes `images`, uint8 of shape (N, {height}, {width}, {channels}), {manifest.resizing} It gives "
        f"`probabilities`, float32 of shape (N, {len(manifest.class_names)}). Normalisation is inside.",
        f"```\n{LOADING[format]}\n```",
        "\n".join(table(comparison)),
        f"Accuracy is that on {comparison.num_images:,} validation images.{seen} Labels agree on "
        f"{100 * comparison.agreement:.2f} % of them; no probability differs by more than {comparison.difference:.2g}.",
    )
    return "\n\n".join(sections) + "\n"


def table(comparison: Comparison) -> list[str]:
    """Return both forms as a table in Markdown."""
    found = rows(comparison)
    cells = [list(found[0]), ["---"] * len(found[0]), *(list(row.values()) for row in found)]
    return ["| " + " | ".join(row) + " |" for row in cells]


def rows(comparison: Comparison) -> list[dict[str, str]]:
    """Return both forms with what is known of them."""
    return [_row(measured) for measured in (comparison.before, comparison.after)]


def _row(measured: Measured) -> dict[str, str]:
    times = zip(BATCHES, measured.milliseconds, strict=True)
    return {
        "form": measured.name,
        "size": f"{measured.size / 1e6:.2f} MB",
        **{"1 image" if size == 1 else f"{size} images": f"{took:.2f} ms" for size, took in times},
        "accuracy": f"{100 * measured.accuracy:.2f} %",
    }
