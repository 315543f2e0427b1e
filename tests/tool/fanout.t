#!/usr/bin/env python3
"""fanout as a program: what it answers, byte for byte; its manners at start and end."""
import json
import os
import pty
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from live import (FANOUT, ROOT, SLOW, WWW, Reader, Server, answer, body_of, boxes, codes, ffprobe_frames,
                  find, finish, free_port, head, moofs, ok, read_head, recorded, run_all, skip, talk, wait_for)

TEMP = tempfile.mkdtemp()
SYNC = 0x02000000
TEN_YEARS = 10 * 366 * 86400


def status_page(server):
    code, headers, body = server.get("/status.json")
    page = json.loads(body)
    camera = page["cameras"][0]
    ok(code == 200 and headers["content-type"] == "application/json", "status.json")
    ok(camera["codec"] == "avc1.42C01E" and (camera["width"], camera["height"]) == (640, 480), "codec and size")
    ok(abs(camera["frames_per_second"] - 30) < 0.1 and 5e5 < camera["bits_per_second"] < 8e6,
       f"{camera['frames_per_second']} frames, {camera['bits_per_second']} bits a second")
    with server.connect() as a, server.connect() as b:
        a.sendall(head("/stream.mp4"))
        b.sendall(head("/raw.mp4"))
        read_head(a), read_head(b)
        later = server.status()
        ok(later["cameras"][0]["viewers"] == {"stream": 1, "raw": 1} and later["connections"] == 3, "viewers are counted")
        ok(0 <= later["cameras"][0]["age_ms"] < 200 * SLOW, "the newest fragment is young")
    ok(wait_for(lambda: server.status()["cameras"][0]["viewers"] == {"stream": 0, "raw": 0}), "and when they go")


def raw(server, record):
    before = server.status()["cameras"][0]["fragments"]
    headers, body = body_of(server, "/raw.mp4", 2.5)
    kinds = [kind for kind, _ in boxes(body)]
    ok(kinds[:2] == [b"ftyp", b"moov"] and kinds[2] in (b"prft", b"moof"), "raw.mp4: init segment, then fragments")
    ok("content-length" not in headers and headers["content-type"] == "video/mp4", "raw.mp4 has no length")
    frags = moofs(body)
    ok(frags[0]["flags"][0] == SYNC and before - 31 <= frags[0]["sequence"] - 1 <= before + 5, "from the newest keyframe")
    ok(len(frags) >= 70, f"raw.mp4: {len(frags)} fragments in 2.5 s")
    with open(record, "rb") as f:
        wrote = f.read()
    init = sum(8 + len(b) for _, b in list(boxes(body))[:2])
    ok(wrote.startswith(body[:init]) and body[init:] in wrote, "raw.mp4 is what the muxer wrote, byte for byte")
    with open(os.path.join(TEMP, "raw.mp4"), "wb") as f:
        f.write(body)
    ok(ffprobe_frames(f.name) in (None, str(len(frags)), str(len(frags) + 1)), "ffprobe: no error")


def stream(server, agent):
    headers, body = body_of(server, "/stream.mp4", 5.5, f"User-Agent: {agent}")
    frags = moofs(body)
    what = f"stream.mp4 for {agent[:7]}"
    ok("content-length" not in headers and headers["cache-control"] == "no-store", f"{what}: head")
    mdhd = find(body, b"moov", b"trak", b"mdia", b"mdhd")
    scale, duration = struct.unpack_from(">IQ", mdhd, 20)
    ok(mdhd[0] == 1 and duration == TEN_YEARS * scale, f"{what}: ten years in a version 1 mdhd")
    ok(frags[0]["tfdt"] == 0 and [f["sequence"] for f in frags] == list(range(1, len(frags) + 1)), f"{what}: from 0")
    ends = [f["tfdt"] + sum(f["durations"]) for f in frags]
    holes = [b["tfdt"] - end for end, b in zip(ends, frags[1:])]
    ok(all(h >= 0 for h in holes), f"{what}: time rises")
    ok(agent.startswith("Firefox/") or not any(holes), f"{what}: contiguous")
    ok(all(flag == SYNC for f in frags for flag in f["flags"]), f"{what}: every sample is a sync sample")
    ok(all(d > 0 for f in frags for d in f["durations"]), f"{what}: no sample lasts no time")
    start = 1.6 if agent.startswith("Firefox/") else 2.4
    early = sum(d for f in frags if f["tfdt"] < start * scale for d in f["durations"])
    ok(early >= (start - 0.1) * scale, f"{what}: {start} s of media at first")
    pads = [len(b) for kind, b in boxes(body) if kind == b"free"]
    ok(len(pads) >= 3 and all(p < 5 * 32768 for p in pads), f"{what}: padded")
    steady = [f["durations"][0] for f in frags[-30:]]
    ok(all(d in (2100, 3000, 3150) for d in steady), f"{what}: steered: {sorted(set(steady))}")
    with open(os.path.join(TEMP, f"stream{agent[:3]}.mp4"), "wb") as f:
        f.write(body)
    count = ffprobe_frames(f.name)
    ok(count in (None, str(len(frags)), str(len(frags) + 1)), f"{what}: ffprobe: {count} of {len(frags)} frames")


def still(server):
    with server.connect() as s:
        for turn in range(3):
            s.sendall(head("/still.mp4"))
            code, headers, body = answer(s)
            ok(code == 200 and len(body) == int(headers["content-length"]), f"still.mp4 {turn}: as long as it says")
            ok([k for k, _ in boxes(body)] == [b"ftyp", b"moov", b"moof", b"mdat"], f"still.mp4 {turn}: one fragment")
        s.sendall(head("/still.mp4", method="HEAD"))
        code, same, rest = answer(s, True)
        ok(code == 200 and rest == b"" and int(same["content-length"]) > 5000, "HEAD of it")
        s.sendall(head("/status.json"))
        ok(answer(s)[0] == 200, "the connection goes on")
    with open(os.path.join(TEMP, "still.mp4"), "wb") as f:
        f.write(body)
    ok(ffprobe_frames(f.name) in (None, "1"), "ffprobe: one frame")
    for version, header in (("1.0", "A: b"), ("1.1", "Connection: close"), ("1.0", "Connection: keep-alive")):
        said = talk(server, head("/still.mp4", header, version=version) + head("/status.json", "Connection: close"))
        ok(codes(said) == ([200, 200] if header.endswith("alive") else [200]), f"still.mp4: HTTP/{version} {header}")
    ok(server.alive() and server.status()["cameras"][0]["viewers"]["raw"] < 10, "and none of them is counted twice")


def heads_and_ranges(server):
    for path in ("/stream.mp4", "/raw.mp4"):
        said = talk(server, head(path, method="HEAD") + head("/status.json", "Connection: close"))
        ok(codes(said) == [200, 200] and b"Content-Length" not in said.split(b"\r\n\r\n")[0], f"HEAD {path}")
        for spec, want in (("0-", 200), ("5-", 416), ("0-1", 416), ("-5", 416), ("0-1,5-6", 200), ("nonsense", 200),
                           ("99999999999999999-", 416)):
            with server.connect() as s:
                s.sendall(head(path, f"Range: bytes={spec}"))
                code, headers, _ = read_head(s)
                ok(code == want and "content-range" not in headers, f"{path} Range: {spec}: {code}")
    with server.connect() as s:
        s.sendall(head("/stream%2emp4?t=1"))
        ok(read_head(s)[0] == 200, "an encoded path and a query")
    for method in ("POST", "PUT", "TRACE", "get", "DELETE"):
        said = talk(server, head("/", method=method))
        ok(codes(said) == [405] and b"Allow: GET, HEAD, OPTIONS\r\n" in said, f"{method}: 405")
    said = talk(server, head("/status.json", "Content-Length: 300000") + b"x" * 300000)
    ok(codes(said) == [413], "a GET with a body: 413, and the client gets to read it")
    said = talk(server, head("/", "Transfer-Encoding: chunked"))
    ok(codes(said) == [413], "a chunked one")
    for name, data in (("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), ("zeros", bytes(20)),
                       ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ("a line", b"GARBAGE\r\n"), ("a bare LF", b"x\n"),
                       ("HTTP/0.9", b"GET /\r\n"), ("RTSP", b"OPTIONS rtsp://x/ RTSP/1.0\r\n"),
                       ("8 KiB of empty lines", b"\r\n" * 8192)):
        start = time.monotonic()
        said = talk(server, data)
        took = time.monotonic() - start
        ok(codes(said) == [400] and took < 4 * SLOW, f"{name}: 400")
    said = talk(server, b"GET /status.json HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 8192)
    ok(codes(said) == [431], "8 KiB of head: 431")
    said = talk(server, head("/status.json", "Connection: close", "A: " + "x" * 8000))
    ok(codes(said) == [200], "almost as much: 200")


def pipelining(server):
    asked = [head("/status.json"), head("/still.mp4"), head("/status.json", method="HEAD"), b"\r\n\r\n",
             head("/still.mp4", method="HEAD"), head("/status.json"), head("/index.html")]
    said = talk(server, b"".join(asked))
    ok(codes(said) == [200] * 6 and said.endswith(b"</html>\n"), "seven requests in one write, the last one a file")
    said = talk(server, b"".join([head("/nothing"), head("/status.json")]))
    ok(codes(said)[0] == 404, "a file ends the connection, with its answer")
    with server.connect() as s:
        for byte in b"\r\n" + head("/status.json") + head("/still.mp4", "Connection: close"):
            s.sendall(bytes([byte]))
            time.sleep(0.001)
        ok(codes(b"".join(iter(lambda: s.recv(1 << 20), b""))) == [200, 200], "a byte at a time")
    with server.connect() as s:
        s.sendall(head("/still.mp4"))
        s.shutdown(socket.SHUT_WR)
        code, headers, body = answer(s)
        ok(code == 200 and len(body) == int(headers["content-length"]) and s.recv(1) == b"", "a client that says no more")
    with server.connect() as s:
        s.sendall(head("/raw.mp4"))
        s.shutdown(socket.SHUT_WR)
        s.settimeout(5)
        ok(read_head(s)[0] == 200 and s.recv(10) and s.recv(100000), "nor on a stream")


def hosts(server):
    """RFC 9112 3.2: who asks in HTTP/1.1 says whom. 3.2.2: or he says so with the path."""
    line = b"GET /status.json HTTP/1.1\r\nConnection: close\r\n"
    for what, data in (("no Host", line), ("two", line + b"Host: x\r\nHost: x\r\n"), ("a path in it", line + b"Host: x/y\r\n"),
                       ("a user in it", line + b"Host: u@x\r\n"), ("a list", line + b"Host: x, y\r\n"), ("half an address", line + b"Host: [::1\r\n"),
                       ("no number for a port", line + b"Host: x:y\r\n"), ("HTTP/1.0, and a blank in it", line.replace(b"1.1", b"1.0") + b"Host: x y\r\n"),
                       ("none, but a URL", line.replace(b"/status", b"http://x/status")),
                       ("a URL, and a blank in it", line.replace(b"/status", b"http://x/status") + b"Host: x y\r\n")):
        said = codes(talk(server, data + b"\r\n" + head("/status.json", "Connection: close")))
        ok(said == [400], f"{what}: 400, and the end: {said}")
    for what, data in (("HTTP/1.0 without", line.replace(b"1.1", b"1.0")), ("an empty one", line + b"Host:\r\n"),
                       ("an address and a port", line + b"Host: [::1]:8000\r\n")):
        ok(codes(talk(server, data + b"\r\n")) == [200], f"{what}: 200")
    for target, method, want in (("http://x/status.json", "GET", 200), ("HTTPS://[::1]:8443/status.json?a", "GET", 200),
                                 ("hTTp://other.example/stream.mp4", "HEAD", 200), ("http://x:/raw.mp4?/../", "HEAD", 200),
                                 ("http://x", "OPTIONS", 204), ("*", "OPTIONS", 204), ("*", "GET", 400), ("http://x/status.json", "POST", 405),
                                 ("x:80", "CONNECT", 400), ("x", "CONNECT", 400), ("http://u:p@x/status.json", "GET", 400),
                                 ("rtsp://x/status.json", "GET", 400), ("http://x/./status.json", "GET", 400)):
        said = codes(talk(server, head(target, "Connection: close", method=method)))
        ok(said == [want], f"{method} {target}: {said}")
    said = talk(server, head("http://x/status.json") + head("http://x/still.mp4") + head("/status.json", "Connection: close"))
    ok(codes(said) == [200] * 3, "one after the other on a connection")


CGI = """#!/bin/sh
echo Content-type: text/plain
echo
ls -l /proc/self/fd | awk 'NF > 8 { print "fd", $9, $10, $11 }'
tr '\\0' '\\n' </proc/$PPID/environ | sed 's/^/env /'
grep flags /proc/$PPID/fdinfo/0
echo "asked $REQUEST_METHOD $REQUEST_URI $QUERY_STRING $HTTP_HOST"
"""


def make_www():
    www = os.path.join(TEMP, "site/www")
    os.makedirs(os.path.join(www, "cgi-bin"))
    os.mkdir(os.path.join(www, "sub"))
    for path, text in (("site/secret.txt", "SECRET"), ("site/www/a.html", "A page"), ("site/www/b.css", "css"),
                       ("site/www/sub/index.html", "Sub"), ("site/www/cgi-bin/list", CGI), ("site/www/stream.mp4", "FILE")):
        with open(os.path.join(TEMP, path), "w", encoding="ascii") as f:
            f.write(text)
    os.chmod(os.path.join(www, "cgi-bin/list"), 0o755)
    os.symlink("../secret.txt", os.path.join(www, "link.txt"))
    shutil.copy(os.path.join(ROOT, "service/httpd.conf"), os.path.join(TEMP, "site/httpd.conf"))
    return www


def files():
    if not shutil.which("busybox"):
        return skip("static files", "no busybox")
    extra = os.open("/dev/null", os.O_RDONLY)  # a descriptor of our parent's, which no child may see
    os.set_inheritable(extra, True)
    server = Server(www=make_www(), env={"PATH": os.environ["PATH"], "SECRET": "1", "LD_BIND_NOW": "1"})
    code, headers, body = server.get("/a.html")
    ok(code == 200 and body == b"A page" and headers["content-type"] == "text/html;charset=utf-8", "a file, its type")
    code, headers, body = server.get("/b.css?x=/../..")
    ok(code == 200 and body == b"css" and headers["content-type"].startswith("text/css"), "with a query")
    code, headers, body = server.get("/a.html", method="HEAD")
    # busybox 1.35 sends the file as well, and closes.
    ok(code == 200 and body in (b"", b"A page") and headers["content-length"] == "6", "HEAD of a file")
    ok(server.get("/none.html")[0] == 404, "404")
    ok(server.get("/sub/")[2] == b"Sub" and server.get("/sub")[0] == 302, "a directory")
    ok(server.get("/a.html", "Range: bytes=2-3")[2] == b"pa", "a range of a file")
    code, headers, _ = server.get("/stream.mp4", method="HEAD")
    ok(code == 200 and "content-length" not in headers, "a live path hides a file")
    ok(server.get("/link.txt")[2] == b"SECRET", "a symbolic link is followed: who owns the directory decides")
    for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/%2E%2E/secret.txt", "/.%2e/secret.txt", "/sub/../../secret.txt",
                 "/sub/%2e%2e/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt", "/..%5csecret.txt",
                 "/..\\secret.txt", "//../secret.txt", "/./a.html", "/sub/..", "/.", "/a.html%00.txt", "/a.html#/../x",
                 "/../../../../etc/passwd", "/%zz", "/%2", "secret.txt", "http://u@x/a.html", "ftp://x/a.html", "http:///a.html", "http://x/../secret.txt", "http://x/%2e%2e/secret.txt", "/a\tb", "/" + "x" * 1100):
        said = talk(server, head(path, "Connection: close"))
        ok(codes(said) == [400] and b"SECRET" not in said, f"{path[:40]!r} is refused")
    for path in ("//secret.txt", "/%252e%252e/secret.txt", "/...", "/%2f%2fsecret.txt", "/sub//%2fetc/passwd"):
        said = talk(server, head(path))
        ok(codes(said) == [404] and b"SECRET" not in said, f"{path!r} leads nowhere")
    listing(server.get("/cgi-bin/list")[2].decode())
    urls(server)
    ok(wait_for(lambda: server.status()["static_children"] == 0), "every child is reaped")
    ok(server.stop() == 0, "SIGTERM: 0")
    os.close(extra)


def urls(server):
    """Who serves files is told the path, and the host that counts."""
    code, headers, body = server.get("http://other:80/b.css?x=http://y/../..")
    ok(code == 200 and body == b"css" and headers["content-type"].startswith("text/css"), "a file by its URL")
    ok(server.get("https://other/b.css", "Range: bytes=1-")[2] == b"ss", "a range of it: the fields behind are there")
    ok(server.get("HTTP://x/none.html")[0] == 404 and server.get("http://x/sub/")[2] == b"Sub", "another, and none")
    said = talk(server, head("http://x/sub"))
    ok(codes(said) == [302] and b"\r\nLocation: /sub/\r\n" in said, "a directory")
    for target in ("http://x", "http://x?a=b", "http://x/"):
        ok(codes(talk(server, head(target))) == [404], f"{target}: the page, which is not there")
    for target, told in (("http://other:80/cgi-bin/list?a=b", "GET /cgi-bin/list?a=b a=b other:80"), ("/cgi-bin/list", "GET /cgi-bin/list  test")):
        said = talk(server, head(target))
        ok(codes(said) == [200] and f"\nasked {told}\n".encode() in said, f"{target}: {told}")
    ok(b"\nasked GET /cgi-bin/list  \n" in talk(server, b"GET http://other/cgi-bin/list HTTP/1.0\n\n"), "of HTTP/1.0, without a Host")
    fill = 8192 - len(head("http://x/a.html", "A: "))
    said = talk(server, head("http://x/a.html", "A: " + "x" * fill))
    ok(codes(said) == [200] and said.endswith(b"A page"), "with a head as long as there may be")


def listing(text):
    print("# " + text.replace("\n", "\n# "))
    fds = {line.split()[1] for line in text.splitlines() if line.startswith("fd ")}
    ok(fds and fds <= {"0", "1", "2", "3"}, f"a child has descriptors {sorted(fds)}; 3 is ls's own")
    ok("socket:" not in [line for line in text.splitlines() if line.startswith("fd 3")][0], "none of them ours")
    names = {line[4:].split("=")[0] for line in text.splitlines() if line.startswith("env ")}
    ok(names == {"PATH"}, f"its environment is {names}")
    flags = int(text.split("flags:")[1].split()[0], 8)
    ok(not flags & os.O_NONBLOCK, "its socket blocks")


def no_files():
    bare = Server(www=None) if not os.path.exists("/usr/local/share/fmp4streamer/www") else None
    if bare:
        code, headers, body = bare.get("/")
        ok(code == 404 and body == b"no such page\n", "without files: 404")
        said = talk(bare, head("/x") + head("/status.json", "Connection: close"))
        ok(codes(said) == [404, 200], "and the connection goes on")
        bare.stop()
    else:
        skip("without files", "fmp4streamer is installed")
    fake = os.path.join(TEMP, "fake")
    os.mkdir(fake)
    with open(os.path.join(fake, "busybox"), "w", encoding="ascii") as f:
        f.write('#!/bin/sh\necho "HTTP/1.0 200 $*"\ngrep ^Sig /proc/self/status\n')
    os.chmod(f.name, 0o755)
    told = Server(env={"PATH": fake + ":" + os.environ["PATH"]})
    said = talk(told, head("/"))
    masks = [int(line.split()[1], 16) & 0x7fffffff for line in said.splitlines() if line[:6] in (b"SigBlk", b"SigIgn")]
    ok(masks == [0, 0], f"a child begins with no signal blocked or ignored: {masks}")
    ok(f"httpd -i -h {WWW} -c {WWW}/../httpd.conf".encode() in said, "and is told the directory and the types")
    told.stop()
    lost = Server(env={"PATH": "/nowhere"})
    said = talk(lost, head("/index.html"))
    ok(codes(said) == [500] and lost.get("/status.json")[0] == 200, "no busybox: 500, and nothing else is lost")
    lost.stop()


def run(*args, data=b"", **more):
    more = more or {"input": data}
    if "input" in more:  # a pipe
        return subprocess.run([FANOUT, *args], capture_output=True, timeout=20 * SLOW, **more)
    return subprocess.run([FANOUT, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20 * SLOW, **more)


def usage():
    for args, named in ((["-l", "0"], "-l"), (["-l", "65536"], "-l"), (["-l", "80x"], "-l"), (["-l", ""], "-l"),
                        (["-l", ":80"], "-l"), (["-l", "localhost:80"], "-l"), (["-l", "1.2.3:x"], "-l"),
                        (["-w", "/nowhere"], "/nowhere"), (["-w", "/etc/passwd"], "/etc/passwd"), (["-a", "0"], "-a"),
                        (["-a", "4097"], "-a"), (["-a", "3x"], "-a"), (["-a", "-1"], "-a"), (["-d", "2"], "-d"),
                        (["-d", "999"], "-d"), (["-d", "x"], "-d"), (["na/me"], "na/me"),
                        (["x" * 33], "x" * 33), (["a", "a"], "a")):
        got = run(*args)
        ok(got.returncode == 100 and got.stderr.count(b"\n") == 1 and named.encode() in got.stderr, f"{args}: 100")
    got = run("-x")
    ok(got.returncode == 100 and got.stderr.count(b"\n") == 1 and b"-x" in got.stderr, "an unknown option: 100")
    got = run("-h")
    ok(got.returncode == 0 and got.stdout.startswith(b"usage: fanout ") and not got.stderr, "-h")
    ok(run("-V").stdout.startswith(b"fanout "), "-V")
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        got = run("-l", f"127.0.0.1:{port}")
        ok(got.returncode == 111 and got.stderr.count(b"\n") == 1 and b"in use" in got.stderr, "port in use: 111")


def sources():
    at = f"127.0.0.1:{free_port()}"
    with open("/etc/passwd", "rb") as regular, open("/dev/null", "rb") as null:
        for name, stdin in (("a file", regular), ("/dev/null", null)):
            got = run("-l", at, stdin=stdin)
            ok(got.returncode == 100 and got.stderr.count(b"\n") == 1, f"standard input is {name}: 100")
    mine, theirs = pty.openpty()
    ok(run("-l", at, stdin=theirs).returncode == 100, "a terminal: 100")
    os.close(mine), os.close(theirs)
    got = run("-l", at, stdin=None, preexec_fn=lambda: os.close(0))
    ok(got.returncode == 100 and got.stderr.count(b"\n") == 1, "closed: 100")
    got = run("-l", at, data=b"")
    ok(got.returncode == 0 and not got.stderr, "nothing but its end: 0")
    whole = recorded(40)
    got = run("-l", at, data=whole)
    ok(got.returncode == 0 and not got.stderr, "a stream and its end: 0")
    got = run("-l", at, data=whole[:-1])
    ok(got.returncode == 1 and b": byte " in got.stderr and got.stderr.count(b"\n") == 1, "a stream cut off: 1")
    for name, data, where in (("garbage", b"garbage, and nothing else at all", 0), ("garbage behind a stream", whole + bytes(16), len(whole)),
                              ("Annex-B", b"\0\0\0\1\x09\xf0" * 10, 0), ("no init segment", whole[whole.index(b"moof") - 4:], None)):
        got = run("-l", at, data=data)
        ok(got.returncode == 1 and got.stderr.count(b"\n") == 1, f"{name}: 1")
        if where is not None:
            ok(f"byte {where}:".encode() in got.stderr, f"{name}: names the byte")


def endings():
    """Bytes in dribs; the end of the stream; a source that has not begun."""
    out, into = os.pipe()
    server = Server(source=out)
    os.close(out)
    ok(server.ready == b"\n", "-d: a newline when ready")
    page = server.status()
    ok(page["cameras"][0]["age_ms"] is None and page["cameras"][0]["fragments"] == 0, "status.json before the first frame")
    code, headers, _ = server.get("/still.mp4")
    ok(code == 503 and "retry-after" in headers, "still.mp4 before the first frame: 503")
    waiting = [server.connect() for _ in range(3)]
    for s, path in zip(waiting, ("/stream.mp4", "/raw.mp4", "/stream.mp4")):
        s.sendall(head(path))
    time.sleep(0.3)
    waiting[2].close()
    stream_bytes = recorded(60)
    readers = [Reader(s) for s in waiting[:2]]
    for at in range(0, 20000, 7):
        os.write(into, stream_bytes[at:min(at + 7, 20000)])
    for at in range(20000, len(stream_bytes), 4096):
        os.write(into, stream_bytes[at:at + 4096])
    time.sleep(0.5)
    os.close(into)
    ok(len(moofs(readers[0].all())) >= 24, "those who waited are served when it begins: stream.mp4")
    ok(readers[1].all() == stream_bytes, "all 60 frames arrive, although the source came 7 bytes at a time and ends")
    ok(server.process.wait(10) == 0 and server.said() == b"", "the source ends: 0, quietly")
    for s in waiting:
        s.close()


def silent_source():
    """Viewers that go while the source says nothing are let go of."""
    out, into = os.pipe()
    server = Server(source=out)
    os.close(out)
    for path in ("/stream.mp4", "/raw.mp4"):
        with server.connect() as s:
            s.sendall(head(path))
            time.sleep(0.2)
    ok(server.status()["connections"] == 3, "two have come and gone while there was nothing to send")
    ok(wait_for(lambda: server.status()["connections"] == 1, 14), "within 10 s they are forgotten")
    os.close(into)
    server.process.wait(10)


def foreign_sources():
    if not shutil.which("ffmpeg"):
        return skip("ffmpeg as the source", "no ffmpeg")
    from_ffmpeg = Server(source=["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=s=320x240:r=30", "-c:v", "libx264",
                                 "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-movflags",
                                 "frag_every_frame+empty_moov+default_base_moof", "-f", "mp4", "-"])
    wait_for(lambda: from_ffmpeg.status()["cameras"][0]["fragments"] > 10, 10)
    relay = Server(source=["curl", "-sN", f"http://127.0.0.1:{from_ffmpeg.port}/raw.mp4"])
    wait_for(lambda: relay.status()["cameras"][0]["fragments"] > 100, 10)
    for name, server in (("ffmpeg as the source", from_ffmpeg), ("a relay of it", relay)):
        camera = server.status()["cameras"][0]
        ok(camera["width"] == 320 and abs(camera["frames_per_second"] - 30) < 1, f"{name}: {camera['frames_per_second']} a second")
        for path in ("raw.mp4", "stream.mp4", "still.mp4"):
            _, body = body_of(server, "/" + path, 1.5)
            with open(os.path.join(TEMP, f"{name[:3]}-{path}"), "wb") as f:
                f.write(body)
            count = ffprobe_frames(f.name)
            ok(count == "1" if path[:2] == "st" and "ill" in path else count and int(count) > 25, f"{name}: {path}: {count} frames")
    ok(relay.stop() == 0, "the relay goes")
    ok(from_ffmpeg.alive() and from_ffmpeg.stop() == 0, "the first one stays until told")


def second_epoch():
    """The same stream twice, as when the muxer restarts: raw.mp4 gets the new init segment, stream.mp4 does not."""
    first, second = recorded(120), recorded(45, "-s", "320x240")
    out, into = os.pipe()
    server = Server(source=out)
    os.close(out)
    os.write(into, first[:60000])
    with server.connect() as a, server.connect() as b:
        a.sendall(head("/raw.mp4"))
        b.sendall(head("/stream.mp4"))
        readers = [Reader(a), Reader(b)]
        for data in (first[60000:], second):
            for at in range(0, len(data), 30000):
                os.write(into, data[at:at + 30000])
                time.sleep(0.02)
        time.sleep(0.5)
        os.close(into)
        texts = [reader.all() for reader in readers]
    ok(texts[0].count(b"moov") == 2 and second[:second.find(b"moof") - 4 - 32] in texts[0]
       and texts[0].endswith(second[second.rfind(b"mdat"):]), "raw.mp4: another init segment, then its fragments")
    times = [int.from_bytes(part[4:12], "big") for part in texts[0].split(b"tfdt")[1:]]
    ok(times == sorted(times) and len(times) > 100, "raw.mp4: its time goes on, though the stream's began again")
    ok(texts[1].count(b"moov") == 1, "stream.mp4: never a second one")
    ok(server.process.wait(10) == 0, "and the end")


def reordered():
    """B frames, from somebody else's muxer: on a viewer's own timeline each picture is shown after the one before."""
    if not shutil.which("ffmpeg"):
        return skip("B frames", "no ffmpeg")
    camera = ("ffmpeg -v quiet -re -f lavfi -i testsrc2=s=320x240:r=30 -c:v libx264 -preset ultrafast -bf 2 -b_strategy 0 "
              "-g 15 -f mp4 -movflags frag_every_frame+empty_moov+default_base_moof -")
    server = Server(source=camera.split())
    wait_for(lambda: server.status()["cameras"][0]["fragments"] > 150, 15)
    path = os.path.join(TEMP, "reordered.mp4")
    with open(path, "wb") as f:
        f.write(body_of(server, "/stream.mp4", 6)[1])
    server.stop()
    probe = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "frame=pts_time,pict_type", "-of", "csv=p=0", path],
                           capture_output=True, text=True, check=True)
    shown = [line.split(",")[:2] for line in probe.stdout.split()]
    times = [float(pts) for pts, _ in shown]
    kinds = "".join(kind for _, kind in shown)
    ok(len(times) > 150 and kinds.count("BB") > 40, f"{len(times)} pictures, {kinds.count('B')} of them B: {kinds[:20]}...")
    late = [i for i, (a, b) in enumerate(zip(times, times[1:])) if b <= a]
    ok(not late and not probe.stderr, f"each is shown after the one before {late[:5]} {probe.stderr[:200]}")


def main():
    record = os.path.join(TEMP, "record.mp4")
    server = Server(record=record, camera=("-g", "30"))
    status_page(server)
    time.sleep(max(0, 5 - server.status()["uptime_ms"] / 1000))  # so that there is a history to begin with
    jobs = (lambda: raw(server, record), lambda: stream(server, "Mozilla/5.0 Chrome/156"), lambda: stream(server, "Firefox/153"),
            lambda: still(server), lambda: heads_and_ranges(server), lambda: pipelining(server), lambda: hosts(server), files, no_files, usage, sources,
            endings, silent_source, foreign_sources, second_epoch, reordered)
    run_all(*jobs)
    ok(server.alive() and server.said() == b"", "nothing was said on standard error")
    ok(server.stop() == 0, "SIGTERM: 0")
    shutil.rmtree(TEMP)
    return finish()


sys.exit(main())
