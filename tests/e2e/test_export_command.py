"""`autoclf export` of a promoted model and of a trial, and what can be done with what it writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.command import Desk
from tests.serving.server.running import serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MISTAKE, REFUSED = 2, 3


def exported(desk: Desk, model: str, format: str, *options: str) -> Path:
    """Export, and return the folder."""
    done = desk.run("export", model, "--format", format, *options)
    assert done.returncode == 0, done.stderr
    return desk.root / f"{model.replace('@', '-').replace(':', '-')}-{format}"


def test_a_promoted_model_in_whole_numbers_predicts_and_serves(promoted: Desk) -> None:
    folder = exported(promoted, "tiny@champion", "onnx-int8", "--tolerance", "0.05")
    pixels = (load_digits().images[:40] * 255 / 16).round().astype(np.uint8)
    (promoted.root / "pictures").mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(promoted.root / "pictures" / f"{number:02d}.png")

    answers = [
        json.loads(promoted.run("predict", "pictures", "-m", model, "--format", "json").stdout)
        for model in ("tiny@champion", folder.name)
    ]

    labels = [[record["predictions"][0]["label"] for record in found] for found in answers]
    assert sum(a == b for a, b in zip(*labels, strict=True)) >= 38
    with serving(folder, promoted.root) as server:
        found = server.predict((promoted.root / "pictures" / "00.png").read_bytes()).json
        assert found["predictions"][0]["label"] == labels[1][0]
        assert server.ask("GET", "/model").json["judged_on"] == "validation"


def test_a_trial_that_was_never_promoted_is_exported(promoted: Desk) -> None:
    done = promoted.run("export", "tiny:0", "--out", "somewhere/else")

    assert done.returncode == 0, done.stderr
    assert "no probability differs by more than" in done.stdout
    assert "trtexec --onnx=somewhere/else/model.onnx" in done.stdout
    manifest = json.loads((promoted.root / "somewhere" / "else" / "extra_files" / "manifest.json").read_text())
    assert manifest["trials"] == {"0": 1}
    assert promoted.run("export", "tiny:0", "--out", "somewhere/else").returncode == MISTAKE


def test_torch_loads_its_own_forms_without_autoclf(promoted: Desk, tmp_path: Path) -> None:
    images = (load_digits().images[:8, :, :, None] * 255 / 16).round().astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    program = exported(promoted, "tiny@champion", "torch-export")
    script = exported(promoted, "tiny@champion", "torchscript")
    lines = (
        "import numpy, sys, torch; sys.modules['trainer'] = sys.modules['search'] = None;"
        f"images = torch.from_numpy(numpy.load({str(tmp_path / 'images.npy')!r}));"
        f"one = torch.export.load({str(program / 'model.pt2')!r}).module()(images);"
        f"other = torch.jit.load({str(script / 'model.torchscript.pt')!r})(images);"
        "assert torch.allclose(one, other, atol=1e-5); print(one.argmax(1).tolist())"
    )

    done = promoted.run_python(lines)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert sum(a == b for a, b in zip(found, load_digits().target[:8].tolist(), strict=True)) >= 6


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tiny:99",), "has no trial 99"),
        (("nobody:0",), "No study is called"),
        (("nobody@champion",), "There is no model 'nobody'"),
        (("tiny", "--format", "tflite"), "is not one of"),
        (("tiny", "--out", "mlruns"), "There is something at 'mlruns'"),
    ],
)
def test_mistakes_are_told_without_a_traceback(promoted: Desk, arguments: tuple[str, ...], told: str) -> None:
    done = promoted.run("export", *arguments)

    assert done.returncode == MISTAKE
    assert told in done.stderr
    assert "Traceback" not in done.stderr
