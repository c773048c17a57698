"""Wrong command lines: two lines, and what was probably meant."""

import pytest

from pplr_cli.app import run


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ("evalate", "no such command `evalate`", "did you mean `evaluate`?"),
        ("help trian", "no such command `trian`", "did you mean `train`?"),
        ("presets shw", "no such command `shw`", "did you mean `show`?"),
        ("xyzzy", "no such command `xyzzy`", "`pplr --help` shows the usage"),
        ("train --presett x", "no such option `--presett`", "did you mean `--preset`?"),
        ("presets list -q", "no such option `-q`", "`pplr presets list --help` shows the usage"),
        (
            "train",
            "missing option `--preset`",
            "`pplr presets list` names the presets; `pplr train --preset demo` needs no data",
        ),
        ("prepare", "missing argument `LAYOUT`", "`pplr prepare --help` shows the usage"),
        ("presets show", "missing argument `NAME`", "`pplr presets show --help` shows the usage"),
        (
            "train market",
            "got unexpected extra argument (market)",
            "did you mean `--preset market`?",
        ),
        (
            "evaluate --weights a.pth --weights b.pth",
            "`--weights` is given 2 times",
            "give it once",
        ),
        ("labels run --csv a --epoch 1 --csv b", "`--csv` is given 2 times", "give it once"),
        (
            "train market x",
            "got unexpected extra argument (market x)",
            "did you mean `--preset market`?",
        ),
        ("train --lr 0.1", "no such option `--lr`", "did you mean `--set optim.lr=0.1`?"),
        ("train --epochs=3", "no such option `--epochs`", "did you mean `--set optim.epochs=3`?"),
        ("search --width -q", "no such option `--width`", "did you mean `--set data.width=...`?"),
        ("labels run --lr 1", "no such option `--lr`", "did you mean `--help`?"),
        (
            "train --resume runs/demo-train",
            "got unexpected extra argument (runs/demo-train)",
            "did you mean `pplr train --run-dir runs/demo-train --resume`?",
        ),
        (
            "train --seed 3 --preset demo --set optim.epochs 3",
            "got unexpected extra argument (3)",
            "did you mean `--set optim.epochs=3`?",
        ),
        (
            "evaluate best.pth",
            "missing option `--weights`",
            "name the file: `pplr evaluate --weights FILE`",
        ),
        (
            "labels runs/x --csv",
            "option `--csv` requires an argument",
            "`pplr labels --help` shows the usage",
        ),
        (
            "train --preset demo --precision fp16",
            "invalid value for `--precision`: `fp16` is not one of `fp32`, `bf16`",
            "did you mean `bf16`?",
        ),
        (
            "export --weights a --to b --format onx",
            "invalid value for `--format`: `onx` is not one of "
            "`onnx`, `safetensors`, `torchscript`",
            "did you mean `onnx`?",
        ),
        (
            "--json doctor",
            "no such option `--json`",
            "options come after the command: `pplr doctor --json`",
        ),
        (
            "train --preset markt",
            "`markt`: no such preset",
            "did you mean `market`? (or the path of a YAML file)",
        ),
        (
            "presets show market --set data.cache=compacct",
            "`market`: `data.cache` = `compacct`: must be `pixels`, `compact`, `none` or `auto` "
            "(from `--set`)",
            "did you mean `compact`?",
        ),
        (
            "train --preset demo --set model.backbone=resnet18",
            "`demo`: `model.weights` = `synthetic`: there are none for `resnet18`; there are "
            "imagenet, random, or a file (from `--set`)",
            "`--set model.weights=imagenet`",
        ),
        (
            "train --preset demo --set model.backbone=timm:resnet18",
            "`demo`: `model.weights` = `synthetic`: there are none for `timm:resnet18`; there are "
            "random, or a file (from `--set`)",
            "`--set model.weights=random`",
        ),
        (
            "presets show market --set optim.epoch=1",
            "`market`: `optim.epoch`: unknown key; did you mean `optim.epochs`? (from `--set`)",
            "`pplr presets show market` lists every key",
        ),
    ],
)  # fmt: skip
def test_wrong_usage_is_two_lines_and_exit_code_2(
    arguments: str, error: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {error}\nhint: {hint}\n"
