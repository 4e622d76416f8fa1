"""A local server with the part of the Hugging Face hub's API that pushing and downloading need."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

TOKEN = "hf_of_anna"


class LocalHub(ThreadingHTTPServer):
    """Repositories by name, each with its files at every commit, the newest last."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.private: set[str] = set()
        self.gated: set[str] = set()
        self.asked: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"

    def commit(self, repo: str, files: dict[str, bytes]) -> str:
        """Add or replace files, and return the commit's hash."""
        commits = self.repos.setdefault(repo, {})
        before = list(commits.values())[-1] if commits else {}
        sha = hashlib.sha1(f"{repo} {len(commits)}".encode()).hexdigest()
        commits[sha] = {**before, **files}
        return sha

    def files(self, repo: str) -> dict[str, bytes]:
        return list(self.repos[repo].values())[-1]


class _Conversation(BaseHTTPRequestHandler):
    server: LocalHub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        words = path.strip("/").split("/")
        is_api = words[:2] == ["api", "models"]
        repo, rest = "/".join(words[2:4] if is_api else words[:2]), words[4:] if is_api else words[2:]
        if repo not in self.server.repos:
            return self._refuse(404, "RepoNotFound")
        if repo in self.server.gated:
            return self._refuse(403, "GatedRepo")
        commits = self.server.repos[repo]
        sha = rest[1] if len(rest) > 1 else "main"
        sha = list(commits)[-1] if sha == "main" and commits else sha
        if commits and sha not in commits:
            return self._refuse(404, "RevisionNotFound")
        if not is_api:
            content = commits[sha].get("/".join(rest[2:]))
            return self._refuse(404, "EntryNotFound") if content is None else self._send(content, sha)
        if rest[:1] == ["tree"]:
            files = commits[sha].items()
            return self._say([{"type": "file", "path": n, "size": len(c), "oid": _oid(c)} for n, c in files])
        names = [{"rfilename": name} for name in commits.get(sha, {})]
        return self._say({"id": repo, "sha": sha, "private": repo in self.server.private, "siblings": names})

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"POST {path}")
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        words = path.strip("/").split("/")
        if path == "/api/validate-yaml":
            return self._say({"errors": [], "warnings": []})
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._refuse(401, "")
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            if repo in self.server.repos:
                return self._say({"url": f"{self.server.address}/{repo}"}, status=409)
            self.server.repos[repo] = {}
            if asked.get("visibility") == "private" or asked.get("private"):
                self.server.private.add(repo)
            return self._say({"url": f"{self.server.address}/{repo}", "name": repo})
        repo = "/".join(words[2:4])
        if words[4] == "preupload":
            files = json.loads(body)["files"]
            return self._say({"files": [{**each, "uploadMode": "regular", "shouldIgnore": False} for each in files]})
        lines = [json.loads(line) for line in body.splitlines()]
        files = {
            each["value"]["path"]: base64.b64decode(each["value"]["content"]) for each in lines if each["key"] == "file"
        }
        sha = self.server.commit(repo, files)
        return self._say({"commitUrl": f"{self.server.address}/{repo}/commit/{sha}", "commitOid": sha})

    def _say(self, response: object, status: int = 200) -> None:
        self._send(json.dumps(response).encode(), "", status)

    def _send(self, content: bytes, sha: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{_oid(content)}"')
        if sha:
            self.send_header("X-Repo-Commit", sha)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running() -> Iterator[LocalHub]:
    """Run a hub while the block runs."""
    hub = LocalHub()
    thread = Thread(target=hub.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


def ask_at(address: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point huggingface_hub to an address and a cache folder, without a token."""
    # HF_ENDPOINT and HF_HOME are read once, when the package is imported.
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name, place in (("HF_HUB_CACHE", "hub"), ("HF_TOKEN_PATH", "token"), ("AGENT_HARNESSES_PATH", "agents.json")):
        monkeypatch.setattr(constants, name, str(home / place), raising=False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
