import pytest

from alexnet import cli
from alexnet.errors import SettingsError
from alexnet.serving import models, running
from alexnet.serving.settings import KEY_VARIABLE

from ..serving.fake import served


@pytest.fixture
def started(monkeypatch) -> list:
    """Serve a fake model, and return at once; the list holds what would have been served."""
    seen: list = []
    monkeypatch.setattr(models, "load_models", lambda paths, engine, max_pixels: {each: served() for each in paths})
    monkeypatch.setattr(running, "run", lambda app, settings, bound: seen.append((app, settings, bound.getsockname())))
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    return seen


def test_it_says_which_engine_computes_and_where_to_look(started, capsys) -> None:
    assert cli.run(["serve", "a", "b", "--port", "0"]) == 0
    ((app, settings, address),) = started
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "engine: Fake 1.0, fp32 (colours)",
        "engine: Fake 1.0, fp32 (colours)",
        f"serving a, b on http://127.0.0.1:{address[1]}",
    ]
    assert (settings.port, app.title) == (0, "alexnet")


@pytest.mark.parametrize(
    ("arguments", "key", "warns"),
    [
        ([], None, False),
        (["--host", "0.0.0.0"], None, True),
        (["--host", "0.0.0.0"], "secret", False),
        (["--host", "localhost"], None, False),
    ],
)
def test_a_server_that_everybody_reaches_without_a_key_is_warned_of(
    started, capsys, monkeypatch, arguments, key, warns
) -> None:
    if key:
        monkeypatch.setenv(KEY_VARIABLE, key)
    assert cli.run(["serve", "a", "--port", "0", *arguments]) == 0
    err = capsys.readouterr().err
    assert ("warning: anyone who reaches 0.0.0.0 may use this server" in err) == warns
    assert "secret" not in err


def test_a_key_from_a_file_is_needed(started, tmp_path) -> None:
    (tmp_path / "key").write_text("secret\n")
    assert cli.run(["serve", "a", "--port", "0", "--api-key-file", str(tmp_path / "key")]) == 0
    assert "security" in started[0][0].openapi()


def test_a_server_without_its_packages_says_what_to_install(started, monkeypatch) -> None:
    monkeypatch.setattr("alexnet.commands.serving.is_installed", lambda package: package != "uvicorn")
    with pytest.raises(SettingsError, match=r"needs uvicorn; pip install 'alexnet\[serve\]'"):
        cli.run(["serve", "a"])


def test_impossible_settings_are_refused_before_a_model_is_loaded(started) -> None:
    for arguments in (["--port", "70000"], ["--queue", "0"], ["--api-key-file", "nowhere"], ["--host", "192.0.2.1"]):
        with pytest.raises(SettingsError):
            cli.run(["serve", "a", *arguments])
    assert started == []
