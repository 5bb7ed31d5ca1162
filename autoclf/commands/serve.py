"""`autoclf serve`."""

from pathlib import Path
from typing import Annotated

import typer

from autoclf.options import Store, TrackingUri

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="MODEL@ALIAS, MODEL@v3, or an exported folder.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that answer.", show_default="a core each, 4 at most")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds a token that clients must send.", show_default=False)
    ] = None,
    max_body: Annotated[
        str, typer.Option("--max-body", metavar="SIZE", help="Largest request, such as 10MB.")
    ] = "10MB",
    store: Store = Path("mlruns"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Answer images over HTTP with a promoted model, until Ctrl-C."""
    from autoclf.options import num_bytes
    from serving.reference import read_model
    from serving.server.settings import Settings, check_installed, read_token, share_of_threads

    check_installed()
    from serving.server.supervise import Front
    from serving.server.supervise import serve as run

    reference = read_model(model)
    num_workers, threads = share_of_threads(workers)
    settings = Settings(
        pointer=Path(),
        threads=threads,
        token=None if token_file is None else read_token(token_file),
        max_body=round(num_bytes(max_body)),
    )
    if host not in LOOPBACK and token_file is None:
        typer.echo(
            f"Whoever reaches {host} may ask this server; --token-file lets only those who have a token.", err=True
        )
    front = Front(host, port, num_workers)
    run(reference, settings, front, store=store, tracking_uri=tracking_uri, say=typer.echo)
