"""`pplr embed`."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pplr_cli.app import run


@pytest.fixture
def embed(weights, capsys):
    """Call the command and return (exit code, stdout, stderr)."""

    def call(*arguments):
        words = ("embed", "--weights", weights, "--workers", 2, *arguments)
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


def test_a_folder(embed, tmp_path, plant):
    crops = plant(tmp_path / "crops", ["hall/1.jpg", "hall/2.jpg", "yard/3.jpg", "notes.txt"])
    code, out, err = embed(
        crops, "--to", tmp_path / "f.npy", "--half", "--pattern", r"(?P<camera>\w+)/"
    )
    assert code == 0
    assert "other files left out: 1" in err
    assert out == (
        f"3 images below `{crops}`, 128 float16 each\n"
        f"features: {tmp_path / 'f.npy'}, {tmp_path / 'f.csv'}\n"
    )
    assert (tmp_path / "f.csv").read_text().splitlines() == [
        "path,camera,track", "hall/1.jpg,hall,", "hall/2.jpg,hall,", "yard/3.jpg,yard,",
    ]  # fmt: skip
    assert np.load(tmp_path / "f.npy").shape == (3, 128)


def test_a_data_set_by_name_and_the_json_document(embed, tmp_path, tiny_data):
    options = ("--data-dir", tiny_data, "--to", tmp_path / "f.npz", "--json")
    code, out, _ = embed("tiny", *options)
    document = json.loads(out)
    assert code == 0
    with np.load(tmp_path / "f.npz") as found:
        assert len(found["path"]) == document["images"]
        assert set(found["camera"]) == {"1", "2", "3"}
        assert str(found["weights"]) == document["weights_sha256"]
    code, out, err = embed("tiny", *options)
    assert (code, out) == (2, "")
    assert "the file exists already" in err
    assert embed("tiny", *options, "--overwrite")[0] == 0


def test_a_killed_call_leaves_no_output_and_continues(weights, embed, tmp_path, tiny_data):
    """SIGKILL at any moment: shards that are there are whole, the file appears at the end."""
    target = tmp_path / "f.npz"
    words = ["embed", "--weights", weights, "tiny", "--data-dir", tiny_data, "--to", target]
    words += ["--set", "engine.extract_batch=2", "--workers", 1]
    code = (
        "import sys, time\n"
        "from pplr_cli.retrieval import embedding\n"
        "embedding.SHARD, save = 2, embedding._save\n"
        "embedding._save = lambda *given: (time.sleep(0.05), save(*given))\n"
        "from pplr_cli.app import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, *map(str, words)]) as process:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("f.npz.partial/*.npy"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not target.exists()
    assert len(list(tmp_path.glob("f.npz.partial/*.npy"))) >= 3
    code, _, _ = embed("tiny", "--data-dir", tiny_data, "--to", target)
    assert code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["f.npz"]
