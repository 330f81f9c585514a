"""A source at a URL: over http from a real server, from S3 as moto serves it here, and from fsspec's own memory."""

import gzip
import hashlib
import http.server
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from moto.server import ThreadedMotoServer

from pipeline.errors import SourceError
from pipeline.listing import remote
from pipeline.listing.remote import ask, is_url, local_copy
from pipeline.listing.stores import without_secrets

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path but /none and /secret. Keeps what was asked for; breaks off after `breaks_after` bytes."""

    content: bytes = CONTENT
    headers: dict[str, str]
    knows_ranges = True
    breaks_after: int | None = None
    may_break: Callable[[], bool] = staticmethod(lambda: True)

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.headers = {"ETag": '"1"'}
        self.asked: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def fetched(self) -> list[str | None]:
        """The ranges of the requests for content since the last call."""
        asked, self.asked = self.asked, []
        return [wanted for method, wanted in asked if method == "GET"]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(self.server.content)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        server, wanted = self.server, self.headers["Range"]
        server.asked.append((self.command, wanted))
        status = 404 if self.path.startswith("/none") else 403 if self.path.startswith("/secret") else 200
        first = 0
        if wanted and server.knows_ranges and status == 200:
            first, status = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]), 206  # type: ignore[index]
        self.send_response(status)
        self.send_header("Content-Length", str(len(server.content) - first))
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[first:][: server.breaks_after])
        while body and not server.may_break():
            time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    yield fsspec.filesystem("memory")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture(scope="module")
def s3_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator["boto3.client"]:
    """A client of an S3 server with the bucket `flowers`, while s3:// leads there."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name, value in {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "key", "DEFAULT_REGION": "us-east-1"}.items():
            environment.setenv(f"AWS_{name}", value)
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        client = boto3.Session().client("s3")
        client.create_bucket(Bucket="flowers")
        yield client
    server.stop()


@pytest.fixture
def s3(s3_client: "boto3.client") -> "boto3.client":
    """The client, its bucket empty."""
    for found in s3_client.list_objects_v2(Bucket="flowers").get("Contents", []):
        s3_client.delete_object(Bucket="flowers", Key=found["Key"])
    return s3_client


def put(s3: "boto3.client", **objects: bytes) -> None:
    for key, content in objects.items():
        s3.put_object(Bucket="flowers", Key=key, Body=content)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_url_is_told_from_a_path_and_its_secrets_are_not_shown() -> None:
    assert [is_url(source) for source in ("s3://b/x", "https://h/x.zip", "memory://x")] == [True] * 3
    assert [is_url(source) for source in ("data/x", "/a/b", "C:\\x", "a:b")] == [False] * 4
    assert without_secrets("https://me:pw@h.org/a.zip?sig=1#x and 's3://b/c'") == "https://h.org/a.zip and 's3://b/c'"


def test_a_file_over_http_is_fetched_again_only_when_it_has_changed(server: Server, tmp_path: Path) -> None:
    url = server.url("/sets/my%20flowers.zip")

    copy = local_copy(url, tmp_path)
    assert (copy.name, copy.read_bytes(), server.fetched()) == ("my flowers.zip", CONTENT, [None])

    assert (local_copy(url, tmp_path), server.fetched()) == (copy, [])

    server.content, server.headers = b"new", {"ETag": '"2"'}
    assert (local_copy(url, tmp_path).read_bytes(), server.fetched()) == (b"new", [None])

    copy.write_bytes(b"shortened by somebody")
    assert (local_copy(url, tmp_path).read_bytes(), server.fetched()) == (b"new", [None])


@pytest.mark.parametrize(("headers", "fetches"), [({"Last-Modified": "Tue, 01 Jul 2025 10:00:00 GMT"}, 1), ({}, 2)])
def test_without_an_etag_the_time_stamp_counts_and_without_both_it_is_fetched_again(
    server: Server, tmp_path: Path, headers: dict[str, str], fetches: int
) -> None:
    server.headers = headers

    for _ in range(2):
        assert local_copy(server.url("/x.npz"), tmp_path).read_bytes() == CONTENT

    assert len(server.fetched()) == fetches


@pytest.mark.parametrize(
    ("knows_ranges", "etag", "wanted"), [(True, '"1"', ["bytes=300000-"]), (False, '"1"', ["bytes=300000-"]), (True, '"2"', [None])]
)
def test_a_fetch_that_broke_off_goes_on_where_it_was_if_nothing_has_changed(
    server: Server, tmp_path: Path, knows_ranges: bool, etag: str, wanted: list[str | None]
) -> None:
    server.breaks_after = 300_000
    server.may_break = lambda: sum(file.stat().st_size for file in tmp_path.glob("*/partial/*")) == 300_000
    with pytest.raises(SourceError, match=r"x\.zip cannot be fetched: .*it resumes where it stopped"):
        local_copy(server.url("/x.zip"), tmp_path)
    assert not list(tmp_path.glob("*/files/**/*.zip"))
    server.fetched()

    server.may_break = lambda: True
    server.breaks_after, server.knows_ranges, server.headers = None, knows_ranges, {"ETag": etag}

    assert local_copy(server.url("/x.zip"), tmp_path).read_bytes() == CONTENT
    assert server.fetched() == wanted


def test_a_file_that_changes_while_it_is_fetched_in_parts_is_refused(
    memory: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/x.zip", CONTENT)
    cat_file = MemoryFileSystem.cat_file

    def replace_and_read(self: MemoryFileSystem, path: str, **limits: int) -> bytes:
        if limits["start"]:
            self.pipe(path, CONTENT[::-1])
        content: bytes = cat_file(self, path, **limits)
        return content

    monkeypatch.setattr(MemoryFileSystem, "cat_file", replace_and_read)
    monkeypatch.setattr(remote, "BLOCK_BYTES", 600_000)

    with pytest.raises(SourceError, match=r"memory://x\.zip: x\.zip changed during the download\. Run the same command again"):
        local_copy("memory://x.zip", tmp_path)


def test_what_is_packed_on_the_way_arrives_as_it_is(server: Server, tmp_path: Path) -> None:
    server.content = gzip.compress(b"a,b\n")

    assert local_copy(server.url("/x.csv.gz"), tmp_path).read_bytes() == server.content  # gzip writes the second of the day into each file


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/none.zip", r"nothing found at http://127\.0\.0\.1:\d+/none\.zip\. Check the address\.$"),
        ("/secret.zip?X-Amz-Signature=abc", r"http://127\.0\.0\.1:\d+/secret\.zip cannot be read: access denied\. Check the address"),
        ("/", "is a web page, not a file"),
        ("/folder/", "is a web page, not a file"),
        ("/html", "is a web page, not a file"),
        ("/%2e%2e%2fetc%2f%2e%2e", "would be stored outside its folder"),
    ],
)
def test_what_cannot_be_fetched_over_http_is_one_line_without_secrets(server: Server, tmp_path: Path, path: str, words: str) -> None:
    if path == "/html":
        server.headers = {"Content-Type": "text/html; charset=utf-8"}

    with pytest.raises(SourceError, match=words) as error:
        local_copy(server.url(path).replace("http://", "http://user:geheim@"), tmp_path)

    assert not re.search("geheim|Signature|\n", str(error.value))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/x.zip?token=geheim", r"http://127\.0\.0\.1:1/x\.zip cannot be fetched: Cannot connect"),
        ("nonsense://x/y", "nonsense:// is not supported. Expected a path, s3://, gs://, https://"),
        ("s3://id:geheim@flowers/x", "s3://flowers/x has a password in it. Remove it from the URL, and set AWS_ACCESS_KEY_ID"),
        ("memory://empty", "nothing found at memory://empty"),
    ],
)
def test_what_cannot_be_reached_says_what_to_do(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as error:
        local_copy(url, tmp_path)

    assert "geheim" not in str(error.value)


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)

    with pytest.raises(SourceError, match=re.escape("Install it: pip install 'image-classifier-pipeline[gs]'.")):
        local_copy("gs://flowers/x", tmp_path)


def test_a_store_that_denies_access_is_one_line(memory: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(self: MemoryFileSystem, path: str) -> None:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(MemoryFileSystem, "info", deny)

    with pytest.raises(SourceError, match=r"memory://set cannot be read: access denied\. Check the address, and give yourself read access"):
        local_copy("memory://set", tmp_path)


def test_a_folder_in_s3_is_mirrored_and_only_what_changed_is_fetched(s3: "boto3.client", tmp_path: Path) -> None:
    put(s3, **{"set/cat/a.png": b"1", "set/cat/b.png": b"2", "set/dog/c.png": b"3", "set/empty.txt": b""})
    put(s3, **{"set/cat/": b"", "other/x.png": b"4"})
    copy = local_copy("s3://flowers/set", tmp_path)
    assert (copy.name, files(copy)) == ("set", {"cat/a.png": b"1", "cat/b.png": b"2", "dog/c.png": b"3", "empty.txt": b""})
    before = {path: path.stat().st_ino for path in copy.rglob("*.png")}

    put(s3, **{"set/cat/a.png": b"9", "set/fox/d.png": b"5"})
    s3.delete_object(Bucket="flowers", Key="set/dog/c.png")

    assert local_copy("s3://flowers/set/", tmp_path) == copy
    assert files(copy) == {"cat/a.png": b"9", "cat/b.png": b"2", "empty.txt": b"", "fox/d.png": b"5"}
    assert [path.name for path in copy.rglob("*.png") if path.stat().st_ino == before.get(path)] == ["b.png"]
    assert not (copy / "dog").exists()


def test_a_large_object_in_s3_is_fetched_in_parts_and_goes_on_where_it_was(
    s3: "boto3.client", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BLOCK_BYTES", 300_000)
    put(s3, **{"big.zip": CONTENT})
    [mark] = [found["ETag"] for found in s3.list_objects_v2(Bucket="flowers")["Contents"]]
    copy = local_copy("s3://flowers/big.zip", tmp_path)
    assert copy.read_bytes() == CONTENT

    copy.unlink()
    folder = copy.parent.parent
    partial = folder / "partial" / hashlib.sha256(f"big.zip\nETag={mark}".encode()).hexdigest()[:24]
    partial.parent.mkdir()
    partial.write_bytes(b"kept" * 100_000)

    assert local_copy("s3://flowers/big.zip", tmp_path).read_bytes() == b"kept" * 100_000 + CONTENT[400_000:]
    assert not partial.exists()


def test_names_that_would_lie_elsewhere_or_clash_are_refused(s3: "boto3.client", tmp_path: Path) -> None:
    keys = {"a": "../../evil.png", "b": "/a.png", "c": "./a.png", "d": "x\\..\\..\\y.png", "e": "cat"}
    put(s3, **{f"{folder}/cat/a.png": b"1" for folder in keys}, **{f"{folder}/{key}": b"2" for folder, key in keys.items()})

    for folder in keys:
        words = "is both a file and a folder" if folder == "e" else "would be stored outside its folder"
        with pytest.raises(SourceError, match=words):
            local_copy(f"s3://flowers/{folder}", tmp_path)

    assert files(tmp_path) == {}


def test_a_bucket_that_is_not_there_or_not_to_be_read_is_one_line(
    s3: "boto3.client", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="nothing found at s3://no-such-bucket/x"):
        local_copy("s3://no-such-bucket/x", tmp_path)
    with pytest.raises(SourceError, match="nothing found at s3://flowers/none"):
        local_copy("s3://flowers/none", tmp_path)

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(SourceError, match=r"s3://flowers/x cannot be read: access denied\. Check the address, and set AWS_ACCESS_KEY_ID"):
        local_copy("s3://flowers/x", tmp_path)


def test_a_fetch_of_many_files_goes_on_where_it_was(memory: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(9):
        memory.pipe(f"/set/{i}.png", str(i).encode())
    fetched: list[str] = []
    broken = ["/set/5.png"]
    cat_file = MemoryFileSystem.cat_file

    def break_down(self: MemoryFileSystem, path: str, **limits: int) -> bytes:
        fetched.append(path)
        if path in broken:
            raise ConnectionResetError("reset")
        content: bytes = cat_file(self, path, **limits)
        return content

    monkeypatch.setattr(MemoryFileSystem, "cat_file", break_down)
    monkeypatch.setattr(remote, "FETCHED_AT_ONCE", 1)
    with pytest.raises(SourceError, match="memory://set cannot be fetched: reset"):
        local_copy("memory://set", tmp_path)
    with next(tmp_path.glob("*/list.jsonl")).open("a") as list_file:
        list_file.write('["cut o')  # as when the machine goes down
    fetched.clear()
    broken.clear()

    copy = local_copy("memory://set", tmp_path)

    assert {"/set/0.png", "/set/4.png"}.isdisjoint(fetched)
    assert "/set/5.png" in fetched
    assert files(copy) == {f"{i}.png": str(i).encode() for i in range(9)}
    assert len(next(tmp_path.glob("*/list.jsonl")).read_text().splitlines()) == 9


def test_a_file_that_became_a_folder_is_replaced_and_one_that_was_not_fetched_stops_the_run_and_stays(
    memory: MemoryFileSystem, tmp_path: Path
) -> None:
    memory.pipe("/set/a", b"1")
    local_copy("memory://set", tmp_path)
    memory.rm("/set/a")
    memory.pipe({"/set/a/b.png": b"2", "/set/c.png": b"3"})
    copy = local_copy("memory://set", tmp_path)
    assert files(copy) == {"a/b.png": b"2", "c.png": b"3"}

    (copy / "mine.jpg").write_bytes(b"mine")
    memory.rm("/set/c.png")

    with pytest.raises(SourceError, match=r"mine\.jpg was not fetched from the URL that this folder mirrors\. Move it elsewhere"):
        local_copy("memory://set", tmp_path)
    assert files(copy) == {"a/b.png": b"2", "c.png": b"3", "mine.jpg": b"mine"}


def test_a_server_is_asked_for_a_file_without_fetching_it(server: Server, tmp_path: Path) -> None:
    url = server.url("/pets.zip")

    new = ask(url, tmp_path)
    assert {method for method, _ in server.asked} == {"HEAD"}
    assert list(tmp_path.iterdir()) == []
    local_copy(url, tmp_path)
    fetched = ask(url, tmp_path)
    server.headers = {"ETag": '"2"'}

    assert (new, fetched) == ("the server has it, 1.0 MiB", "as it was fetched before, 1.0 MiB")
    assert ask(url, tmp_path) == "changed since it was fetched, 1.0 MiB"


def test_a_file_and_a_server_that_are_not_there_are_told_apart(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nothing found at http://127\.0\.0\.1:\d+/none\.zip"):
        ask(server.url("/none.zip"), tmp_path)
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:1/x\.zip cannot be fetched: Cannot connect"):
        ask("http://127.0.0.1:1/x.zip", tmp_path)


def test_a_server_that_is_slow_is_no_error(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "SECONDS_TO_ASK", 0.2)
    monkeypatch.setattr(Handler, "_answer", lambda self, body: time.sleep(1))

    assert ask(server.url("/pets.zip"), tmp_path) == "no answer within 0.2 s"
