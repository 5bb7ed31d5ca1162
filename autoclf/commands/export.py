"""`autoclf export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autoclf.options import Storage, Store, TrackingUri, user_cache

if TYPE_CHECKING:
    from serving.export.export import Exported


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="MODEL@ALIAS, MODEL@v3, or a trial: STUDY:7.")],
    format: Annotated[
        Literal["onnx", "onnx-int8", "onnx-int8-dynamic", "torch-export", "torchscript", "safetensors", "triton"],
        typer.Option(help="What to write."),
    ] = "onnx",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to be made.", show_default="MODEL-FORMAT")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Accuracy on validation images that int8 may lose.")
    ] = 0.01,
    store: Store = Path("mlruns"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Write a trained model for other programs, once it has been seen to answer as it does here."""
    from serving.export.export import default_folder
    from serving.export.export import export as write
    from serving.export.source import Place, opened
    from serving.reference import read_reference

    reference = read_reference(model)
    place = Place(store=store, storage=storage, tracking_uri=tracking_uri, cache=user_cache())
    with opened(reference, place) as source:
        done = write(source, format=format, out=out or default_folder(model, format), tolerance=tolerance)
        _tell(done, format, has_seen=source.has_seen_validation)


def _tell(done: "Exported", format: str, *, has_seen: bool) -> None:
    import pandas as pd

    from autoclf.tables import console, drawn
    from serving.export.readme import rows

    found = done.comparison
    console().print(drawn(pd.DataFrame(rows(found))))
    seen = ", which it has learnt from, too: they tell what changed, not how good it is" if has_seen else ""
    typer.echo(
        f"Accuracy is that on {found.num_images:,} validation images{seen}. Labels agree on "
        f"{100 * found.agreement:.2f} %; no probability differs by more than {found.difference:.2g}."
    )
    typer.echo(f"Wrote {done.folder}: {', '.join(done.files)}.")
    if done.objections:
        typer.echo(f"TensorRT would not take it: {', '.join(done.objections)}.")
    elif done.trtexec is not None:
        typer.echo(f"A TensorRT engine of it:  {done.trtexec}")
    if format.startswith("onnx"):
        typer.echo(f"Use it with  autoclf predict IMAGES --model {done.folder}  or  autoclf serve {done.folder}")
