#!/usr/bin/env python3
"""A recording that was ended in each way there is, in other people's players: it opens, lasts as long as it should, and
shows the right picture wherever it is sent.

The ends: a clean one, SIGKILL in the middle of a write, a full disk, and a last write that is torn in several ways.

RECORDING_SECONDS=600: of so much media (default 30; 600 takes some minutes, and 1.5 GB where temporary files are;
up to 60, three kinds of torn ones do).
BROWSER=no: without the browsers. Arguments: only these of ffmpeg, mpv, vlc, chromium, firefox.
"""
import contextlib
import http.server
import importlib.machinery
import importlib.util
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

from live import H264FMP4, ROOT, SLOW, TESTCARD, Server, captured, find, finish, ok, run_all, skip

sys.path[1:1] = [os.path.join(ROOT, "tests", name) for name in ("browser", "players")]
import cells  # noqa: E402
import collect  # noqa: E402

SECONDS = int(os.environ.get("RECORDING_SECONDS", "30"))
FPS, TICKS, FRAME_US = 30, 90000, 1000000 / 30
WIDTH, HEIGHT = 640, 480
PIECES_MAX = 6  # that ffmpeg may ask for on its way into a file with an index
FRONT = 8  # bytes of a fragment that are written last: a box's size and type
PLACES = (0.1, 0.5, 0.9)
WATCH_SECONDS = 1
SHORT_SECONDS = 60  # the longest media of which a browser is given all on one page, and not every torn one
OPEN_SECONDS = 20 + SECONDS // 10  # what a browser may take to know a file, and to find a place in it
work = tempfile.mkdtemp()
os.chmod(work, 0o755)


class Recording:
    """A file of h264fmp4's, and what its whole fragments hold by our own count."""
    def __init__(self, name, what):
        self.name, self.what, self.path = name, what, os.path.join(work, "www", name + ".mp4")
        self.fragments = []  # (first byte, of the payload, end, ticks, frames)
        self.spare = 0  # ticks of a moof whose payload is not all there

    def read(self):
        self.fragments, front, head = [], None, None
        with open(self.path, "rb") as f:
            self.has_length = b"mehd" in f.read(2048)
            for kind, at, end in tops(f):
                if kind in (b"prft", b"moof") and front is None:
                    front = at
                if kind == b"moof":
                    f.seek(at + 8)
                    trun = find(f.read(end - at - 8), b"traf", b"trun")
                    head = [struct.unpack_from(">I", trun, 12 + 12 * n)[0] for n in range(struct.unpack_from(">I", trun, 4)[0])]
                    self.spare = sum(head)
                elif kind == b"mdat":
                    if not self.fragments:
                        f.seek(at + 8)
                        self.first = captured(f.read(4096))
                    self.fragments.append((front, at + 8, end, sum(head), len(head)))
                    front, self.spare = None, 0
        return self

    def seconds(self):
        return sum(f[3] for f in self.fragments) / TICKS

    def frames(self):
        return sum(f[4] for f in self.fragments)

    def lasts(self, seconds, frames=0):
        """Whether it is so long, to some frames. A moof without its payload may count or not."""
        return seconds is not None and -0.001 <= seconds - self.seconds() + frames / FPS <= (2 * frames + 0.03) / FPS + self.spare / TICKS

    def places(self):
        """Where players are sent: whole seconds and a half, which are no keyframes."""
        return [int(self.seconds() * part) + 0.5 for part in PLACES]


def tops(f, at=0):
    """(type, first byte, end) of each whole top-level box of an open file from there on."""
    size = os.fstat(f.fileno()).st_size
    while at + 8 <= size:
        f.seek(at)
        length, kind = struct.unpack(">I4s", f.read(8))
        if length < 8 or at + length > size:
            return
        yield kind, at, at + length
        at += length


# --- The recordings ---

def record(name, frames=None, before=()):
    """testcard and h264fmp4 into that file, as fast as it goes. before: what runs the latter."""
    with open(name, "wb") as out:
        card = subprocess.Popen([TESTCARD, "-x", *(["-n", str(frames)] if frames else [])], stdout=subprocess.PIPE)
        mux = subprocess.Popen([*before, H264FMP4], stdin=card.stdout, stdout=out, stderr=subprocess.PIPE)
    card.stdout.close()
    return card, mux


def clean():
    r = Recording("clean", "a clean end")
    card, mux = record(r.path, SECONDS * FPS)
    ok(mux.wait(60 * SLOW + SECONDS) == 0 and card.wait(10) == 0 and mux.stderr.read() == b"", f"{r.what}: 0, nothing said")
    ok(r.read().frames() == SECONDS * FPS, f"{r.frames()} frames, {r.seconds():.2f} s, {os.path.getsize(r.path) >> 20} MiB")
    return r


def killed():
    """Between all of a fragment and its front, which is written last: so two writes each, as for what comes before them all."""
    r = Recording("killed", "SIGKILL")
    if not shutil.which("strace"):
        card, mux = record(r.path)
        while os.path.getsize(r.path) < 0.98 * most:
            time.sleep(0.001)
        mux.kill()
    else:
        card, mux = record(r.path, before=["strace", "-o", "/dev/null", "-e", "trace=pwritev",
                                           "-e", f"inject=pwritev:signal=SIGKILL:when={2 * SECONDS + 2}"])
    status = mux.wait(60 * SLOW + SECONDS)
    card.kill()
    card.wait()
    whole = r.read().fragments[-1][2]
    with open(r.path, "rb") as f:
        f.seek(whole)
        left = f.read()
    ok(status == -signal.SIGKILL and (left[:FRONT] == bytes(FRONT) and left.count(b"traf") == left.count(b"mdat") == 1
                                      or not shutil.which("strace")),
       f"{r.what} in front of the last write of a fragment: {r.seconds():.2f} s, and {len(left)} bytes of one more, but for its front")
    return r


@contextlib.contextmanager
def full():
    """On a file system of that size, which stays full; else with a limit of the process."""
    place = os.path.join(work, "www/small")
    os.mkdir(place)
    size = most * 99 // 100
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not mounted:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))  # Python's children ignore the signal, as it does
    try:
        r = Recording("small/full", "a full disk")
        card, mux = record(r.path)
        if not mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        status, said = mux.wait(60 * SLOW + SECONDS), mux.stderr.read().decode().strip()
        card.kill()
        card.wait()
        r.read()
        ok(status == 111 and said.count("\n") == 0 and r.fragments[-1][2] == os.path.getsize(r.path),
           f"{r.what}: {status}, {said}; {r.seconds():.2f} s, and nothing behind them")
        yield r
    finally:
        if mounted:
            subprocess.run(["umount", "-l", place], check=True)


def torn(whole):
    """The whole recording with its last fragment as a cut, a kill between two pages, or a loss of power may leave it."""
    front, payload, end, *_ = whole.fragments[-1]
    middle = (front + payload) // 2
    for name, what, size, zeros in (
            ("payload", "cut in the payload of its last fragment", (payload + end) // 2, []),
            ("room", "cut in the room for its last moof", middle, [(front, middle)]),
            ("halfmoof", "half of its last moof, without its front, and nothing behind it", middle, [(front, front + FRONT)]),
            ("zerohalf", "half of its last moof, without its front, and zeros to its end", payload, [(front, front + FRONT), (middle, payload)]),
            ("nomoof", "zeros for its last moof, half of the payload", (payload + end) // 2, [(front, payload)]),
            ("lastmoof", "zeros for its last moof, all of the payload", end, [(front, payload)]),
            ("zeros", "zeros for all of its last fragment", end, [(front, end)])):
        if SECONDS <= SHORT_SECONDS and name not in ("payload", "zerohalf", "nomoof"):
            continue
        r = Recording(name, what)
        shutil.copy(whole.path, r.path)
        os.truncate(r.path, size)
        with open(r.path, "r+b") as f:
            for first, behind in zeros:
                f.seek(first)
                f.write(bytes(behind - first))
            f.seek(0)
            at = f.read(2048).find(b"mehd")
            if at > 0 and zeros:  # its length, where it has one, is written last
                f.seek(at + 8)
                f.write(struct.pack(">Q", sum(part[3] for part in whole.fragments[:-1])))
            for kind, at, _ in list(tops(f)):  # and its index, last of all
                if kind == b"free":
                    f.seek(at)
                    f.write(struct.pack(">I", whole.fragments[0][0] - at))
        ok(len(r.read().fragments) == len(whole.fragments) - 1 and bool(r.spare) == (not zeros), f"{what}: {r.seconds():.2f} s")
        yield r


# --- The players ---

def shown(r, at, card, what, frames=0):
    """card: counter and capture time of the picture that was shown for this time."""
    want = round(at * FPS)
    ok(card and abs(card[0] - want) <= frames and abs(card[1] - r.first - card[0] * FRAME_US) < 2,
       f"{what}: {r.what}: sent to {at} s it shows picture {card and card[0]}, {want} wanted")


def run(*args, **more):
    return subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * SLOW + SECONDS, check=False, **more)


def ffmpeg(r):
    asked = run("ffprobe", "-v", "error", "-show_entries", "format=duration:packet=pts", "-of", "default=nw=1", r.path, text=True)
    length = re.search(r"^duration=([\d.]+)$", asked.stdout, re.M)
    ok(asked.returncode == 0 and (asked.stderr == "" or r.spare) and length and r.lasts(float(length[1])),
       f"ffprobe: {r.what}: it lasts {length and length[1]} s, {r.seconds():.3f} wanted {asked.stderr.strip().splitlines()[:1]}")
    pts = [int(n) for n in re.findall(r"^pts=(\d+)$", asked.stdout, re.M)]
    steps = {b - a for a, b in zip(pts, pts[1:])}
    more = r.spare * FPS // TICKS
    ok(pts[:1] == [0] and steps <= {2999, 3000, 3001} and r.frames() <= len(pts) <= r.frames() + more, f"{len(pts)} times without a gap: {steps}")
    for at in r.places():
        got = run("ffmpeg", "-nostdin", "-v", "error", "-ss", str(at), "-i", r.path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-")
        shown(r, at, cells.read(got.stdout, WIDTH) if len(got.stdout) == WIDTH * HEIGHT else None, "ffmpeg")


def mpv(r):
    picture = os.path.join(work, "mpv.raw")
    for at in r.places():
        got = run("mpv", "--no-config", "--ao=null", "--hr-seek=yes", f"--start={at}", "--frames=1", "--untimed", "--of=rawvideo",
                  "--ovc=rawvideo", "--vf=format=gray", f"--o={picture}", "--term-playing-msg=lasts ${=duration} ${seekable}", r.path, text=True)
        said = re.search(r"lasts ([\d.]+) (\w+)", got.stdout)
        with open(picture, "rb") as f:
            shown(r, at, cells.read(f.read(), WIDTH), "mpv")
        os.unlink(picture)
        if at == r.places()[0]:
            ok(got.returncode == 0 and said and r.lasts(float(said[1])) and said[2] == "yes", f"mpv: {r.what}: it lasts {said and said[1]} s")


def vlc(r):
    """To keyframes: in the middle of a group VLC 3 shows garbage up to the next one, with anybody's fragments."""
    for at in (n - 0.5 for n in r.places()):
        player = subprocess.Popen([os.path.join(ROOT, "tests/players/vlc"), "file://" + r.path, f":start-time={at}"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        timer = threading.Timer(20 * SLOW, player.kill)
        timer.start()
        card = length = None
        for line in player.stdout:
            words = line.split()
            card = card or (words if len(words) == 4 else None)
            length = int(words[1]) / 1000 if words[0] == "length" else length
            if card and length:
                break
        timer.cancel()
        player.kill()
        player.communicate()
        shown(r, at, card and (int(card[1]), int(card[2])), "vlc", 1)
        ok(r.lasts(length, 1), f"it lasts {length} s")


class Pieces(http.server.SimpleHTTPRequestHandler):
    """Files in ranges, each of them counted."""
    asked = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append(self.headers["Range"])
        with open(os.path.join(work, "www", os.path.basename(self.path)), "rb") as f:
            size = os.fstat(f.fileno()).st_size
            first = int(re.match(r"bytes=(\d+)-", self.headers["Range"] or "bytes=0-")[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - first))
            self.end_headers()
            f.seek(first)
            with contextlib.suppress(OSError):
                shutil.copyfileobj(f, self.wfile)


def from_afar(r):
    """Over HTTP: without an index ffmpeg asks for each fragment's head by itself."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pieces) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = r.places()[-1]
        got = run("ffmpeg", "-nostdin", "-v", "error", "-ss", str(at), "-i", f"http://127.0.0.1:{server.server_port}/{r.name}.mp4",
                  "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-")
        shown(r, at, cells.read(got.stdout, WIDTH) if len(got.stdout) == WIDTH * HEIGHT else None, "ffmpeg over HTTP")
        ok(len(Pieces.asked) <= PIECES_MAX, f"having asked for {len(Pieces.asked)} pieces of {len(r.fragments)} fragments")
        server.shutdown()


def play_module():
    loader = importlib.machinery.SourceFileLoader("play", os.path.join(ROOT, "tests/browser/play"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("play", loader))
    loader.exec_module(module)
    return module


def browser(name, recordings):
    """Over HTTP as fanout serves files: short ones all on a page, since it is the browser's start that takes time."""
    play, collector = play_module(), collect.Collector()
    program = next(filter(None, map(shutil.which, play.BROWSERS[name][0])), None)
    if not program:
        return skip(f"{name}: the recordings", "not installed")
    for copied in ("watch.html", "watch.js"):
        shutil.copy(os.path.join(ROOT, "tests/browser", copied), os.path.join(work, "www"))
    server = Server(www=os.path.join(work, "www"), camera=("-s", "320x240", "-r", "10"))
    together = len(recordings) if SECONDS <= SHORT_SECONDS else 1
    for page in (recordings[n:n + together] for n in range(0, len(recordings), together)):
        places = min(page, key=Recording.seconds).places()
        url = f"http://127.0.0.1:{server.port}/watch.html?wait=0&patience={OPEN_SECONDS}" + "".join(f"&src=/{r.name}.mp4" for r in page) + \
            "".join(f"&seek={at}" for at in places)
        report = play.run(program, play.BROWSERS[name][1], url, WATCH_SECONDS, collector, more=OPEN_SECONDS * (1 + len(places) * len(page)))
        if ok(report, f"{name}: a page with {' and '.join(r.what for r in page)} reports"):
            for r, player in zip(page, report["players"]):
                in_browser(name, r, player, places)
    return server.stop()


def in_browser(name, r, player, places):
    errors = [e[4] for e in player["events"] if e[1] == "error"]
    opened = next((e[0] - player["requested"] for e in player["events"] if e[1] == "loadedmetadata"), 0)
    ok(not errors and opened, f"{name}: {r.what}: it opens after {opened:.0f} ms {errors}")
    if name == "firefox" and not r.has_length:
        return skip(f"firefox: {r.what}: its length, and other places", f"no mehd: it knows {player['duration']} s, as far as it has read")
    ok(r.lasts(player["duration"], 1), f"{name}: {r.what}: it lasts {player['duration']} s, {r.seconds():.2f} wanted")
    ok(player["duration"] and player["seekable"] == player["duration"], f"all of which it can seek in: {player['seekable']}")
    for at, (took, _, capture) in zip(places, player["sought"]):
        shown(r, at, capture and (round((capture - r.first) / FRAME_US), capture), f"{name}, in {took:.0f} ms", 1)
    return True


def main():
    global most
    os.mkdir(os.path.join(work, "www"))
    wanted = set(sys.argv[1:]) or {"ffmpeg", "mpv", "vlc", "chromium", "firefox"}
    if os.environ.get("BROWSER") == "no":
        wanted -= {"chromium", "firefox"}
    whole = clean()
    most = os.path.getsize(whole.path)
    with full() as on_full_disk:
        recordings = [whole, killed(), on_full_disk, *torn(whole)]
        def programs():
            if "ffmpeg" in wanted and shutil.which("ffprobe"):
                from_afar(whole)
            for player, program in ((ffmpeg, "ffprobe"), (mpv, "mpv"), (vlc, "cvlc")):
                if player.__name__ in wanted and shutil.which(program):
                    for r in recordings:
                        player(r)
                elif player.__name__ in wanted:
                    skip(f"{player.__name__}: the recordings", "not installed")

        def browsers():
            for name in sorted(wanted & {"chromium", "firefox"}):
                browser(name, recordings)
        run_all(programs, browsers)
    return finish()


most = 0  # bytes of the whole recording
status = main()
shutil.rmtree(work)
sys.exit(status)
