"""`autoclf predict`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from autoclf.exits import USER_MISTAKE
from autoclf.options import Store, TrackingUri


def predict(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE|FOLDER|GLOB...", help="What to classify.")],
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="MODEL@ALIAS, MODEL@v3, or an exported folder.")
    ],
    top_k: Annotated[int, typer.Option(min=1, help="Classes to name for each image.")] = 1,
    format: Annotated[Literal["table", "csv", "json"], typer.Option(help="How to print it.")] = "table",
    batch_size: Annotated[int, typer.Option(min=1, max=4096, help="Images that go through the model at once.")] = 64,
    store: Store = Path("mlruns"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Classify images with a promoted model."""
    from autoclf.predictions import printer
    from autoclf.progress import files_bar
    from serving.fetching import fetched
    from serving.files import image_files
    from serving.predict import predict_files
    from serving.predictor import load_predictor
    from serving.reference import read_model
    from trainer.data.images import BadImage

    reference = read_model(model)
    paths, unfit = image_files(images)
    num_bad = 0
    with fetched(reference, store=store, tracking_uri=tracking_uri) as folder:
        predictor = load_predictor(folder, name=str(reference))
        shown = min(top_k, len(predictor.manifest.class_names))
        with printer(format, shown) as tell, files_bar(len(paths)) as advance:
            for bad in unfit:
                tell(bad)
            for found in predict_files(predictor, paths, top_k=shown, batch_size=batch_size):
                tell(found)
                advance()
                num_bad += isinstance(found, BadImage)
    num_bad += len(unfit)
    if num_bad:
        typer.echo(f"{num_bad} of {len(paths) + len(unfit)} files could not be used; all others are above.", err=True)
        raise typer.Exit(USER_MISTAKE)
