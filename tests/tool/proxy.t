#!/usr/bin/env python3
"""fanout behind a TLS front end: whose a connection is, says the front end; and what only the options for it do."""
import os
import re
import shutil
import socket
import sys
import tempfile
import time

from live import SLOW, WWW, Server, answer, codes, finish, free_port, head, ok, read_head, run_all, wait_for

PROXY = b"PROXY TCP4 %s 127.0.0.1 40000 443\r\n"


def front(port, first=b"", window=None):
    s = socket.create_connection(("127.0.0.1", port), timeout=20 * SLOW)
    if first:
        s.sendall(first)
    return s


def said(s, seconds=5):
    s.settimeout(seconds * SLOW)
    data = b""
    try:
        while got := s.recv(65536):
            data += got
    except OSError:
        pass
    s.close()
    return data


def lines():
    port = free_port()
    server = Server("-P", str(port))
    request = head("/status.json", "Connection: close")
    ok(codes(said(front(port, PROXY % b"192.0.2.1" + request))) == [200], "a line and a request at once")
    s = front(port)
    for byte in PROXY % b"192.0.2.1" + request:
        s.sendall(bytes([byte]))
        time.sleep(0.002)
    ok(codes(said(s)) == [200], "byte by byte")
    ok(codes(said(front(port, b"PROXY UNKNOWN\r\n" + request))) == [200], "UNKNOWN: a front end's own")
    s = front(port, b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n" + head("/status.json") + request)
    ok(codes(said(s)) == [200, 200], "pipelined requests behind it")
    s = front(port, PROXY % b"192.0.2.1" + head("/", "Connection: close"))
    found = said(s)
    ok(codes(found) == [200] and b"<video" in found, "a file")
    for bad in (request, b"\x16\x03\x01\x02\x00\x01", b"PROXY TCP4 1 2 3 4\r\n" + request, b"\r\n" + PROXY % b"192.0.2.1" + request,
                b"PROXY " + b"x" * 200):
        ok(said(front(port, bad)) == b"", f"closed without a word: {bad[:20]}")
    ok(codes(said(front(server.port, PROXY % b"192.0.2.1" + request))) == [400], "the plain port takes no such line")
    s = front(port, b"PROXY TCP4 192.0.2.1 ")
    began = time.monotonic()
    ok(said(s, 15) == b"" and 9 < time.monotonic() - began < 13 * SLOW, f"half a line: closed after {time.monotonic() - began:.1f} s")
    ok(server.alive(), "it goes on")
    addresses = os.popen(f"ss -Hltn sport = :{port}").read().splitlines()
    ok(len(addresses) == 1 and f"127.0.0.1:{port}" in addresses[0], "it listens on this machine's address only")


def per_address():
    port = free_port()
    server = Server("-P", str(port), "-a", "3")
    crowd = [front(port, PROXY % b"192.0.2.1" + head("/raw.mp4")) for _ in range(3)]
    ok(all(read_head(s)[0] == 200 for s in crowd), "three of an address")
    s = front(port, PROXY % b"192.0.2.1" + head("/raw.mp4"))
    ok(read_head(s)[0] == 503, "the fourth: 503")
    s = front(port, PROXY % b"192.0.2.2" + head("/raw.mp4"))
    ok(read_head(s)[0] == 200, "another's first")
    crowd[0].close()
    time.sleep(0.3)

    def again():
        with front(port, PROXY % b"192.0.2.1" + head("/status.json", "Connection: close")) as s:
            return answer(s)[0]
    ok(wait_for(lambda: again() == 200), "one ends: there is room again")
    silent = [front(port) for _ in range(30)]
    ok(wait_for(lambda: again() == 200), "30 of which nothing is known yet are nobody's")
    for s in silent + crowd:
        s.close()
    ok(server.alive(), "it goes on")


def viewers():
    server = Server("-m", "2")
    crowd = [server.connect() for _ in range(3)]
    for s in crowd:
        s.sendall(head("/raw.mp4"))
    ok([read_head(s)[0] for s in crowd] == [200, 200, 503], "-m 2: the third viewer gets 503")
    ok(server.get("/still.mp4")[0] == 503 and server.get("/status.json")[0] == 200, "the rest is served")
    for s in crowd:
        s.close()


def redirect():
    port = free_port()
    server = Server("-P", str(port), "-r", "443", source=["sleep", "100"])

    def location(target, *headers, method="GET"):
        status, found, _ = server.get(target, *headers, method=method)
        return status, found.get("location")
    ok(location("/stream.mp4?x=1") == (302, "https://test/stream.mp4?x=1"), "everything on the plain port is sent on")
    ok(location("/") == (302, "https://test/") and location("/status.json", method="HEAD")[0] == 302, "files and the status, too")
    with server.connect() as s:
        s.sendall(b"GET /a HTTP/1.1\r\nHost: cam.example:8000\r\n\r\nGET /b HTTP/1.1\r\nHost: [2001:db8::1]:8000\r\n\r\n"
                  b"GET /c HTTP/1.1\r\nHost: evil\"/x\r\nConnection: close\r\n\r\n")
        found = re.findall(r"HTTP/1.1 [^\r]*|Location: [^\r]*", said(s).decode())
    ok(found == ["HTTP/1.1 302 Found", "Location: https://cam.example/a", "HTTP/1.1 302 Found", "Location: https://[2001:db8::1]/b",
                 "HTTP/1.1 400 Bad Request"], f"by the name it was asked for: {found}")
    ok(codes(said(front(server.port, b"GET /a HTTP/1.0\r\n\r\n"))) == [400], "without a Host: 400")
    for target, where in (("http://Cam.example:8000/a?b", "Cam.example/a?b"), ("https://[::1]", "[::1]"), ("http://x:80?/http://y/", "x?/http://y/"),
                          ("HTTP://x//y", "x//y")):
        ok(location(target) == (302, f"https://{where}"), f"{target}: https://{where}, whatever the Host")
    ok(location("http://u@x/") == (400, None), "but by no user's name")
    for n in (900, 1000):
        ok(location("/" + "a" * n) == (302, "https://test/" + "a" * n), f"{n} bytes")
    ok(location("/?" + "a" * 1500)[0] == 302 and location("/?" + "a" * 3000)[0] == 414, "a query, and one that is too long: 414")
    ok(codes(said(front(port, PROXY % b"192.0.2.1" + head("/status.json", "Connection: close")))) == [200], "who comes by the front end stays")


def large_files():
    www = tempfile.mkdtemp()
    os.chmod(www, 0o755)
    with open(os.path.join(www, "large"), "wb") as f:
        f.truncate(20 << 20)
    with open(os.path.join(www, "small"), "wb") as f:
        f.write(b"small")
    return www


def children():
    """One address's files in hand are not all there may be."""
    www = large_files()
    port = free_port()
    server = Server("-P", str(port), www=www)
    crowd = [front(port, PROXY % b"192.0.2.1" + head("/large")) for _ in range(20)]
    found = [read_head(s)[0] for s in crowd]
    ok(found.count(200) == 16 and found.count(503) == 4, f"16 for one address, then 503: {found}")
    with front(port, PROXY % b"192.0.2.2" + head("/small")) as s:
        ok(answer(s)[0] == 200, "another gets his")
    for s in crowd:
        s.close()
    ok(wait_for(lambda: server.status()["static_children"] == 0), "they end with their connections")
    with front(port, PROXY % b"192.0.2.1" + head("/small")) as s:
        ok(answer(s)[0] == 200, "then there is room again")
    shutil.rmtree(www)


def shares():
    """Nor are a few addresses': the fewer are left, the fewer more has one who has some."""
    www = large_files()
    port = free_port()
    server = Server("-P", str(port), www=www)
    crowd = [[front(port, PROXY % b"192.0.2.%d" % i + head("/large")) for _ in range(20)] for i in range(1, 7)]
    found = [[read_head(s)[0] for s in each].count(200) for each in crowd]
    ok(found[0] == 16 and sum(found) < 64 and min(found) > 0, f"six addresses that take what they get: {found}")
    with front(port, PROXY % b"192.0.2.99" + head("/small")) as s:
        ok(answer(s)[0] == 200, "another gets his")
    for s in sum(crowd, []):
        s.close()
    ok(wait_for(lambda: server.status()["static_children"] == 0), "they end with their connections")
    shutil.rmtree(www)


def no_picture():
    """A still of a camera that gives none is not waited for without end."""
    server = Server("nosuchring", source=["sleep", "100"])
    began = time.monotonic()
    status, _, body = server.get("/still.mp4")
    took = time.monotonic() - began
    ok(status == 503 and body == b"no picture has come\n" and 9 < took < 13 * SLOW, f"no picture: 503 after {took:.1f} s")


def directories():
    mine = tempfile.mkdtemp()
    os.chmod(mine, 0o755)
    os.mkdir(os.path.join(mine, "sub"))
    for name, text in (("a.txt", "a"), ("sub/index.html", "sub"), (".hidden", "h")):
        with open(os.path.join(mine, name), "w", encoding="ascii") as f:
            f.write(text)
    server = Server("-w", WWW, www=mine)
    status, headers, body = server.get("/a.txt")
    ok((status, body) == (200, b"a") and headers["content-type"].startswith("text/plain"), "a file of the first directory")
    ok(b"<video" in server.get("/")[2], "the page of the second, as the first has none")
    ok(server.get("/sub/")[2] == b"sub", "a directory's page")
    ok(server.get("/none")[0] == 404, "what neither has")
    with open(os.path.join(mine, "index.html"), "w", encoding="ascii") as f:
        f.write("mine")
    ok(server.get("/")[2] == b"mine", "the first wins")
    for target in ("/../etc/passwd", "/%2e%2e/etc/passwd", "/sub/../../x"):
        ok(server.get(target)[0] == 400, f"{target}: 400")
    shutil.rmtree(mine)


run_all(lines, per_address, viewers, redirect, children, shares, no_picture, directories)
sys.exit(finish())
