"""Which proxy carries a request, given the environment as people and container engines write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.panel.proxies import Proxy, UnusableProxyError, proxy_for, unread_entries

PANEL = "https://panel.example.com"
PROXY = "http://proxy.example.com:3128"


def carried(url: str, no_proxy: str) -> bool:
    """Whether a proxy carries a request there, where one is set but for those."""
    return proxy_for(url, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) is not None


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, Proxy(PROXY, "HTTPS_PROXY")),
        ({"ALL_PROXY": PROXY}, Proxy(PROXY, "ALL_PROXY")),
        ({"all_proxy": "http://other:1", "https_proxy": PROXY}, Proxy(PROXY, "https_proxy")),
        ({"HTTPS_PROXY": "http://other:1", "https_proxy": PROXY}, Proxy(PROXY, "https_proxy")),
        ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, None),
        ({"HTTPS_PROXY": "", "ALL_PROXY": PROXY}, Proxy(PROXY, "ALL_PROXY")),
        ({"HTTPS_PROXY": "proxy.example.com:3128"}, Proxy(PROXY, "HTTPS_PROXY")),
        ({"HTTPS_PROXY": "socks5h://127.0.0.1:1080"}, Proxy("socks5h://127.0.0.1:1080", "HTTPS_PROXY")),
        ({"HTTP_PROXY": PROXY}, None),
    ],
)
def test_the_variables_are_read_as_curl_reads_them(environ: dict[str, str], proxy: Proxy | None) -> None:
    """Small letters win, also where they take a proxy away; ALL_PROXY stands in for the scheme's own."""
    assert proxy_for(PANEL, environ) == proxy


def test_what_is_not_encrypted_never_goes_through_one() -> None:
    """The key would be handed to it in the clear."""
    assert proxy_for("http://panel.example.com", {"ALL_PROXY": PROXY, "HTTP_PROXY": PROXY}) is None


@pytest.mark.parametrize(
    ("url", "no_proxy", "through"),
    [
        (PANEL, "", True),
        (PANEL, "*", False),
        (PANEL, "localhost, *", False),
        (PANEL, "example.com", False),
        (PANEL, ".example.com", False),
        (PANEL, "*.example.com", False),
        (PANEL, "EXAMPLE.com.", False),
        ("https://panel.example.com.", "example.com", False),
        (PANEL, "ample.com", True),
        (PANEL, "panel.example.com.evil", True),
        (PANEL, "panel.example.com:443", False),
        (PANEL, "panel.example.com:8443", True),
        (PANEL, "localhost 10.0.0.0/8 example.com", False),
        (PANEL, "https://panel.example.com", False),
        ("https://127.0.0.1", "127.0.0.0/8", False),
        ("https://10.1.2.3:8443", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.1.2.4/8", False),
        ("https://11.1.2.3", "10.0.0.0/8", True),
        ("https://[::1]", "::1", False),
        ("https://[::1]", "[::1]", False),
        ("https://[::1]", "::1/128", False),
        ("https://[::1]:8080", "[::1]:8080", False),
        ("https://[::1]", "[::1]:8080", True),
        ("https://[fd07:b51a:cc66:f0::7]", "fd07:b51a:cc66:f0::/64", False),
        ("https://[fd08::7]", "fd07:b51a:cc66:f0::/64", True),
        ("https://[::1]", "127.0.0.0/8", True),
        ("https://0x7f.1", "127.0.0.0/8", True),
    ],
)
def test_no_proxy_is_understood_as_curl_does(url: str, no_proxy: str, through: bool) -> None:
    """Names with all below them, addresses, networks; a port, where one is written, has to be the same."""
    assert carried(url, no_proxy) is through


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "fe80::/x", "[::1", "a b@c", "host:", "::1:99999:::", "é"])
def test_an_entry_that_cannot_be_read_is_dropped_and_told(entry: str) -> None:
    """It costs no request; the others hold."""
    environ = {"HTTPS_PROXY": PROXY, "no_proxy": f"{entry},example.com"}
    assert proxy_for(PANEL, environ) is None
    told = unread_entries(environ)
    assert told
    assert all(one in entry for one in told)


def test_what_can_be_read_is_not_told() -> None:
    """As container engines set it."""
    environ = {"NO_PROXY": "localhost,127.0.0.0/8,::1/128,[::1]:8080,.svc,*.local,fd07:b51a:cc66:f0::/64,https://x"}
    assert unread_entries(environ) == ()


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("http://127.0.0.1:80800", "port"),
        ("http://127.0.0.1:-1", "port"),
        ("http://[::1]:70000", "port"),
        ("http://[::1", "address"),
        ("http://", "host"),
        ("http://ho st:3128", "host"),
        ("gopher://proxy:1", "scheme"),
        ("socks4://proxy:1", "scheme"),
        ("://", "scheme"),
    ],
)
def test_a_proxy_that_cannot_be_used_names_its_variable_and_no_password(proxy: str, why: str) -> None:
    """Its address may hold one."""
    written = proxy.replace("://", "://somebody:hunter2@", 1)
    with pytest.raises(UnusableProxyError) as refused:
        proxy_for(PANEL, {"all_proxy": written})
    assert "all_proxy" in str(refused.value)
    assert why in str(refused.value)
    assert "hunter2" not in str(refused.value)


@given(st.text(), st.text(), st.sampled_from([PANEL, "https://[::1]:1", "https://10.0.0.1"]))
def test_whatever_the_environment_holds_the_answer_is_a_proxy_none_or_that_error(a: str, b: str, url: str) -> None:
    """Never another error."""
    environ = {"HTTPS_PROXY": a, "NO_PROXY": b}
    try:
        proxy = proxy_for(url, environ)
    except UnusableProxyError:
        return
    assert proxy is None or proxy.variable == "HTTPS_PROXY"
    unread_entries(environ)
