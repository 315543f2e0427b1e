"""What the tests of fanout share: a server with a camera behind it, HTTP by hand, MP4 boxes, TAP from threads."""
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import traceback

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
WWW = os.path.join(ROOT, "service/www")
TESTCARD, H264FMP4, FANOUT = (os.path.join(BUILD, tool) for tool in ("testcard", "h264fmp4", "fanout"))
SLOW = float(os.environ.get("SLOW", "1"))  # how much longer everything may take: valgrind, sanitizers

PORT_MIN = 10000

lock = threading.Lock()
done = failed = 0
running = []
given = set()  # ports


def ok(good, what):
    global done, failed
    with lock:
        done += 1
        failed += not good
        print(f"{'ok' if good else 'not ok'} {done} - {what}", flush=True)
    return good


def skip(what, why):
    ok(True, f"{what} # SKIP {why}")


def run_all(*jobs):
    """Each job in a thread of its own, since most of them wait; one that raises has failed."""
    def guarded(job):
        try:
            job()
        except Exception:
            ok(False, f"{job.__name__}: {traceback.format_exc(limit=3)}".replace("\n", "\n# "))
    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def finish():
    for server in running:
        server.stop()
    print(f"1..{done}")
    return failed > 0


def free_port():
    """One that no other call here gets, and that the tests beside this one do not get for their connections."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        local = int(f.read().split()[0])
    for _ in range(1000):
        try:
            port = random.SystemRandom().randrange(PORT_MIN, local) if local > 2 * PORT_MIN else 0
            with socket.create_server(("127.0.0.1", port)) as s:
                port = s.getsockname()[1]
        except OSError:
            continue
        if port not in given:
            given.add(port)
            return port
    raise OSError("no port is free")


def wait_for(what, seconds=5):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    return what()


class Server:
    """fanout on a free port. source: "camera", a file descriptor, or a list of a program's arguments;
    shell: what a shell does before it becomes fanout."""
    def __init__(self, *args, source="camera", www=WWW, camera=(), env=None, shell="", record=None,
                 stdout=None):
        self.port = free_port()
        self.error = tempfile.TemporaryFile()
        self.feeders = []
        stdin = source
        if source == "camera":
            card = subprocess.Popen([TESTCARD, *camera], stdout=subprocess.PIPE, stderr=self.error)
            mux = subprocess.Popen([H264FMP4], stdin=card.stdout, stdout=subprocess.PIPE, stderr=self.error)
            card.stdout.close()
            self.feeders, stdin = [card, mux], mux.stdout
        elif isinstance(source, list):
            self.feeders = [subprocess.Popen(source, stdout=subprocess.PIPE, stderr=self.error)]
            stdin = self.feeders[0].stdout
        if record:
            self.feeders.append(subprocess.Popen(["tee", record], stdin=stdin, stdout=subprocess.PIPE))
            stdin.close()
            stdin = self.feeders[-1].stdout
        ready, told = os.pipe()
        self.process = subprocess.Popen(
            [*os.environ.get("RUNNER", "").split(), "/bin/sh", "-c", shell + '\nexec "$@"', "sh", FANOUT, "-l", f"127.0.0.1:{self.port}", *(["-w", www] if www else []),
             "-d", str(told), *args], stdin=stdin, stdout=stdout, stderr=self.error, pass_fds=(told,), env=env)
        os.close(told)
        self.ready = os.read(ready, 10)
        os.close(ready)
        if hasattr(stdin, "close"):
            stdin.close()
        running.append(self)
        if source == "camera":
            wait_for(lambda: self.status()["cameras"][0]["fragments"] > 5)

    def connect(self, window=None):
        s = socket.socket()
        if window:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        s.settimeout(20 * SLOW)
        s.connect(("127.0.0.1", self.port))
        return s

    def get(self, target, *headers, method="GET"):
        with self.connect() as s:
            s.sendall(head(target, "Connection: close", *headers, method=method))
            return answer(s, method == "HEAD")

    def status(self):
        return json.loads(self.get("/status.json")[2])

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * 4096

    def alive(self):
        return self.process.poll() is None

    def said(self):
        self.error.seek(0)
        return self.error.read()

    def stop(self, with_signal=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        status = self.process.wait(20 * SLOW)
        for feeder in self.feeders:
            feeder.terminate()
            feeder.wait(20)
            if feeder.stdout:
                feeder.stdout.close()
        self.feeders = []
        return status


def head(target, *headers, method="GET", version="1.1"):
    lines = [f"{method} {target} HTTP/{version}", "Host: test", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def read_head(s):
    """Status, headers, and what came behind them."""
    data = b""
    while b"\r\n\r\n" not in data:
        got = s.recv(65536)
        if not got:
            return 0, {}, data
        data += got
    top, rest = data.split(b"\r\n\r\n", 1)
    lines = top.decode("latin-1").split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}, rest


def answer(s, no_body=False):
    """One whole answer: status, headers, body. What is behind the body must not be there yet."""
    status, headers, body = read_head(s)
    if no_body:
        return status, headers, body
    want = int(headers.get("content-length", 1 << 60))
    while len(body) < want:
        got = s.recv(1 << 20)
        if not got:
            break
        body += got
    return status, headers, body


def talk(server, data, seconds=5):
    """Everything the server says to these bytes until it closes, or for so long."""
    said = b""
    with server.connect() as s:
        s.settimeout(seconds)
        try:
            s.sendall(data)
            while got := s.recv(1 << 16):
                said += got
        except OSError:
            pass
    return said


class Reader(threading.Thread):
    """Everything that comes on a socket, read as it comes."""
    def __init__(self, s):
        super().__init__()
        self.s, self.data = s, b""
        self.start()

    def run(self):
        try:
            while got := self.s.recv(1 << 20):
                self.data += got
        except OSError:
            pass

    def all(self):
        self.join(20)
        return self.data.partition(b"\r\n\r\n")[2]


def codes(said):
    return [int(part[2:5]) for part in said.split(b"HTTP/1.")[1:]]


def body_of(server, target, seconds, *headers):
    """The body of an endless answer, as much as comes in so many seconds."""
    with server.connect() as s:
        s.sendall(head(target, *headers))
        status, headers_in, body = read_head(s)
        assert status == 200, status
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            s.settimeout(max(0.01, end - time.monotonic()))
            try:
                got = s.recv(1 << 20)
            except TimeoutError:
                break
            if not got:
                break
            body += got
        return headers_in, body


def boxes(data, at=0, end=None):
    """(type, body) of each whole box."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size = struct.unpack_from(">I", data, at)[0]
        if size < 8 or at + size > end:
            return
        yield data[at + 4:at + 8], data[at + 8:at + size]
        at += size


def find(data, *path):
    for name in path:
        data = next(body for kind, body in boxes(data) if kind == name)
    return data


def moofs(data):
    """Each fragment as a dict: sequence, tfdt, durations, flags, payload. As h264fmp4 and fanout write them."""
    found, moof = [], None
    for kind, body in boxes(data):
        if kind == b"moof":
            trun = find(body, b"traf", b"trun")
            count, step = struct.unpack_from(">I", trun, 4)[0], 16 if trun[2] & 8 else 12
            assert trun[2] & 7 == 7 and trun[3] == 1, trun[:4]
            samples = [struct.unpack_from(">III", trun, 12 + step * i) for i in range(count)]
            moof = {"sequence": struct.unpack_from(">I", find(body, b"mfhd"), 4)[0],
                    "tfdt": struct.unpack_from(">Q", find(body, b"traf", b"tfdt"), 4)[0],
                    "durations": [s[0] for s in samples], "flags": [s[2] for s in samples]}
        elif kind == b"mdat":
            found.append({**moof, "payload": body})
    return found


def captured(payload):
    """Capture time in microseconds since 1970 out of a sample's SEI message."""
    at = payload.index(b"MISPmicrosectime")
    body = payload[at:at + 48].replace(b"\0\0\3", b"\0\0")
    return int.from_bytes(body[17:19] + body[20:22] + body[23:25] + body[26:28], "big")


def recorded(frames, *args):
    """A stream of so many frames, all at once."""
    card = subprocess.Popen([TESTCARD, "-x", "-n", str(frames), *args], stdout=subprocess.PIPE)
    stream = subprocess.run([H264FMP4], stdin=card.stdout, stdout=subprocess.PIPE, check=True).stdout
    card.stdout.close()
    card.wait()
    return stream


def ffprobe_frames(path):
    if not shutil.which("ffprobe"):
        return None
    run = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of",
                          "csv=p=0", path], capture_output=True, timeout=30)
    return (run.stdout + run.stderr).decode().strip()
