"""Proxies and certificates that cannot work are one line that names the variable; loopback is never asked for by proxy."""

import ssl

import httpx
import pytest

from pipeline.errors import ConfigError
from pipeline.network import check_network, masked, spare_loopback

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", __file__),  # holds no certificate
        ("ALL_PROXY", "socks5://127.0.0.1:1080"),
        ("all_proxy", "socks5h://127.0.0.1:1080"),
        ("https_proxy", "socks4://127.0.0.1:1080"),
        ("HTTP_PROXY", "http://127.0.0.1:port"),
        ("HTTPS_PROXY", "http://"),
        ("NO_PROXY", "localhost,fe80::/10"),
        ("SSL_CERT_FILE", "/nonexistent.pem"),
        ("SSL_CERT_DIR", "/nonexistent"),
        ("REQUESTS_CA_BUNDLE", "/nonexistent.pem"),
        ("CURL_CA_BUNDLE", "/nonexistent.pem"),
    ],
)
def test_a_setting_that_cannot_work_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError, match=rf"^{name} (is|has) ") as error:
        check_network()

    assert "\n" not in str(error.value)
    assert value.split(",")[-1] in str(error.value)
    assert ("holds no certificate in PEM format" in str(error.value)) == (value == __file__)


def test_usual_settings_pass_and_empty_ones_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:secret@proxy.example:3128")
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,10.0.0.0/8,.example.com,[::1]")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ssl.get_default_verify_paths().capath or "/etc")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "ALL_PROXY"):
        monkeypatch.setenv(name, "")

    check_network()


def test_a_password_in_an_address_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@127.0.0.1:1080")

    with pytest.raises(ConfigError) as error:
        check_network()

    assert "socks5://…@127.0.0.1:1080" in str(error.value)
    assert "secret" not in str(error.value)
    assert masked("at https://u:se@cret@host/api?token=abc now") == "at https://…@host/api?… now"


def test_loopback_is_spared_besides_what_was_spared() -> None:
    some, everything = {"NO_PROXY": "example.com", "no_proxy": "[::1], other.org"}, {"NO_PROXY": "*"}

    spare_loopback(some)
    spare_loopback(everything)

    assert some["NO_PROXY"] == some["no_proxy"] == "example.com,::1,other.org,127.0.0.1,localhost"
    assert everything["NO_PROXY"] == "*"


@pytest.mark.parametrize("no_proxy", ["", "[::1]", "localhost"])
def test_the_clients_of_prefect_reach_loopback_directly(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    environ = {"NO_PROXY": no_proxy, "HTTP_PROXY": "http://127.0.0.1:9"}
    spare_loopback(environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    with httpx.Client(verify=False) as client:
        patterns = {pattern.pattern for pattern, transport in client._mounts.items() if transport is None}

    assert patterns == {"all://127.0.0.1", "all://localhost", "all://[::1]"}
