import pytest

from alexnet.errors import SettingsError
from alexnet.serving.settings import KEY_VARIABLE, ServerSettings, read_api_key


@pytest.mark.parametrize(
    "wrong",
    [{"port": -1}, {"port": 65_536}, {"upload_mb": 0}, {"queue": 0}, {"timeout": 0}, {"timeout": 2**31},
     {"batch_size": 0}, {"batch_ms": -1}, {"max_images": 0}, {"max_pixels": 0}],
)  # fmt: skip
def test_a_number_out_of_range_is_refused_by_name(wrong) -> None:
    (name,) = wrong
    with pytest.raises(SettingsError, match=f"^{name} is "):
        ServerSettings(**wrong)


def test_a_queue_that_no_request_fits_into_is_refused() -> None:
    with pytest.raises(SettingsError, match="never be accepted"):
        ServerSettings(queue=10, max_images=11)
    assert ServerSettings(queue=10, max_images=10).queue == 10


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.2", False), ("example.org", False)],
)  # fmt: skip
def test_only_this_machine_reaches_a_loopback_address(host, is_local) -> None:
    assert ServerSettings(host=host).is_local == is_local


def test_the_key_comes_from_a_file_or_the_environment(tmp_path) -> None:
    file = tmp_path / "key.txt"
    file.write_text("from-file\n")
    environment = {KEY_VARIABLE: "from-environment"}
    assert read_api_key(None, {}) is None
    assert read_api_key(None, environment) == "from-environment"
    assert read_api_key(str(file), environment) == "from-file"


@pytest.mark.parametrize("text", ["", " \n", "two words", "two\nlines", "schl\u00fcssel"])
def test_an_impossible_key_is_refused_and_not_shown(tmp_path, text) -> None:
    file = tmp_path / "key.txt"
    file.write_text(text, encoding="utf-8")
    for given in ((str(file), {}), (None, {KEY_VARIABLE: text})):
        with pytest.raises(SettingsError, match="holds no API key") as caught:
            read_api_key(*given)
        assert not text.strip() or text.strip() not in str(caught.value)


def test_a_missing_key_file_is_no_server_without_a_key(tmp_path) -> None:
    with pytest.raises(SettingsError, match="cannot read the API key"):
        read_api_key(str(tmp_path / "missing"), {KEY_VARIABLE: "key"})
