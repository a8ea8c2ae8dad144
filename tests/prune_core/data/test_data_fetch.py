"""Fetching sets in MNIST's file format: from the cache, folders, a web server and the output of commands."""

import gzip
import hashlib
import io
import json
import logging
import os
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml

from prune_core.data import describe, load
from prune_core.data.idx_format import parse_idx, to_idx
from prune_core.errors import UserError

ROOT = Path(__file__).parents[3]


def tiny_files():
    """{file name: IDX bytes} of 40 + 20 images of 2x3 in 2 classes."""
    rng = np.random.default_rng(0)
    return {
        "train-images": to_idx(rng.integers(0, 256, (40, 2, 3), np.uint8)),
        "train-labels": to_idx(np.arange(40, dtype=np.uint8) % 2),
        "test-images": to_idx(rng.integers(0, 256, (20, 2, 3), np.uint8)),
        "test-labels": to_idx(np.arange(20, dtype=np.uint8) % 2),
    }


def tiny_config(**sources):
    declared = zip(("x_train", "y_train", "x_test", "y_test"), tiny_files().items(), strict=True)
    return {
        "loader": "idx",
        "input_shape": [2, 3, 1],
        "classes": 2,
        "samples": {"train": 40, "test": 20},
        "files": {a: {"name": name, "sha256": hashlib.sha256(data).hexdigest()} for a, (name, data) in declared},
        "sources": sources,
        "validation": {"fraction": 0.25, "seed": 0},
        "train_limit": None,
    }


def put(folder, compressed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in tiny_files().items():
        (folder / (f"{name}.gz" if compressed else name)).write_bytes(gzip.compress(data) if compressed else data)
    return folder


def folder_source(path):
    return {"kind": "folder", "path": str(path)}


@pytest.fixture
def web(monkeypatch):
    """A web server of {path: bytes}; `.asked` lists the paths asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            body = server.files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked = {}, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("compressed", [False, True])
def test_files_put_into_the_cache_by_hand(tmp_path, compressed):
    put(tmp_path / "tiny", compressed)
    data = load("tiny", tiny_config(), tmp_path)
    images = parse_idx(tiny_files()["test-images"])
    np.testing.assert_array_equal(data.x_test, images.reshape(20, 2, 3, 1).astype(np.float32) / np.float32(255))
    assert data.y_test.tolist() == [0, 1] * 10
    assert [len(data.y_train), len(data.y_val)] == [30, 10]


def test_a_source_is_asked_once_and_then_the_cache_serves(tmp_path):
    config = tiny_config(here=folder_source(put(tmp_path / "source", compressed=True)))
    first = load("tiny", config, tmp_path / "cache")
    for file in (tmp_path / "source").iterdir():
        file.unlink()
    assert load("tiny", config, tmp_path / "cache").digest == first.digest
    kept = {p.name: p.read_bytes() for p in (tmp_path / "cache" / "tiny").iterdir() if p.name != ".lock"}
    assert kept == tiny_files()


def test_sources_are_asked_in_order_and_fill_each_others_gaps(tmp_path):
    first, second = put(tmp_path / "first"), put(tmp_path / "second")
    (first / "test-labels").unlink()
    (first / "test-images").write_bytes(b"nonsense")
    for name in ("train-images", "train-labels"):
        (second / name).unlink()
    config = tiny_config(absent=folder_source(tmp_path / "absent"), off=None, a=folder_source(first))
    with pytest.raises(UserError, match=r"test-images, test-labels not found .*absent: there is no folder .*a: has no"):
        load("tiny", config, tmp_path)
    config["sources"]["b"] = folder_source(second)
    assert len(load("tiny", config, tmp_path).y_test) == 20


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b"\1" + b[1:], lambda b: b""])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_cached_file_is_set_aside_with_a_warning(tmp_path, caplog, damage, compressed):
    config = tiny_config(here=folder_source(put(tmp_path / "source")))
    path = put(tmp_path / "tiny", compressed) / ("train-images.gz" if compressed else "train-images")
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        data = load("tiny", config, tmp_path)
    images = parse_idx(tiny_files()["train-images"]).sum()
    assert round(255 * float(data.x_train.sum(dtype=float) + data.x_val.sum(dtype=float))) == images
    # gzip ignores zero bytes after its end: then the content is sound, and the file is used
    set_aside = path.with_name(f"{path.name}.damaged").exists()
    assert set_aside == ("wrong checksum" in caplog.text)
    assert set_aside or (compressed and damage(b"x") == b"x\0")


def test_a_sound_gz_is_found_behind_a_damaged_plain_file(tmp_path):
    folder = put(tmp_path / "tiny", compressed=True)
    (folder / "train-images").write_bytes(b"nonsense")
    assert len(load("tiny", tiny_config(), tmp_path).y_test) == 20
    assert (folder / "train-images.damaged").exists()


def test_no_source_says_what_was_tried_and_what_to_do(tmp_path, web):
    wrong = put(tmp_path / "wrong")
    for file in wrong.iterdir():
        file.write_bytes(b"other")
    cut = put(tmp_path / "cut", compressed=True)
    (cut / "train-images.gz").write_bytes((cut / "train-images.gz").read_bytes()[:-9])
    config = tiny_config(
        wrong=folder_source(wrong),
        cut=folder_source(cut),
        web={"kind": "http", "url": web.url, "timeout_s": 5},
    )
    with pytest.raises(UserError) as error:
        load("tiny", config, tmp_path)
    said = str(error.value)
    assert "wrong: delivers files with another sha256; cut: Compressed file ended" in said
    assert "web: HTTP Error 404" in said
    assert said.endswith(f"put the file(s), plain or as .gz, into {tmp_path / 'tiny'} by hand")
    assert list((tmp_path / "tiny").iterdir()) == [tmp_path / "tiny" / ".lock"]


def test_http_source(tmp_path, web):
    web.files = {f"/data/{name}.gz": gzip.compress(data) for name, data in tiny_files().items()}
    config = tiny_config(web={"kind": "http", "url": f"{web.url}/data/", "timeout_s": 5})
    assert len(load("tiny", config, tmp_path).y_test) == 20
    assert sorted(web.asked) == sorted(web.files)


@pytest.mark.parametrize("cut", [0, 100])
def test_http_npz_source_makes_the_files_again_from_the_arrays(tmp_path, web, cut):
    files = zip(("x_train", "y_train", "x_test", "y_test"), tiny_files().values(), strict=True)
    buffer = io.BytesIO()
    np.savez(buffer, **{array: parse_idx(data) for array, data in files})
    web.files = {"/tiny.npz": buffer.getvalue()[: len(buffer.getvalue()) - cut]}
    config = tiny_config(web={"kind": "http_npz", "url": f"{web.url}/tiny.npz", "timeout_s": 5})
    if cut:
        with pytest.raises(UserError, match="web: not a readable npz file"):
            load("tiny", config, tmp_path)
    else:
        assert len(load("tiny", config, tmp_path).y_test) == 20


def npm_on_path(tmp_path, monkeypatch, script):
    """An executable called npm that runs a shell script; the real npm needs a network (see the slow tests)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def npm_source(timeout_s=20):
    return {"kind": "npm", "package": "tiny-data@1.0.0", "folder": "package/data", "timeout_s": timeout_s}


def archive(tmp_path, link=None):
    path = tmp_path / "tiny-data-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in {**tiny_files(), "../../escaped": b"outside"}.items():
            info = tarfile.TarInfo(f"package/data/{name}")
            info.size = len(data)
            if name == link:
                info.type, info.linkname, info.size, data = tarfile.SYMTYPE, "/etc/passwd", 0, b""
            tar.addfile(info, io.BytesIO(data))
    return path


# The whole command line, so that no script of a package can ever run.
NPM_ARGUMENTS = "pack --ignore-scripts --fetch-retries=0 --loglevel=error -- tiny-data@1.0.0"


def test_npm_source_reads_inside_the_archive(tmp_path, monkeypatch):
    npm_on_path(tmp_path, monkeypatch, f'test "$*" = "{NPM_ARGUMENTS}" && cp {archive(tmp_path)} .')
    assert len(load("tiny", tiny_config(npm=npm_source()), tmp_path / "cache").y_test) == 20
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(
    ("script", "timeout_s", "said"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", 20, "npm: npm failed: npm error code ENOTFOUND"),
        ("exit 3", 20, "npm: npm failed: exit code 3"),
        ("exit 0", 20, r"npm: 0 files \*.tgz were fetched"),
        ("echo nonsense > x.tgz", 20, "npm: .*(not a gzip file|could not be opened)"),
        ("exec sleep 60", 0.2, "npm: npm was not done after 0.2 s"),
        ("cp {linked} .", 20, "npm: has no train-images"),
    ],
)
def test_npm_source_out_of_order(tmp_path, monkeypatch, script, timeout_s, said):
    npm_on_path(tmp_path, monkeypatch, script.replace("{linked}", str(archive(tmp_path, link="train-images"))))
    with pytest.raises(UserError, match=said):
        load("tiny", tiny_config(npm=npm_source(timeout_s)), tmp_path / "cache")


def test_ten_processes_at_once_fetch_once(tmp_path, web):
    web.files = {f"/{name}.gz": gzip.compress(data) for name, data in tiny_files().items()}
    config = tiny_config(web={"kind": "http", "url": web.url, "timeout_s": 30})
    code = "import json, pathlib, sys; from prune_core.data import load; c, d = sys.argv[1:]\n"
    code += "print(load('tiny', json.loads(c), pathlib.Path(d)).digest)"
    command = [sys.executable, "-c", code, json.dumps(config), str(tmp_path)]
    children = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(10)]
    digests = {child.communicate(timeout=120)[0] for child in children}
    assert {child.returncode for child in children} == {0}
    assert len(digests) == 1
    assert sorted(web.asked) == sorted(web.files)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": 3}, "class 2 of 3 has no training sample"),
        ({"input_shape": [3, 2, 1]}, r"datasets.tiny.input_shape=\[3, 2, 1\], but the files hold images of 2x3"),
        ({"samples": {"train": 41, "test": 20}}, "datasets.tiny.samples.train=41, but the file holds"),
        ({"sources": {"x": {"kind": "ftp"}}}, r"datasets.tiny.sources.x.kind: unknown dataset source 'ftp'"),
        ({"sources": None}, "datasets.tiny.sources is missing"),
        ({"files": {}}, "datasets.tiny.files.x_train is missing"),
        ({"files": {"x_train": {"name": "../x", "sha256": "0" * 64}}}, "files.x_train.name='../x' must be a plain"),
        ({"files": {"x_train": {"name": "x", "sha256": "0" * 63}}}, "files.x_train.sha256='0+' must be a sha256"),
    ],
)
def test_a_wrong_key_is_named(tmp_path, change, said):
    put(tmp_path / "tiny")
    with pytest.raises(UserError, match=said):
        load("tiny", {**tiny_config(), **change}, tmp_path)


def test_a_misspelt_key_of_a_source_is_an_error_not_a_source_out_of_reach(tmp_path):
    config = tiny_config(a={"kind": "folder", "pth": "x"}, b=folder_source(put(tmp_path / "source")))
    with pytest.raises(UserError, match=r"datasets.tiny.sources.a.pth is not a key .* did you mean 'path'"):
        load("tiny", config, tmp_path)


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "tiny").write_text("a file where a folder should be")
    with pytest.raises(UserError, match=r"cannot keep the files of datasets.tiny \(File exists\)"):
        load("tiny", tiny_config(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mean"), [("mnist", 0.1307), ("fashion_mnist", 0.2860)])
def test_the_full_sets_can_be_fetched(tmp_path, name, mean):
    config = yaml.safe_load((ROOT / "conf" / "dataset" / f"{name}.yaml").read_text())
    data = load(name, config, tmp_path)
    assert data.info == describe(name, config)
    assert [len(data.y_train), len(data.y_val), len(data.y_test)] == [54_000, 6_000, 10_000]
    x = np.concatenate([data.x_train, data.x_val])
    assert float(x.mean(dtype=float)) == pytest.approx(mean, abs=5e-5)  # the published means of the training sets
