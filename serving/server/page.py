"""The page for people, and what it says of the model."""

from pathlib import Path

from fastapi import FastAPI, Response

from serving.server.service import Holder

FOLDER = Path(__file__).parent / "static"
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add_page(app: FastAPI, holder: Holder) -> None:
    """Add the page to an application: it loads nothing from elsewhere."""
    for path in sorted(FOLDER.iterdir()):
        _add_file(app, "/" if path.name == "index.html" else f"/{path.name}", path)

    @app.get("/model", summary="Which model answers, and how good it is")
    async def model() -> dict[str, object]:
        with holder.in_use() as service:
            package, manifest = service.package, service.predictor.manifest
        return {
            "model": package.model,
            "version": package.version,
            "num_classes": len(manifest.class_names),
            "image_shape": manifest.image_shape,
            "resizing": manifest.resizing,
            "accuracy": manifest.accuracy,
            "judged_on": manifest.judged_on,
            "num_judged": manifest.num_judged,
            "max_bytes": holder.settings.max_body,
            "needs_token": holder.settings.token is not None,
        }


def _add_file(app: FastAPI, route: str, path: Path) -> None:
    content, kind = path.read_bytes(), KINDS[path.suffix[1:]]

    @app.get(route, include_in_schema=False)
    async def file() -> Response:
        return Response(content, media_type=kind, headers={"Content-Security-Policy": POLICY})
