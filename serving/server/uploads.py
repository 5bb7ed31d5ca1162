"""From a request to the files in it, within limits of size and time."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from serving.server.errors import Refused
from serving.server.settings import MAX_FILES

FIELD = b"file"
MAX_PARTS = MAX_FILES + 4  # files, and fields that are not looked at
MAX_NAME = 200  # letters of a file's name that are said again
RAW_TYPES = (b"application/octet-stream", b"binary/octet-stream")
EXPECTED = (
    "Send images as fields `file` of multipart/form-data, or one image as the body with a type such as image/jpeg."
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request."""

    name: str  # as the client calls it: never a path here
    content: bytes


@dataclass(slots=True)
class Budget:
    """Bytes of bodies that a process holds at the same time."""

    most: int
    taken: int = 0

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Yield a share that is given back when the block ends."""
        share = Share(self)
        try:
            yield share
        finally:
            self.taken -= share.size


@dataclass(slots=True)
class Share:
    """What one request has taken of a budget."""

    budget: Budget
    size: int = 0

    def grow(self, size: int) -> None:
        """Take so many bytes in all.

        Raises:
            Refused: If others have them.
        """
        more = size - self.size
        if self.budget.taken + more > self.budget.most:
            raise Refused(503, "busy", "Too many uploads at the same time.", retry_seconds=1.0)
        self.budget.taken += more
        self.size = size


async def body_of(request: Request, share: Share, *, limit: int, seconds: float) -> bytes:
    """Read the body of a request.

    Raises:
        Refused: If it is larger than the limit (before anything is read, where it says so), takes too long, is
            compressed, or the client has gone.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "encoded_body", "Send the body as it is, without Content-Encoding.")
    declared = request.headers.get("content-length")
    if declared is not None:
        _check_size(int(declared), limit)  # the parser of HTTP lets digits only come this far
        share.grow(int(declared))
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                _check_size(size, limit)
                share.grow(max(size, share.size))
                chunks.append(chunk)
    except TimeoutError:
        raise Refused(408, "slow_body", f"The body was not complete after {seconds:g} s.") from None
    except ClientDisconnect:
        raise Refused(400, "gone", "The client has gone.") from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def files_in(content_type: str, body: bytes) -> list[Upload]:
    """Return the files of a request, one at least.

    Raises:
        Refused: If there is none, there are too many, or the request is of another kind.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        found = _parts(options.get(b"boundary", b""), body)
    elif kind.startswith(b"image/") or kind in RAW_TYPES:
        found = [Upload("", body)]
    else:
        raise Refused(415, "unsupported_type", EXPECTED)
    if not found:
        raise Refused(422, "no_file", f"There is no file in the request. {EXPECTED}")
    if len(found) > MAX_FILES:
        raise Refused(422, "too_many_files", f"A request may hold {MAX_FILES} images.")
    return found


@dataclass(slots=True)
class _Part:
    headers: list[tuple[bytearray, bytearray]] = field(default_factory=list)
    content: list[bytes] = field(default_factory=list)

    def upload(self) -> Upload | None:
        """Return the file that this part is, if it is one."""
        for name, value in self.headers:
            if name.lower() == b"content-disposition":
                _, options = parse_options_header(value.decode("latin-1"))
                if options.get(b"name") == FIELD:
                    called = options.get(b"filename", b"").decode("utf-8", "replace")
                    return Upload(called[:MAX_NAME], b"".join(self.content))
        return None


def _parts(boundary: bytes, body: bytes) -> list[Upload]:
    if not boundary:
        raise Refused(400, "bad_form", "The form has no boundary.")
    parts: list[_Part] = []
    whole: list[bool] = []

    def begin() -> None:
        if len(parts) >= MAX_PARTS:
            raise Refused(422, "too_many_files", f"A request may hold {MAX_FILES} images.")
        parts.append(_Part())

    callbacks = {
        "on_part_begin": begin,
        "on_header_begin": lambda: parts[-1].headers.append((bytearray(), bytearray())),
        "on_header_field": lambda data, start, end: parts[-1].headers[-1][0].extend(data[start:end]),
        "on_header_value": lambda data, start, end: parts[-1].headers[-1][1].extend(data[start:end]),
        "on_part_data": lambda data, start, end: parts[-1].content.append(data[start:end]),
        "on_end": lambda: whole.append(True),
    }
    try:
        parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, "bad_form", f"The form can't be read: {error}.") from None
    if not whole:
        raise Refused(400, "bad_form", "The form ends too early.")
    return [upload for part in parts if (upload := part.upload()) is not None]


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise Refused(413, "too_large", f"The request is larger than {limit / 1e6:g} MB.")
