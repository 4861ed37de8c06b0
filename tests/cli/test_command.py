"""How the command behaves: help, errors, exit codes, completion, interruption."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import invnet_cli
from invnet_cli.app import main
from invnet_cli.names import METHODS, OPTIONS, PHYSICS, TRAINED

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(invnet_cli.__file__).parents[1])}


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def in_a_process(*arguments, program=("-m", "invnet_cli"), **environment):
    command = [sys.executable, *program, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**ENVIRONMENT, **environment}, timeout=300
    )


@pytest.mark.parametrize("command", [[], ["demo"], ["reconstruct"], ["train"], ["check"], ["list"], ["info"]])
def test_help_has_examples(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"invnet {' '.join(command)}".strip() in result.output
    assert run(*command, "-h").output == result.output


def test_help_loads_no_torch():
    code = "import sys, invnet_cli.app; invnet_cli.app.main(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    for command in ([], ["reconstruct"]):
        done = in_a_process(*command, "--help", program=("-c", code))
        loaded = done.stdout.splitlines()[-1].split()
        assert "invnet_cli.reconstruct" in loaded
        assert not {"torch", "numpy", "invnet"} & set(loaded)


def test_every_name_is_explained():
    output = run("reconstruct", "--help").output
    assert all(name in output for name in (*PHYSICS, *METHODS))
    names = {parameter.name for parameter in main.commands["reconstruct"].params}
    assert set(OPTIONS) <= names
    assert {user for users in OPTIONS.values() for user in users} <= {*PHYSICS, *METHODS}
    assert set(TRAINED) <= set(METHODS)
    assert set(TRAINED.values()) <= set(PHYSICS)


def test_version_and_info():
    assert "invnet, version" in run("--version").output
    output = run("info").output
    for name in ("python", "torch", "numba", "CPU", "CUDA", "NUFFT on CPU"):
        assert any(line.startswith(name) for line in output.splitlines())


def test_list():
    output = run("list").output
    for name in ("parallel-beam", "map-tv", "CartesianMRI", "PlugAndPlay", "TotalVariation", "DnCNN", "weights"):
        assert name in output
    assert "[1]_" not in output
    only = run("list", "reconstructors").output
    assert "MAP " in only
    assert "Convolution " not in only


DENOISE = ["reconstruct", "a.npy", "--physics", "denoise", "--out", "b.npy"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recnstruct"], "There is no command 'recnstruct'; did you mean reconstruct?"),
        (["list", "operator"], "there is no kind 'operator'; did you mean operators?"),
        ([*DENOISE, "--method", "map-tvv"], "there is no method 'map-tvv'; did you mean map-tv?"),
        ([*DENOISE, "--physics", "mri"], "did you mean cartesian-mri or noncartesian-mri?"),
        ([*DENOISE, "--physics", "xyz"], "there are parallel-beam, cartesian-mri"),
        (["reconstruct", "missing.npy", *DENOISE[2:]], "'missing.npy' does not exist"),
        ([*DENOISE, "--factor", "2"], "--factor belongs to downsample"),
        ([*DENOISE, "--filter", "hann"], "--filter belongs to fbp"),
        ([*DENOISE, "--method", "fbp"], "fbp is for parallel-beam; for denoise take direct"),
        ([*DENOISE, "--method", "ct-unet"], "ct-unet is for parallel-beam"),
        ([*DENOISE, "--sigma", "-1"], "--sigma"),
        (["check", "nothing"], "takes MODULE:OPERATOR"),
    ],
)
def test_wrong_usage(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.ones((32, 32), np.float32))
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert not (tmp_path / "b.npy").exists()


def test_an_error_is_one_line_and_a_traceback_with_debug(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY, and then nothing")
    arguments = ["reconstruct", "a.npy", "--physics", "denoise", "--out", "b.npy"]
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.output.startswith("Error: a.npy: is not a readable NumPy file")
    assert result.output.count("\n") == 1
    for debug in ([*arguments, "--debug"], ["--debug", *arguments]):
        assert isinstance(run(*debug).exception, ValueError)
        done = in_a_process(*debug)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
    assert "Traceback" not in in_a_process(*arguments).stderr


def test_an_unexpected_error_says_what_it_is(monkeypatch):
    monkeypatch.setattr("invnet_cli.info._devices", lambda: {}["nothing"])
    result = run("info")
    assert result.exit_code == 1
    assert result.output == "Error: KeyError: 'nothing'; --debug shows where\n"


def test_warnings_are_one_line(monkeypatch):
    monkeypatch.setattr("invnet_cli.info._devices", lambda: warnings.warn("two\n  lines", stacklevel=2) or [])
    result = run("info")
    assert "Warning: two lines\n" in result.output
    assert result.exit_code == 0


def test_interruption(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("invnet_cli.info._devices", interrupt)
    result = run("info")
    assert result.exit_code == 130
    assert result.output == "invnet: interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_an_interrupted_run_leaves_no_file(tmp_path):
    """A reconstruction that would take hours is interrupted as by Ctrl-C, after it began."""
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((64, 64), np.float32))
    command = [sys.executable, "-m", "invnet_cli", "reconstruct", "a.npy", "--physics", "denoise", "--sigma", "0.1"]
    command += ["--method", "deep-image-prior", "--iterations", "1000000", "--out", "b.npy"]

    def listen_to_interrupts():  # which a shell that runs the tests in its background ignores, and its children with it
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, preexec_fn=listen_to_interrupts
    ) as process:
        try:
            time.sleep(8)
            assert process.poll() is None, process.stderr.read()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()
        assert "interrupted" in process.stderr.read()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy"]


def test_completion():
    cases = {
        ("invnet re", 1): "reconstruct",
        ("invnet reconstruct --physics ca", 3): "cartesian-mri",
        ("invnet list op", 2): "operators",
    }
    for (words, place), expected in cases.items():
        done = in_a_process(_INVNET_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(place))
        assert expected in done.stdout, done.stderr
    script = in_a_process(_INVNET_COMPLETE="zsh_source")
    assert "compdef" in script.stdout


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m invnet_cli list | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.stdout.strip() == "physics"
    assert "Error" not in done.stderr
