"""`carbrand serve`: the answers of `predict`, to many at once, and to nobody who should not ask."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import re
import signal
import socket
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from carbrand.model.classifier import Classifier
from carbrand.model.heatmap import align_with_photo
from carbrand.photos.photo import open_photo
from carbrand.report.drawing.thumbnail import heat_overlay
from carbrand.serve.responder import MAX_PIXELS, Responder
from tests.conftest import PAINTS, ROOT, draw_photo, run
from tests.support.serving import MODEL, PATIENCE_S, a_photo, as_bytes, serving, start


@pytest.fixture(scope="module")
def project(_finished: Path) -> Path:
    """Where the pipeline ran; nothing here changes it."""
    return _finished


@pytest.fixture(scope="module")
def server(project):
    with serving(project) as server:
        yield server


@pytest.fixture(scope="module")
def odd_photos(tmp_path_factory) -> list[Path]:
    """What phones, scanners and the web make, in files."""
    folder = tmp_path_factory.mktemp("odd")
    red, blue, green = (
        draw_photo(paint, number, (120, 80)) for number, paint in enumerate(PAINTS.values())
    )
    exif = red.getexif()
    exif[0x0112] = 6
    red.save(folder / "turned.jpg", exif=exif)
    blue.convert("CMYK").save(folder / "print.jpg")
    green.save(folder / "page.tif")
    red.quantize(16).save(folder / "palette.gif")
    clear = blue.convert("RGBA")
    clear.putalpha(120)
    clear.save(folder / "clear.png")
    green.save(folder / "web.webp")
    return sorted(folder.iterdir())


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return {**a, "milliseconds": 0} == {**b, "milliseconds": 0}


def test_the_answer_is_that_of_predict_to_the_last_decimal(server, project, odd_photos):
    predicted = run(
        [sys.executable, "-m", "carbrand.cli", "predict", "--json", *map(str, odd_photos)],
        project,
    )
    assert predicted.returncode == 0, predicted.stderr
    for record in json.loads(predicted.stdout):
        answer = server.predict(Path(record.pop("path")).read_bytes())
        assert {key: answer[key] for key in record} == record
        assert list(answer["probabilities"]) == list(record["probabilities"])


def test_the_size_is_that_of_the_upright_photo(server, odd_photos):
    (turned,) = (path for path in odd_photos if path.name == "turned.jpg")
    answer = server.predict(turned.read_bytes())
    assert (answer["width"], answer["height"]) == (80, 120)


def test_a_form_is_answered_like_the_bare_photo(server):
    photo = a_photo()
    form = (
        b'--cut\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + photo + b"\r\n--cut--\r\n"
    )
    answer = server.predict(form, Content_Type="multipart/form-data; boundary=cut")
    assert same(answer, server.predict(photo))


def form_of(*files: bytes) -> bytes:
    head = b'--cut\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'
    return b"".join(head + file + b"\r\n" for file in files) + b"--cut--\r\n"


def test_several_photos_of_a_form_are_answered_in_their_order_also_broken_ones(server):
    photos = [a_photo(0), b"no photo", *(a_photo(seed) for seed in range(1, 5))]
    answer = server.predict(form_of(*photos), Content_Type="multipart/form-data; boundary=cut")
    first, broken, *others = answer["predictions"]
    assert list(broken) == ["error"]
    assert "not a readable photo" in broken["error"]
    for photo, record in zip([photos[0], *photos[2:]], [first, *others], strict=True):
        alone = server.predict(photo)
        assert alone.pop("model") == answer["model"]
        alone.pop("milliseconds")
        assert record == alone


def test_several_photos_none_of_which_can_be_read_are_refused(server):
    status, _, body = server.ask(
        form_of(b"a", b"b"), Content_Type="multipart/form-data; boundary=cut"
    )
    assert (status, list(json.loads(body))) == (415, ["error"])


def test_every_answer_names_the_model_that_gave_it(server, project):
    digest = hashlib.sha256((project / MODEL).read_bytes()).hexdigest()
    assert server.predict(a_photo())["model"] == f"sha256:{digest[:12]}"


def test_probes_find_it_healthy(server):
    status, _, said = server.ask(method="GET", path="/health")
    model = server.predict(a_photo())["model"]
    assert (status, json.loads(said)) == (200, {"status": "ok", "model": model})


def test_a_heat_map_that_is_not_wanted_is_not_drawn(server):
    status, _, body = server.ask(a_photo(), path="/predict?heatmap=false")
    with_map = server.predict(a_photo())
    assert with_map.pop("heatmap")
    assert status == 200
    assert same(json.loads(body), with_map)
    assert server.ask(a_photo(), path="/predict?heatmap=no")[0] == 400


def test_the_description_has_what_the_answers_have(server):
    document = json.loads(server.ask(method="GET", path="/openapi.json")[2])
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {"/predict", "/health", "/openapi.json"}
    answers = document["paths"]["/predict"]["post"]["responses"]
    one, several = answers["200"]["content"]["application/json"]["schema"]["anyOf"]
    answer = server.predict(a_photo())
    assert set(one["properties"]) == set(answer)
    jsonschema.validate(answer, one | {"required": list(one["properties"])})
    form = server.predict(form_of(a_photo(), b""), Content_Type="multipart/form-data; boundary=cut")
    assert set(several["properties"]) == set(form)
    jsonschema.validate(form, several)
    documented = (ROOT / "docs/serve.md").read_text("utf-8")
    assert {*answers} - {"200"} == set(re.findall(r"^\| (\d+) \|", documented, re.MULTILINE))


@pytest.mark.parametrize("size", [(120, 80), (80, 120)])
def test_the_heat_map_over_the_grey_photo_is_the_picture_of_the_report(project, tmp_path, size):
    draw_photo((30, 60, 200), 5, size).save(tmp_path / "a.png")
    photo = open_photo(tmp_path / "a.png")
    answer = Responder(project / MODEL).respond((tmp_path / "a.png").read_bytes())
    png = base64.b64decode(answer["heatmap"].removeprefix("data:image/png;base64,"))
    small = photo.resize((224, 224))
    laid_over = small.convert("L").convert("RGBA")
    laid_over.alpha_composite(Image.open(io.BytesIO(png)).convert("RGBA"))
    classifier = Classifier(project / MODEL, heatmaps=True)
    prediction = classifier.predict_photo(photo)
    heat = align_with_photo(prediction.heatmap, *photo.size, classifier.resize)
    expected = heat_overlay(small, heat)
    difference = np.abs(np.asarray(laid_over)[..., :3].astype(int) - np.asarray(expected))
    assert difference.max() <= 4  # the warmth has 256 steps
    assert np.asarray(laid_over).std() > 1


def test_many_at_once_each_get_their_own_answer(server):
    photos = [a_photo(seed) for seed in range(8)]
    alone = [server.predict(photo) for photo in photos]
    assert len({answer["heatmap"] for answer in alone}) == len(photos)
    together = photos * 3
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(server.predict, together))
    assert all(same(a, b) for a, b in zip(answers, alone * 3, strict=True))


def test_clients_that_dawdle_or_go_away_hold_up_nobody_and_are_no_news(project):
    photo = a_photo()
    begun = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(photo)
    with serving(project) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        dawdling = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        for connection in dawdling:
            connection.sendall(begun + photo[:100])
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port)) as gone:
                gone.sendall(begun + photo)
        expected = server.predict(photo)
        with ThreadPoolExecutor(8) as clients:
            answers = clients.map(server.predict, [photo] * 8)
            assert all(same(answer, expected) for answer in answers)
        late = dawdling[0]
        late.settimeout(PATIENCE_S)
        late.sendall(photo[100:])
        assert late.recv(15) == b"HTTP/1.1 200 OK"
        for connection in silent + dawdling:
            connection.close()
        assert server.ask(method="GET", path="/health")[0] == 200
        assert server.end(signal.SIGTERM)[1:] == ("", "")


def claims_to_be(width: int, height: int) -> bytes:
    """A small PNG whose header claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "has no photo"),
        (b"not a photo", 415, "none of JPEG, PNG"),
        (b"%PDF-1.7 " * 20, 415, "PDF"),
        (b"\x00\x00\x00\x18ftypavif" + bytes(40), 415, "AVIF"),
        (a_photo()[:400], 422, "truncated after 400 bytes"),
        (claims_to_be(MAX_PIXELS // 1000, 1001), 422, "at most 50,000,000"),
    ],
)
def test_what_is_no_photo_gets_one_clear_sentence(server, body, status, words):
    got, headers, said = server.ask(body)
    assert got == status
    assert headers["content-type"].startswith("application/json")
    (sentence,) = json.loads(said).values()
    assert words in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("body", "type"),
    [
        (b"--other\r\n\r\nx", "multipart/form-data; boundary=cut"),
        (b"x", "multipart/form-data"),
        (b"--cut--\r\n", "multipart/form-data; boundary=cut"),
        (
            b"--cut\r\nContent-Type: multipart/mixed; boundary=in\r\n\r\n--in--\r\n--cut--\r\n",
            "multipart/form-data; boundary=cut",
        ),
    ],
)
def test_a_form_without_a_photo_is_told_to_be_one(server, body, type):
    status, _, said = server.ask(body, Content_Type=type)
    assert status == 400
    assert "Send the" in json.loads(said)["error"]


def test_a_packed_request_is_not_unpacked(server):
    status, _, said = server.ask(zlib.compress(bytes(10**6)), Content_Encoding="deflate")
    assert status == 415
    assert "encoded" in json.loads(said)["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/predict", 405), ("PUT", "/", 405), ("GET", "/../etc/passwd", 404)],
)
def test_other_addresses_and_methods_are_told(server, method, path, status):
    got, headers, said = server.ask(method=method, path=path)
    assert got == status
    assert json.loads(said)["error"]
    assert ("allow" in headers) == (status == 405)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_photo_over_the_limit_is_refused_before_it_is_all_there(project, chunked):
    with serving(project, "--max-mb", "1") as server:
        asked = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        with asked:
            asked.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\n")
            if chunked:
                asked.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
                for _ in range(11):
                    asked.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")
            else:
                asked.sendall(b"Content-Length: 9000000000\r\n\r\n")
            response = http.client.HTTPResponse(asked)
            response.begin()
            assert response.status == 413
            assert "larger than 1 MB" in json.loads(response.read())["error"]
        assert server.ask(bytes(1_000_000))[0] == 415
        assert server.ask(bytes(1_000_001))[0] == 413


@pytest.mark.parametrize("path", ["/", "/health", "/predict", "/nowhere"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "[::1", ""])
def test_a_foreign_name_for_this_machine_is_refused(server, host, path):
    method = "POST" if path == "/predict" else "GET"
    status, _, said = server.ask(a_photo(), method, path, Host=host)
    assert status == 403
    assert "localhost only" in json.loads(said)["error"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1", "[::1]:8000"])
def test_its_own_names_are_answered(server, host):
    assert server.ask(method="GET", path="/", Host=host)[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_pages_of_other_sites_may_not_post(server, headers, status):
    got, received, _ = server.ask(a_photo(), Host="localhost", **headers)
    assert got == status
    assert not any(name.startswith("access-control") for name in received)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/predict"), ("GET", "/nowhere"), ("OPTIONS", "/predict")],
)
def test_every_answer_forbids_what_it_does_not_need(server, method, path):
    _, headers, _ = server.ask(a_photo(), method, path)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["server"] == "carbrand"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert not any(name.startswith("access-control") for name in headers)


def test_nothing_of_a_photo_is_written_or_printed(project, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    with serving(project, TMPDIR=str(tmp_path)) as server:
        form = (
            b'--cut\r\nContent-Disposition: form-data; name="a"; filename="secret.png"\r\n\r\n'
            + as_bytes(draw_photo((1, 2, 3), 0, (900, 700)))
            + b"\r\n--cut--\r\n"
        )
        server.predict(form, Content_Type="multipart/form-data; boundary=cut")
        server.ask(b"no photo", path="/predict?name=secret.png")
        with socket.create_connection(("127.0.0.1", server.port)) as garbled:
            garbled.sendall(b"secret.png\r\n\r\n")
            garbled.recv(100)
        assert list(tmp_path.iterdir()) == []
        _, said, complained = server.end(signal.SIGTERM)
    assert (said, complained) == ("", "")
    after = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    assert {path for path in after.keys() - before if "__pycache__" not in path.parts} == set()


posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@posix
@pytest.mark.parametrize(
    ("by", "status", "words"), [(signal.SIGTERM, 0, ""), (signal.SIGINT, 130, "stopped\n")]
)
def test_a_signal_ends_it_though_clients_are_connected(project, by, status, words):
    with serving(project) as server:
        idle = socket.create_connection(("127.0.0.1", server.port))
        dawdling = socket.create_connection(("127.0.0.1", server.port))
        dawdling.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        server.predict(a_photo())
        assert server.end(by) == (status, "", words)
        idle.close()
        dawdling.close()


def refused(project: Path, *arguments: str) -> str:
    """The one line of a server that does not start."""
    process = start(project, *arguments)
    said, complained = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert said == ""
    assert complained.count("\n") == 1, complained
    return complained


def test_a_port_in_use_is_one_line(server, project):
    line = refused(project, "--port", str(server.port))
    assert line.startswith(f"error: Cannot listen on 127.0.0.1 port {server.port} (")
    assert "another --port" in line


def test_an_address_that_is_not_of_this_machine_is_one_line(project):
    assert "203.0.113.7 port 0" in refused(project, "--port", "0", "--host", "203.0.113.7")
    assert "not an address of this machine" in refused(
        project, "--port", "0", "--host", "no such host"
    )


def test_a_missing_model_is_one_line(project):
    assert "nothing.h5 does not exist" in refused(project, "--port", "0", "--model", "nothing.h5")


def test_without_the_server_library_one_line_says_how_to_get_it(project):
    code = "import sys; sys.modules['aiohttp'] = None; from carbrand.cli import main; "
    result = run([sys.executable, "-c", code + "sys.exit(main(['serve']))"], project)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: carbrand serve needs aiohttp. Install it with `pip install -e '.[serve]'`.\n"
    )


def test_beyond_loopback_it_warns_and_answers_to_any_name(project):
    with serving(project, "--host", "0.0.0.0") as server:
        assert server.ask(method="GET", path="/", Host="car.example")[0] == 200
        assert server.ask(a_photo(), Host="car.example", Origin="http://e.example")[0] == 403
        assert server.ask(a_photo(), Host="car.example", Origin="http://car.example")[0] == 200
        _, _, complained = server.end(signal.SIGTERM)
    assert complained.startswith("warning: ")
    assert complained.count("\n") == 1
