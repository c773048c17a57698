"""Environment variables: one registry, options win over it."""

from pathlib import Path

import pytest

from pplr_cli import env


def test_option_wins_over_variable_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PPLR_DATA_DIR", raising=False)
    assert env.data_dir() == Path("data")
    monkeypatch.setenv("PPLR_DATA_DIR", "/sets")
    assert env.data_dir() == Path("/sets")
    assert env.data_dir(Path("mine")) == Path("mine")


def test_empty_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPLR_DATA_DIR", "")
    assert env.DATA_DIR.get() is None
    assert env.data_dir() == Path("data")


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("PPLR_DATA_DIR", "~/sets")
    monkeypatch.setenv("PPLR_CACHE_DIR", "~/cache")
    assert env.data_dir() == Path("/home/someone/sets")
    assert env.cache_dir() == Path("/home/someone/cache")


def test_cache_falls_back_to_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PPLR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/users/cache")
    assert env.cache_dir() == Path("/users/cache/pplr")


def test_torch_keeps_its_files_where_torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import hub

    for home, cache in (("~/torch", "/users/cache"), (None, "/users/cache"), (None, None)):
        for name, value in (("TORCH_HOME", home), ("XDG_CACHE_HOME", cache)):
            monkeypatch.delenv(name, raising=False)
            if value:
                monkeypatch.setenv(name, value)
        assert env.torch_home() / "hub" == Path(hub.get_dir())


def test_every_variable_says_what_it_does() -> None:
    assert {v.name for v in env.ALL} >= {"PPLR_DATA_DIR", "PPLR_CACHE_DIR", "PPLR_DEBUG"}
    assert all(v.purpose for v in env.ALL)
