from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from skillforge import remotefile
from skillforge.canonical import digest
from skillforge.errors import MissingPackage, NotFound, SkillFileError, UsageError
from skillforge.jsonl import read_jsonl
from skillforge.remotefile import RemoteFile, locate, reopened, require_plain


def test_a_file_is_taken_from_the_suites_folder_or_from_anywhere(tmp_path):
    assert locate("file://a/b.jsonl", tmp_path) == tmp_path / "a" / "b.jsonl"
    assert locate(f"file://{tmp_path}/x.jsonl", tmp_path / "other") == tmp_path / "x.jsonl"
    assert locate("S3://bucket/a/b.jsonl", tmp_path) == RemoteFile("s3://bucket/a/b.jsonl")


def test_what_was_located_is_found_again_by_its_name(tmp_path):
    for url in ("file://b.jsonl", "gs://bucket/b.jsonl", "az://box/b.jsonl"):
        place = locate(url, tmp_path)
        assert reopened(str(place)) == place


@pytest.mark.parametrize(
    "url",
    [
        "b.jsonl",
        "http://host/x",
        "https://host/x",
        "memory://x",
        "github://a:b@c/x",
        "simplecache::s3://b/x",
        "",
        "s3:/b",
    ],
)
def test_every_other_scheme_is_refused(tmp_path, url):
    with pytest.raises(UsageError, match="must start with file://"):
        locate(url, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3://bucket",
        "s3://bucket/",
        "s3://bucket/folder/",
        "s3://key:secret@bucket/x",
        "s3://bucket/a::file:///x",
        "s3://bucket/*.jsonl",
        "s3://bucket/a?versionId=1",
        "s3://bucket/../x",
        "s3://bucket/a b",
        "s3://bucket/a\x1b[2J",
    ],
)
def test_an_address_that_is_more_than_one_plain_file_is_refused(tmp_path, url):
    with pytest.raises(UsageError, match="not the plain address of one file"):
        locate(url, tmp_path)


def test_a_name_with_nul_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no NUL"):
        locate("file://a\0b", tmp_path)


def test_a_pipe_is_no_file(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFound, match="is not a file"):
        require_plain(tmp_path / "pipe")
    assert require_plain(tmp_path / "none") == tmp_path / "none"


@pytest.fixture
def store() -> Iterator[type]:
    """A store that lives in memory, in the place of S3."""
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem
    from fsspec.registry import _registry as registered

    class Bucket(MemoryFileSystem):
        protocol = "s3"
        store = {}  # noqa: RUF012  (fsspec's own way)
        pseudo_dirs = [""]  # noqa: RUF012

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return super()._strip_protocol(path.replace("s3://", "memory://"))

    before = dict(registered)
    fsspec.register_implementation("s3", Bucket, clobber=True)
    yield Bucket
    registered.clear()
    registered.update(before)


def test_what_is_written_is_read_line_by_line(store):
    file = RemoteFile.of("s3://bucket/x/cases.jsonl")
    assert not file.exists()
    file.write(b'{"a": 1}\n\n{"a": 2}\n')
    assert file.exists()
    assert list(read_jsonl(file)) == [(1, {"a": 1}), (3, {"a": 2})]
    file.write(b'{"a": 3}\n{"a"\n')
    with pytest.raises(SkillFileError, match=r"^s3://bucket/x/cases\.jsonl:2: not JSON"):
        list(read_jsonl(file))


def test_a_missing_object_is_not_found(store):
    with pytest.raises(NotFound, match="s3://bucket/none: no such file"):
        list(read_jsonl(RemoteFile.of("s3://bucket/none")))


def test_a_file_without_end_is_refused(store, monkeypatch):
    monkeypatch.setattr(remotefile, "MAX_BYTES", 1000)
    RemoteFile.of("s3://bucket/x").write(b'{"a": 1}\n' * 500)
    with pytest.raises(UsageError, match="s3://bucket/x: longer than 1,000 bytes"):
        list(read_jsonl(RemoteFile.of("s3://bucket/x")))


def test_a_network_that_fails_is_said_in_the_stores_own_words(store, monkeypatch):
    RemoteFile.of("s3://bucket/x").write(b'{"a": 1}\n')

    def down(self, path: str, *args, **named):
        raise ConnectionError("Could not connect\nto the endpoint URL")

    monkeypatch.setattr(store, "_open", down)
    with pytest.raises(UsageError, match="s3://bucket/x: the store cannot be used: Could not connect to the endpoint"):
        list(read_jsonl(RemoteFile.of("s3://bucket/x")))


def test_without_the_package_the_error_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingPackage, match="gs:// needs the packages fsspec and gcsfs") as caught:
        RemoteFile.of("gs://bucket/x").exists()
    assert caught.value.hint == 'pip install "skillforge-distiller[remote]" gcsfs'


def test_the_package_of_a_store_may_be_missing_too():
    pytest.importorskip("fsspec")
    for scheme, package in remotefile.STORES.items():
        try:
            __import__(package)
        except ImportError:
            with pytest.raises(MissingPackage, match=package):
                RemoteFile.of(f"{scheme}://bucket/x").exists()


@pytest.fixture
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real S3 server on loopback, where moto and s3fs are installed (they are large: not among ours)."""
    for package in ("s3fs", "moto.server", "boto3"):
        pytest.importorskip(package)
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    import boto3

    boto3.client("s3").create_bucket(Bucket="bucket")
    yield f"http://{host}:{port}"
    server.stop()


def test_a_real_s3_server(s3_server, monkeypatch):
    file = RemoteFile.of("s3://bucket/evals/x.jsonl")
    assert not file.exists()
    data = b'{"a": "' + b"x" * 5_000 + b'"}\n'
    file.write(data * 2_000)
    assert file.exists()
    assert sum(1 for _ in read_jsonl(file)) == 2_000
    with pytest.raises(NotFound, match="no such file"):
        list(read_jsonl(RemoteFile.of("s3://bucket/none.jsonl")))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UsageError, match="the store cannot be used"):
        list(read_jsonl(file))


def test_nothing_of_a_store_is_loaded_before_it_is_asked():
    code = "import sys, skillforge.suitefile; print('fsspec' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_suite_with_its_cases_answers_and_recording_in_a_store(store, tmp_path):
    import anyio

    from skillforge.config import Settings
    from skillforge.messages import Message, Request, RequestKey
    from skillforge.providers.limiter import LimiterPool
    from skillforge.providers.network import Network
    from skillforge.providers.resolve import resolve_provider
    from skillforge.redact import Redactor
    from skillforge.suitefile import read_suite
    from skillforge.today import read_today

    given = {"t": "x"}
    RemoteFile.of("s3://bucket/c.jsonl").write(b'{"id": "a", "input": {"t": "x"}}\n')
    RemoteFile.of("s3://bucket/t.jsonl").write(b'{"case": "a", "text": "yes"}\n')
    request = {"role": "solve", "task": digest("sort"), "input": given}
    key = RequestKey(role="solve", task="sort", input=given)
    RemoteFile.of("s3://bucket/r.jsonl").write(
        json.dumps({"request": request, "response": {"text": "no"}}).encode() + b"\n"
    )
    urls = "cases: s3://bucket/c.jsonl\ntoday: s3://bucket/t.jsonl\nrecorded: s3://bucket/r.jsonl\n"
    (tmp_path / "demo.yaml").write_text("schema: skillforge/suite/v1\nname: demo\n" + urls)
    suite = read_suite(tmp_path / "demo.yaml")
    assert suite.cases[0].input == given
    assert read_today(suite.today)["a"].text == "yes"
    network = Network(Settings(), {}, Redactor(), LimiterPool(lambda why, seconds: None))
    teacher = resolve_provider(f"replay:{suite.recorded}", network)
    asked = Request(messages=(Message.of("user", "x"),), key=key)
    assert anyio.run(teacher.complete, asked).text == "no"
