"""The page's files: whole, checked by name, revalidated, and under a policy that lets nothing in from elsewhere."""

import re

import httpx
import pytest

from shelfops_api.routes.page import FILES, page_files


def test_the_page_is_served_at_the_root_under_a_strict_policy(api: httpx.Client) -> None:
    answer = api.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_file_that_a_file_names_is_served(api: httpx.Client) -> None:
    named = set()
    for path in FILES.iterdir():
        text = path.read_text()
        named |= set(re.findall(r"""(?:href|src)="page/([^"]+)\"""", text))
        named |= set(re.findall(r"""from "\./([^"]+)\"""", text)) | set(re.findall(r"""url\("([^"]+)"\)""", text))
    assert len(named) >= 14
    for name in named:
        answer = api.get(f"/page/{name}")
        assert answer.status_code == 200, name
        assert answer.content == page_files()[name].content
    assert set(page_files()) - named == {"index.html"}


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    index = (FILES / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", index)
    for path in FILES.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn", text), path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), path.name


def test_a_file_that_has_not_changed_is_not_sent_again(api: httpx.Client) -> None:
    first = api.get("/page/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = api.get("/page/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "immutable" in api.get("/page/Inter-Regular.woff2").headers["cache-control"]


@pytest.mark.parametrize("path", ["..%2Fmain.py", "%2e%2e%2fsettings.py", "fonts.conf", "nothing.js", "..%5cmain.py"])
def test_no_other_file_can_be_had(api: httpx.Client, path: str) -> None:
    answer = api.get(f"/page/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
