"""The tutorials' endpoint, to compare with: FastAPI, one image a request, through Pillow, transforms and PyTorch.

STUDY, STORE: names of the study and of its store; the model is the one that `autoclf promote STUDY` takes.
python -m uvicorn benchmarks.tutorial_endpoint:app
"""

import io
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from fastapi import FastAPI, File, UploadFile
from PIL import Image

from autoclf.options import user_cache
from search.refit import refit_config, refit_directory, remembered_refit
from search.resume import remembered_request
from search.run import prepare_data
from search.storage import open_storage
from search.store import Store
from search.study import load_study
from search.winner import remembered_standing, winner_of
from trainer.export import load_servable
from trainer.jobfiles import WEIGHTS

app = FastAPI()


def _load() -> tuple[torch.nn.Module, tuple[str, ...], tuple[int, int, int]]:
    name, root = os.environ["STUDY"], Path(os.environ["STORE"])
    request = remembered_request(name, store=root, storage=None, cache=user_cache())
    store = Store(root)
    study = load_study(open_storage(store.study_url), name)
    data = prepare_data(request, lambda _: None)
    trial = winner_of(store.trials(name), request.space.objective.metric, remembered_standing(study))
    assert trial is not None
    config, folder, refit = trial.config, store.job(name, trial.number), remembered_refit(study, trial.number)
    if refit is not None and refit.is_sound:
        config = refit_config(config, num_train=data.num_train, threads=refit.threads)
        folder = refit_directory(store, name, trial.number)
    return load_servable(config, data, folder / WEIGHTS).eval(), data.class_names, data.image_shape


model, class_names, (height, width, channels) = _load()


@app.post("/predict")
async def predict(file: Annotated[UploadFile, File()]) -> dict[str, object]:
    """Return the most probable class of an image."""
    image = Image.open(io.BytesIO(await file.read())).convert("RGB" if channels == 3 else "L")
    pixels = np.asarray(image.resize((width, height))).reshape(1, height, width, channels)
    with torch.inference_mode():
        probabilities = model(torch.from_numpy(pixels.copy()))[0]
    best = int(probabilities.argmax())
    return {"label": class_names[best], "confidence": float(probabilities[best])}
