"""What people and attackers send, over real sockets to a real server; names begin with the number of a bad input."""

import base64
import gzip
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.serving.packages import make_package
from tests.serving.server.running import ROOT, Server, form, picture, read_all, serving, until
from tests.trainer.data.data_samples import encoded, noise, png_with_header

HEADER_SECONDS, BODY_SECONDS = 1.0, 1.5
MAX_BODY = 300_000
DARK, BRIGHT = picture(0), picture(255)
SURE = float(1 / (1 + np.exp(-6)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("server")
    limits = {"header_seconds": HEADER_SECONDS, "body_seconds": BODY_SECONDS, "max_body": MAX_BODY}
    with serving(make_package(place / "package"), place, **limits) as running:
        yield running
        assert running.process.poll() is None
        assert not running.log.read_text(), "nothing that a client sends is an error of ours"


def test_forms_and_bare_bodies_are_answered(server: Server) -> None:
    several = server.predict(DARK, BRIGHT, query="?top_k=1").json
    bare = server.ask("POST", "/predict", BRIGHT, kind="image/png").json

    assert [item["label"] for item in several["predictions"]] == ["dark", "bright"]
    assert [len(item["classes"]) for item in several["predictions"]] == [1, 1]
    (answer,) = bare["predictions"]
    assert answer["confidence"] == pytest.approx(SURE, abs=1e-5)
    assert [each["label"] for each in answer["classes"]] == ["bright", "dark"]
    assert sum(each["probability"] for each in answer["classes"]) == pytest.approx(1, abs=1e-5)
    assert bare["version"] is None


@pytest.mark.parametrize("size", [(8, 8), (37, 91), (300, 20), (1, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_77_other_sizes_and_formats_are_brought_to_the_models(server: Server, size: tuple[int, int], kind: str) -> None:
    (answer,) = server.predict(picture(255, size=size, kind=kind)).json["predictions"]

    assert answer["label"] == "bright"
    assert answer["confidence"] == pytest.approx(SURE, abs=1e-3)


def test_a_bad_image_among_good_ones_is_told_and_stops_nobody(server: Server) -> None:
    mixed = server.predict(DARK, b"no image", BRIGHT)
    bad = server.predict(b"no image")

    assert mixed.status == 200
    first, second, third = mixed.json["predictions"]
    assert (first["label"], third["label"]) == ("dark", "bright")
    assert second["error"] == {
        "code": "bad_image", "message": "The image is no JPEG, PNG, WebP, BMP, GIF or TIFF image.",
    }  # fmt: skip
    assert bad.status == 422
    assert bad.json["predictions"][0]["error"]["code"] == "bad_image"


BAD_IMAGES = {
    "5 empty": (b"", "is empty"),
    "6 truncated JPEG": (picture(9, size=(90, 90), kind="JPEG")[:-200], "cannot be decoded"),
    "7 truncated PNG": (encoded(noise(0, (64, 64, 3)))[:5_000], "cannot be decoded"),
    "8 header lies": (png_with_header(200, 200, data=b"\0" * 101 * 100), "cannot be decoded"),
    "10 web page": (b"<html>no</html>", "is no JPEG"),
    "12 too many pixels": (png_with_header(10_000, 10_000), "has more than 64 million pixels"),
    "13 far too many pixels": (png_with_header(60_000, 60_000), "has more than 64 million pixels"),
    "14 no pixels": (png_with_header(0, 0), "is no JPEG"),
    "27 PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no JPEG"),
    "scans without end": (b"\xff\xd8" + b"\xff\xda" * 1000, "has more than 64 scans"),
}


@pytest.mark.parametrize(("content", "told"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_76_images_that_are_none_are_told(server: Server, content: bytes, told: str) -> None:
    began = time.monotonic()

    reply = server.predict(content)

    assert reply.status == 422
    assert told in reply.json["predictions"][0]["error"]["message"]
    assert time.monotonic() - began < 2


REQUESTS = {
    "68 empty body": ("POST", "/predict", b"", "image/png", 422, "bad_image"),
    "69 method": ("GET", "/predict", None, None, 405, "method_not_allowed"),
    "69 path": ("POST", "/admin", b"x", "image/png", 404, "not_found"),
    "69 dots": ("GET", "/../../etc/passwd", None, None, 404, "not_found"),
    "70 JSON": ("POST", "/predict", b'{"instances": [1]}', "application/json", 415, "unsupported_type"),
    "70 text": ("POST", "/predict", b"hello", "text/plain", 415, "unsupported_type"),
    "70 no type": ("POST", "/predict", b"hello", None, 415, "unsupported_type"),
    "70 broken type": ("POST", "/predict", b"hello", ";;=;/", 415, "unsupported_type"),
    "71 no file field": ("POST", "/predict", *form(DARK, field="photo"), 422, "no_file"),
    "71 33 files": ("POST", "/predict", *form(*[DARK] * 33), 422, "too_many_files"),
    "71 1001 files": ("POST", "/predict", *form(*[b"x"] * 1001), 422, "too_many_files"),
    "71 no boundary": ("POST", "/predict", form(DARK)[0], "multipart/form-data", 400, "bad_form"),
    "71 long boundary": ("POST", "/predict", b"x", "multipart/form-data; boundary=" + "-" * 400, 400, "bad_form"),
    "71 other boundary": ("POST", "/predict", form(DARK)[0], "multipart/form-data; boundary=x", 400, "bad_form"),
    "71 cut form": ("POST", "/predict", form(DARK)[0][:-30], "multipart/form-data; boundary=edge", 400, "bad_form"),
    "72 too large": ("POST", "/predict", b"x" * (MAX_BODY + 1), "image/png", 413, "too_large"),
    "78 base64": ("POST", "/predict", json.dumps({"image": base64.b64encode(DARK).decode()}).encode(),
                  "application/json", 415, "unsupported_type"),
    "78 address": ("POST", "/predict", *form(b"http://169.254.169.254/latest/meta-data"), 422, "bad_image"),
    "79 top_k 0": ("POST", "/predict?top_k=0", *form(DARK), 422, "bad_parameter"),
    "79 top_k -1": ("POST", "/predict?top_k=-1", *form(DARK), 422, "bad_parameter"),
    "79 top_k huge": ("POST", "/predict?top_k=1000000000", *form(DARK), 422, "bad_parameter"),
    "79 top_k NaN": ("POST", "/predict?top_k=NaN", *form(DARK), 422, "bad_parameter"),
    "79 top_k text": ("POST", "/predict?top_k=all", *form(DARK), 422, "bad_parameter"),
    "80 no image": ("POST", "/predict", *form(), 422, "no_file"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "kind", "status", "code"), REQUESTS.values(), ids=REQUESTS)
def test_requests_that_are_not_granted_are_told_why(
    server: Server, method: str, path: str, body: bytes | None, kind: str | None, status: int, code: str
) -> None:
    reply = server.ask(method, path, body, kind=kind)

    assert reply.status == status, reply.content
    found = reply.json["predictions"][0]["error"]["code"] if "predictions" in reply.json else reply.code
    assert found == code
    assert b"Traceback" not in reply.content
    assert str(ROOT).encode() not in reply.content
    assert server.predict(DARK).status == 200


def test_a_top_k_beyond_the_classes_gives_all(server: Server) -> None:
    assert len(server.predict(DARK, query="?top_k=1000").json["predictions"][0]["classes"]) == 2


def test_75_compressed_bodies_are_not_unpacked(server: Server) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)

    reply = server.ask("POST", "/predict", bomb, kind="image/png", headers={"Content-Encoding": "gzip"})

    assert (reply.status, reply.code) == (415, "encoded_body")


def test_72_what_declares_too_much_is_refused_before_it_is_read(server: Server) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 10000000\r\n\r\n"
    began = time.monotonic()

    reply = server.raw(head)

    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in reply.lower()
    assert time.monotonic() - began < 1


def test_73_chunks_are_counted(server: Server) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(head)
        for _ in range(8):
            connection.sendall(b"c350\r\n" + b"x" * 50_000 + b"\r\n")

        assert read_all(connection).startswith(b"HTTP/1.1 413 ")


SMUGGLED = {
    "wrong": b"Content-Length: 12x",
    "negative": b"Content-Length: -5",
    "twice": b"Content-Length: 5\r\nContent-Length: 6",
    "with chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
}


@pytest.mark.parametrize("lengths", SMUGGLED.values(), ids=SMUGGLED)
def test_74_lengths_that_contradict_are_refused(server: Server, lengths: bytes) -> None:
    reply = server.raw(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n" + lengths + b"\r\n\r\nhello")

    assert reply.startswith(b"HTTP/1.1 400 ")


LONG = {
    "100 kB header": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "100 kB header without an end": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000,
    "10,000 headers": b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
    "64 kB address": b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("content", LONG.values(), ids=LONG)
def test_84_heads_that_are_too_long_are_refused(server: Server, content: bytes) -> None:
    assert server.raw(content).startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 408 "))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\0b", "x" * 10_000, "line\\r\\nSet-Cookie: a=b", "<script>", "ü"]
)
def test_85_names_of_files_are_said_again_and_nothing_else(server: Server, name: str) -> None:
    body, kind = form(DARK, name=name)

    reply = server.ask("POST", "/predict", body, kind=kind)

    assert reply.status in (200, 400)
    assert len(reply.content) < 1000
    assert "set-cookie" not in reply.headers


def test_86_no_reply_tells_what_runs_here_and_browsers_may_do_little(server: Server) -> None:
    for reply in (server.ask("GET", "/"), server.ask("GET", "/nothing"), server.predict(DARK)):
        assert "server" not in reply.headers
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    asked = server.ask("OPTIONS", "/predict", headers={"Origin": "http://a", "Access-Control-Request-Method": "POST"})
    assert not [name for name in asked.headers if name.startswith("access-control")]


def test_88_only_what_is_documented_is_there(server: Server) -> None:
    for path in ("/docs", "/redoc", "/admin", "/debug", "/static/page.js"):
        assert server.ask("GET", path).status == 404
    schema = server.ask("GET", "/openapi.json").json
    assert set(schema["paths"]) == {"/predict", "/healthz", "/readyz", "/metrics", "/model"}


def test_89_older_and_odd_ways_of_http(server: Server) -> None:
    head = b"Host: a\r\nContent-Type: image/png\r\nContent-Length: %d\r\n" % len(DARK)

    old = server.raw(b"POST /predict HTTP/1.0\r\n" + head + b"\r\n" + DARK)
    encrypted = server.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 500)
    with server.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\n" + head + b"Expect: 100-continue\r\n\r\n")
        told = connection.recv(100)
        connection.sendall(DARK)
        after = connection.recv(1000)
    both = b"POST /predict HTTP/1.1\r\n" + head + b"\r\n" + DARK
    with server.connect(timeout=1) as connection:
        connection.sendall(both + both)
        pipelined = read_all(connection)

    assert old.startswith(b"HTTP/1.1 200 ")
    assert encrypted.startswith(b"HTTP/1.1 400 ")
    assert told.startswith(b"HTTP/1.1 100 ")
    assert after.startswith(b"HTTP/1.1 200 ")
    assert pipelined.count(b"HTTP/1.1 200 OK") == 2


def test_81_slow_and_idle_connections_are_closed_while_others_are_answered(server: Server) -> None:
    slow_head, slow_body = b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"POST /predict HTTP/1.1\r\nHost: a\r\n"
    slow_body += b"Content-Type: image/png\r\nContent-Length: 1000\r\n\r\nabc"
    connections = [server.connect() for _ in range(50)]
    began = time.monotonic()
    for number, connection in enumerate(connections):
        connection.sendall((slow_head, slow_body, b"")[number % 3])

    longest = 0.0
    while time.monotonic() - began < BODY_SECONDS:
        asked = time.monotonic()
        assert server.predict(DARK).status == 200
        assert server.ask("GET", "/healthz").status == 200
        longest = max(longest, time.monotonic() - asked)
    endings = [read_all(connection) for connection in connections]

    assert longest < 1
    assert time.monotonic() - began < BODY_SECONDS + 5
    assert all(end.startswith(b"HTTP/1.1 408 ") for end in endings)
    for connection in connections:
        connection.close()


def test_82_a_client_that_leaves_in_the_middle_leaks_nothing(server: Server) -> None:
    (worker,) = server.workers()
    server.predict(DARK)
    before = worker.num_fds()
    body, kind = form(*[picture(3, size=(500, 500))] * 20)
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for number in range(60):
        with server.connect() as connection:
            connection.sendall(head + body[: len(body) // (number % 3 + 1)])

    until(lambda: worker.num_fds() <= before + 1)
    assert server.predict(DARK).status == 200


def test_83_many_at_once_are_all_answered_or_told_to_come_again(server: Server) -> None:
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda number: server.predict(DARK if number % 2 else BRIGHT), range(200)))

    assert {reply.status for reply in replies} <= {200, 503}
    for number, reply in enumerate(replies):
        if reply.status == 200:
            assert reply.json["predictions"][0]["label"] == ("dark" if number % 2 else "bright")
        else:
            assert int(reply.headers["retry-after"]) >= 1


def test_figures_for_prometheus_count_what_was_done(tmp_path: Path) -> None:
    with serving(make_package(tmp_path / "package"), tmp_path, num_workers=2) as server:
        _check_figures(server)


def _check_figures(server: Server) -> None:
    def figures() -> dict[str, float]:
        lines = server.ask("GET", "/metrics").content.decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    before = figures()
    server.predict(DARK, b"no image", BRIGHT)
    server.ask("POST", "/predict", b"x", kind="text/plain")
    after = figures()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown('autoclf_requests_total{status="200"}') == 1
    assert grown('autoclf_requests_total{status="415"}') == 1
    assert grown('autoclf_images_total{outcome="answered"}') == 2
    assert grown('autoclf_images_total{outcome="bad"}') == 1
    assert grown("autoclf_batch_images_sum") == 2
    assert after['autoclf_model{model="' + _name(server) + '",version=""}'] == 1


def _name(server: Server) -> str:
    return str(server.ask("GET", "/model").json["model"])
