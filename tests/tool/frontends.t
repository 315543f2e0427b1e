#!/usr/bin/env python3
"""The TLS front ends whose configurations are in service/, each as it is shipped but for places and ports, in front of
fanout: files and streams at once, the viewer's own address where the PROXY protocol tells it, HTTP/2 where it is promised,
and an end for who takes nothing. fanout behind stunnel is https.t's."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from live import ROOT, SLOW, WWW, Server, finish, free_port, head, ok, read_head, run_all, skip, wait_for

FRONT_ENDS = [  # name, program, configuration, arguments, HTTP version, PROXY
    ("haproxy", "haproxy", "haproxy.cfg", ["-f"], "1.1", True),
    ("nginx stream", "nginx", "nginx-stream.conf", ["-c"], "1.1", True),
    ("nginx", "nginx", "nginx-http2.conf", ["-c"], "2", False),
    ("lighttpd", "lighttpd", "lighttpd.conf", ["-D", "-f"], "2", False),
]


class FrontEnd:
    def __init__(self, name, program, conf, args, plain, proxy):
        self.name, self.port = name, free_port()
        self.directory = tempfile.mkdtemp()
        os.chmod(self.directory, 0o755)
        key, cert, pair = (os.path.join(self.directory, f) for f in ("key.pem", "cert.pem", "pair.pem"))
        self.cert = cert
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        with open(pair, "w", encoding="ascii") as out:
            for path in (cert, key):
                with open(path, encoding="ascii") as f:
                    out.write(f.read())
        with open(os.path.join(ROOT, "service", conf), encoding="ascii") as f:
            text = f.read()
        for pattern, new in ((r"/var/lib/fmp4streamer", self.directory), (r"/run/fmp4streamer-nginx", self.directory + "/nginx"),
                             (r"\b8443\b", str(self.port)), (r"\b8001\b", str(proxy)), (r"\b8000(?=[;)])", str(plain))):
            text = re.sub(pattern, new, text)
        path = os.path.join(self.directory, conf)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        self.log = open(os.path.join(self.directory, "log"), "wb")
        self.process = subprocess.Popen([program, *args, path], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.up = wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", self.port)) == 0, 10)

    def curl(self, target, *args):
        return subprocess.run(["curl", "-sS", "--cacert", self.cert, "-o", os.devnull, "-w",
                               "%{http_code} %{http_version} %{time_starttransfer} %{size_download}", *args,
                               f"https://localhost:{self.port}{target}"], capture_output=True, text=True, timeout=60, check=False)

    def tls(self, source):
        context = ssl.create_default_context(cafile=self.cert)
        s = socket.socket()
        s.bind((source, 0))
        s.settimeout(10 * SLOW)
        s.connect(("127.0.0.1", self.port))
        return context.wrap_socket(s, server_hostname="localhost")

    def memory(self):
        total = 0
        pids = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False).stdout.split()
        for pid in [str(self.process.pid), *pids]:
            with open(f"/proc/{pid}/statm", encoding="ascii") as f:
                total += int(f.read().split()[1]) * 4
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.log.close()
        shutil.rmtree(self.directory)


def stream(front, version):
    parts = front.curl("/stream.mp4", "-m", "2").stdout.split()
    ok(parts[:2] == ["200", version] and float(parts[2]) < 0.5 * SLOW and int(parts[3]) > 100000,
       f"{front.name}: the stream, first byte after {1000 * float(parts[2]):.0f} ms")


def several(front):
    """Eight streams on one connection: more than a browser takes from an HTTP/1 server."""
    urls = []
    for n in range(8):
        urls += [f"https://localhost:{front.port}/stream.mp4?{n}", "-o", os.devnull]
    r = subprocess.run(["curl", "-sSZ", "--parallel-max", "8", "--http2", "--cacert", front.cert, "-m", "3", "-w",
                        "%{size_download} %{num_connects}\n", *urls], capture_output=True, text=True, timeout=60, check=False)
    found = [line.split() for line in r.stdout.splitlines()]
    ok(len(found) == 8 and all(int(size) > 100000 for size, _ in found) and sum(int(n) for _, n in found) == 1,
       f"{front.name}: eight streams on {sum(int(n) for _, n in found)} connection")


def addresses(front):
    crowd = [front.tls("127.0.0.2") for _ in range(4)]
    found = []
    for s in crowd:
        s.sendall(head("/raw.mp4"))
        found.append(read_head(s)[0])
    other = front.tls("127.0.0.3")
    other.sendall(head("/raw.mp4"))
    ok(found == [200, 200, 200, 503] and read_head(other)[0] == 200,
       f"{front.name}: three viewers of one address, as fanout's limit says, and another's: {found}")
    for s in [*crowd, other]:
        s.close()


def idle(front, server, version):
    """Who asks and never reads: closed after a while, and no memory is filled for him meanwhile."""
    before, crowd = front.memory(), []

    def watching():
        return server.status()["cameras"][0]["viewers"]["stream"]
    for _ in range(3):
        args = ["curl", "-sSk", "--interface", "127.0.0.5", "--limit-rate", "1", "-o", os.devnull, f"https://localhost:{front.port}/stream.mp4"]
        crowd.append(subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    there = wait_for(lambda: watching() == 3, 10)
    for one in crowd:
        one.send_signal(signal.SIGSTOP)
    gone = wait_for(lambda: watching() == 0, 60)
    grown = front.memory() - before
    ok(there and gone and grown < 16384, f"{front.name}: three that take nothing are let go, {grown} KiB more meanwhile (HTTP/{version})")
    for one in crowd:
        one.kill()
        one.wait()


def front_end(name, program, conf, args, version, proxied):
    if not shutil.which(program) or os.geteuid():
        return skip(name, "not installed, or not root")
    proxy = free_port()
    server = Server("-P", str(proxy), *(["-a", "3"] if proxied else []), www=WWW)
    front = FrontEnd(name, program, conf, args, server.port, proxy)
    if not ok(front.up, f"{name}: starts with {conf}"):
        with open(os.path.join(front.directory, "log"), encoding="utf-8", errors="replace") as f:
            print("# " + f.read().replace("\n", "\n# "))
        return front.stop()
    page = front.curl("/")
    ok(page.stdout.startswith(f"200 {version} "), f"{name}: the page, HTTP/{version}: {page.stdout} {page.stderr.strip()}")
    stream(front, version)
    if proxied:
        addresses(front)
    else:
        several(front)
    idle(front, server, version)
    front.stop()
    server.stop()


run_all(*[lambda entry=entry: front_end(*entry) for entry in FRONT_ENDS])
sys.exit(finish())
