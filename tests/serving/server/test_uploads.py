"""Files come out of a request as they went in, within what a request may cost."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from serving.server.errors import Refused
from serving.server.uploads import MAX_NAME, Budget, Upload, body_of, files_in
from tests.serving.server.running import form

names = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n\0'), min_size=1, max_size=MAX_NAME)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8), names)
def test_files_come_out_as_they_went_in(contents: list[bytes], name: str) -> None:
    safe = [content for content in contents if b"--edge" not in content] or [b"x"]
    body, kind = form(*safe, name=name)

    found = files_in(kind, body)

    assert [upload.content for upload in found] == safe
    assert all(upload.name == name[:MAX_NAME] for upload in found)


def files_or_status(kind: str, body: bytes) -> list[Upload] | int:
    try:
        return files_in(kind, body)
    except Refused as refused:
        return refused.status


@given(st.binary(max_size=500), st.binary(min_size=1, max_size=90))
def test_no_form_makes_anything_but_an_answer_or_a_refusal(body: bytes, boundary: bytes) -> None:
    kind = f"multipart/form-data; boundary={boundary.decode('latin-1')}"

    assert files_or_status(kind, b"--" + boundary + b"\r\n" + body) not in ([], 415, 500)


@given(st.text(st.characters(codec="latin-1"), max_size=100))  # as headers are read
def test_any_content_type_is_understood_or_refused(kind: str) -> None:
    assert files_or_status(kind, b"x") in ([Upload("", b"x")], 400, 415)


def test_other_fields_are_left_alone() -> None:
    before, kind = form(b"5", field="top_k")
    after, _ = form(b"picture")

    assert files_in(kind, before.removesuffix(b"--edge--\r\n") + after) == [Upload("a.png", b"picture")]


def request_of(chunks: list[bytes], pause: float = 0.0, headers: dict[str, str] | None = None) -> Request:
    left = list(chunks)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    encoded = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": encoded}, receive)


def run(work: Callable[[], Awaitable[bytes]]) -> bytes:
    async def whole() -> bytes:
        return await work()

    return asyncio.run(whole())


def test_a_body_is_read_in_pieces_and_its_share_is_given_back() -> None:
    budget = Budget(10)
    with budget.share() as share:
        body = run(lambda: body_of(request_of([b"abc", b"", b"de"]), share, limit=8, seconds=5))
        assert budget.taken == 5

    assert body == b"abcde"
    assert budget.taken == 0


@pytest.mark.parametrize(
    ("chunks", "pause", "headers", "status"),
    [
        ([b"12345", b"6789"], 0.0, {}, 413),
        ([b""], 0.0, {"content-length": "9"}, 413),
        ([b"1", b"2"], 0.5, {}, 408),
        ([b"12345"], 0.0, {"content-encoding": "br"}, 415),
    ],
)
def test_a_body_beyond_the_limits_is_refused(
    chunks: list[bytes], pause: float, headers: dict[str, str], status: int
) -> None:
    with Budget(100).share() as share, pytest.raises(Refused) as refused:
        run(lambda: body_of(request_of(chunks, pause, headers), share, limit=8, seconds=0.3))

    assert refused.value.status == status


def test_bodies_together_have_a_limit() -> None:
    budget = Budget(10)
    with budget.share() as other, budget.share() as mine:
        other.grow(6)
        with pytest.raises(Refused) as refused:
            run(lambda: body_of(request_of([b""], headers={"content-length": "5"}), mine, limit=8, seconds=5))
        assert (refused.value.status, refused.value.retry_seconds) == (503, 1.0)
        assert budget.taken == 6
    assert budget.taken == 0
