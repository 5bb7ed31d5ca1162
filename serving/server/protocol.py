"""uvicorn's HTTP with what it has no limits of: how long headers take, how long they are, how many connections.

uvicorn counts seconds between requests alone: a client that sends half a header, or nothing, keeps its connection
for ever, and headers may have any length.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD = 16_384  # bytes of the request line and all headers
MAX_HEADERS = 64
MESSAGES = {400: "This is no request of HTTP.", 408: "The headers took too long.", 431: "The headers are too long."}


class Protocol(HttpToolsProtocol):
    """One connection; `config.app` has the settings."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0  # of the head that is being read
        self._is_in_head = True
        self._status = 400  # that is answered if the parser stops here
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to count; one connection too many is closed at once."""
        super().connection_made(transport)
        settings = self.config.app.settings  # type: ignore[union-attr]
        if len(self.connections) > settings.max_connections:
            transport.close()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head is too long by now."""
        if self.transport.is_closing():
            return
        if self._is_in_head:
            self._wait_for_head()
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self._refuse(431)

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        super().on_url(url)
        self._check(len(self.url) <= MAX_HEAD)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        super().on_header(name, value)
        size = len(self.url) + sum(len(key) + len(text) for key, text in self.headers)
        self._check(len(self.headers) <= MAX_HEADERS and size <= MAX_HEAD)

    def on_headers_complete(self) -> None:
        """Note that the head is whole; the body has a deadline of its own where it is read."""
        self._is_in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the next head may begin; until it does, uvicorn counts."""
        super().on_message_complete()
        self._is_in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Say what the parser stopped at."""
        self._refuse(self._status)

    def _check(self, is_within: bool) -> None:
        if not is_within:
            self._status = 431
            raise ValueError("too long")  # the parser stops, and `send_400_response` is called

    def _wait_for_head(self) -> None:
        if self._deadline is None:
            seconds = self.config.app.settings.header_seconds  # type: ignore[union-attr]
            self._deadline = self.loop.call_later(seconds, self._refuse, 408)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # else an answer to an earlier request is under way
            text = MESSAGES[status].encode()
            head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text)
            self.transport.write(STATUS_LINE[status] + head + text)
        self.transport.close()
