#!/usr/bin/env python3
"""Named rings: ringput, ringcat and fanout NAME as programs, and whatever is done to them."""
import fcntl
import mmap
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

import live
from live import (BUILD, H264FMP4, SLOW, TESTCARD, Reader, Server, boxes, captured, ffprobe_frames, finish, head, moofs,
                  ok, read_head, recorded, skip, wait_for)

TEMP = tempfile.mkdtemp()
RINGS = os.path.join(TEMP, "rings")
os.environ["FMP4STREAMER_RINGS"] = RINGS
RINGPUT, RINGCAT = (os.path.join(BUILD, tool) for tool in ("ringput", "ringcat"))
HEAD_AT, KEY_AT, SUPERSEDED_AT, INIT_AT = 40, 48, 72, 4096 + 128 * 64
INDEX_AT = INIT_AT + 8 * 16384
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
children = []


def start(*args, **more):
    p = subprocess.Popen(args, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
                                  "stderr": subprocess.PIPE, **more})
    children.append(p)
    return p


def end(p, sig=signal.SIGTERM):
    """Its exit status and what it said."""
    if p.poll() is None:
        p.send_signal(sig)
    status = p.wait(10 * SLOW)
    return status, p.stderr.read().decode() if p.stderr else ""


def run(*args, **more):
    r = subprocess.run(args, capture_output=True, timeout=20 * SLOW, **more)
    return r.returncode, r.stderr.decode(), r.stdout


def ring_file(name, suffix="ring"):
    return os.path.join(RINGS, f"{name}.{suffix}")


def published(name):
    try:
        with open(ring_file(name), "rb") as f:
            return struct.unpack_from("<Q", f.read(80), HEAD_AT)[0]
    except (OSError, struct.error):
        return 0


class Camera:
    """testcard | ringput NAME h264fmp4, with the pipe between held open as a supervisor does."""
    def __init__(self, name, *args, card=(), mux=()):
        self.name, self.args, self.card_args, self.mux = name, args, card, mux
        self.pipe = os.pipe()
        self.start_card()
        self.start_put()

    def start_card(self):
        self.card = start(TESTCARD, "-g", "15", *self.card_args, stdout=self.pipe[1], stderr=subprocess.DEVNULL)

    def start_put(self):
        self.put = start(RINGPUT, *self.args, self.name, *(self.mux or (H264FMP4,)), stdin=self.pipe[0])

    def muxer(self):
        with open(f"/proc/{self.put.pid}/task/{self.put.pid}/children", encoding="ascii") as f:
            return int((f.read().split() or [0])[0])

    def wait(self, more=5):
        want = published(self.name) + more
        return wait_for(lambda: published(self.name) >= want, 8)

    def stop(self):
        self.card.kill()  # nobody may be reading from it any more
        self.card.wait()
        said = end(self.put)
        os.close(self.pipe[0])
        os.close(self.pipe[1])
        return said


def one_line(said, tool):
    return said.count("\n") == 1 and said.startswith(f"{tool}: ")


def usage():
    for args, what in (((), "no name"), (("-m", "0", "a"), "-m 0"), (("-m", "1x", "a"), "-m 1x"), (("-x", "a"), "-x"),
                       (("a b",), "a space"), (("../a",), "a slash"), (("",), "empty"), (("a" * 33,), "33 characters"),
                       (("é",), "not ASCII")):
        ok(run(RINGPUT, *args, stdin=subprocess.DEVNULL)[0] == 100, f"ringput: {what}: 100")
        args = [a.replace("-m", "-n") for a in args]
        ok(run(RINGCAT, *args)[0] == 100, f"ringcat: {what}: 100")
    ok(run(RINGCAT, "-b", "-1", "a")[0] == 100 and run(RINGCAT, "-b", "86401", "a")[0] == 100, "ringcat -b: its limits")
    for tool in (RINGPUT, RINGCAT):
        ok(run(tool, "-h")[0] == 0 and run(tool, "-h")[2].startswith(b"usage: ") and run(tool, "-V")[0] == 0, "-h, -V")


def programs():
    status, said, _ = run(RINGPUT, "prog", "/nonexistent/prog", stdin=subprocess.DEVNULL)
    ok(status == 100 and one_line(said, "ringput"), f"a program that does not exist: {status} {said.strip()}")
    for n in (100, 111, 1, 0):
        ok(run(RINGPUT, "prog", "sh", "-c", f"exit {n}", stdin=subprocess.DEVNULL)[0] == n, f"its status {n} is passed on")
    status, said, _ = run(RINGPUT, "prog", "sh", "-c", "kill -9 $$", stdin=subprocess.DEVNULL)
    ok(status == 111, "killed: 111")
    status, said, _ = run(RINGPUT, "prog", "cat", input=b"\0\0\0\1garbage garbage")
    ok(status == 1 and one_line(said, "ringput"), f"no MP4: 1, {said.strip()}")
    status, said, _ = run(RINGPUT, "prog", input=recorded(5)[:-3])
    ok(status == 1 and one_line(said, "ringput"), f"cut short: 1, {said.strip()}")


def payloads():
    """What goes in comes out, and nothing else."""
    stream = recorded(90)
    want = [f["payload"] for f in moofs(stream)]
    ok(run(RINGPUT, "-m", "8", "whole", input=stream)[0] == 0, "ringput from a pipe")
    with open(os.path.join(TEMP, "whole.mp4"), "wb") as f:
        cat = start(RINGCAT, "-b", "60", "whole", stdout=f)
        wait_for(lambda: os.path.getsize(f.name) >= len(stream) - 2000, 3)
        time.sleep(0.3)
        ok(end(cat)[0] == 0, "ringcat: SIGTERM: 0")
    with open(f.name, "rb") as f:
        got = moofs(f.read())
    ok([g["payload"] for g in got] == want and len(got) > 80, f"{len(got)} payloads are what the muxer wrote")
    ok(got[0]["tfdt"] == 0 and [g["sequence"] for g in got] == list(range(1, len(got) + 1)), "from 0, numbered from 1")
    ok(ffprobe_frames(f.name) in (None, str(len(got)), str(len(got) + 1)), "ffprobe: no error")
    before = published("whole")
    ok(run(RINGPUT, "-m", "8", "whole", input=stream)[0] == 0 and published("whole") == 2 * before, "another writer goes on")


def reading():
    early = start(RINGCAT, "-n", "2", "read", stdout=subprocess.PIPE)
    time.sleep(0.4)
    ok(early.poll() is None, "ringcat waits for a ring that is not there yet")
    camera = Camera("read")
    readers = [start(RINGCAT, "-n", "2", "read", stdout=subprocess.PIPE) for _ in range(4)]
    for i, p in enumerate([early, *readers]):
        got = moofs(p.communicate(timeout=15 * SLOW)[0])
        ticks = got[-1]["tfdt"] + got[-1]["durations"][0]
        ok(p.returncode == 0 and got[0]["tfdt"] == 0 and 170000 < ticks <= 186000, f"reader {i}: 2 s: {ticks / 90000:.2f}")
    wait_for(lambda: published("read") > 200, 10)
    began = time.time()
    p = start(RINGCAT, "-b", "5", "-n", "6", "read", stdout=subprocess.PIPE)
    got = moofs(p.communicate(timeout=15 * SLOW)[0])
    back = began - captured(got[0]["payload"]) / 1e6
    ticks = got[-1]["tfdt"] + sum(got[-1]["durations"])
    ok(got[0]["flags"][0] == 0x02000000 and got[0]["tfdt"] == 0, "-b: from a keyframe, from 0")
    ok(4.9 < back < 5.8, f"-b 5: {back:.2f} s back")
    ok(5.9 < ticks / 90000 < 6.1, f"-n 6: {ticks / 90000:.2f} s")
    steps = [b["tfdt"] - a["tfdt"] - sum(a["durations"]) for a, b in zip(got, got[1:])]
    ok(not any(steps), "contiguous")
    second = run(RINGPUT, "read", "cat", stdin=subprocess.DEVNULL)
    ok(second[0] == 111 and one_line(second[1], "ringput"), f"a second writer: 111, {second[1].strip()}")
    status, said = camera.stop()
    ok(status == 0 and not said, f"ringput: SIGTERM: {status} {said.strip()}")


def watched(name):
    with open(ring_file(name, "ctl"), "r+b") as f:
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 4096, 4096, 0)
        return struct.unpack("hhqqi4x", fcntl.fcntl(f, 36, lock))[0] != fcntl.F_UNLCK  # F_OFD_GETLK


def serving():
    server = Server("-a", "1000", "one", "two", source=subprocess.DEVNULL)
    with server.connect() as waiting, server.connect() as early:
        waiting.sendall(head("/two/raw.mp4"))
        early.sendall(head("/one/still.mp4"))
        one, two = Camera("one"), Camera("two", card=("-s", "320x240"))
        ok(read_head(waiting)[0] == 200, "a request from before the ring is answered when it comes")
        ok(read_head(early)[0] == 200, "and one for a still")
        ok(wait_for(lambda: watched("two")), "and is its viewer")
    one.wait()
    two.wait()
    sizes = {}
    for path in ("/raw.mp4", "/one/stream.mp4", "/one/raw.mp4", "/two/stream.mp4", "/two/raw.mp4"):
        _, body = live.body_of(server, path, 1)
        stsd = body[body.index(b"avc1") + 28:]
        sizes[path] = struct.unpack_from(">HH", stsd)
        ok(len(moofs(body)) > 10, f"{path}: {sizes[path]}")
    ok(sizes["/raw.mp4"] == sizes["/one/raw.mp4"] == sizes["/one/stream.mp4"] == (640, 480)
       and sizes["/two/raw.mp4"] == sizes["/two/stream.mp4"] == (320, 240), "each camera under its name")
    ok([server.get(f"/{n}/still.mp4")[0] for n in ("one", "two", "three")] == [200, 200, 404], "still.mp4")
    ok([c["name"] for c in server.status()["cameras"]] == ["one", "two"], "the status page has both")
    with server.connect() as a, server.connect() as b:
        a.sendall(head("/one/stream.mp4"))
        b.sendall(head("/one/raw.mp4"))
        read_head(a), read_head(b)
        both = [Reader(a), Reader(b)]
        mid = server.open_files()
        superseding(server, one, both)
    ok(server.open_files() <= mid, "no descriptor is lost")
    with server.connect() as a:
        a.sendall(head("/two/stream.mp4"))
        read_head(a)
        ok(watched("two"), "a viewer is seen in .ctl")
        server.process.kill()
        server.process.wait()
        ok(wait_for(lambda: not watched("two")), "its slot is free once fanout is dead")
    one.stop()
    two.stop()


def superseding(server, camera, both):
    """Another size takes the name while it is read."""
    cat = start(RINGCAT, "one", stdout=subprocess.DEVNULL)
    time.sleep(0.3)
    end(camera.put, signal.SIGKILL)
    camera.args = ("-m", "8")
    camera.start_put()
    for r in both:
        r.join(10)
    ok(not any(r.is_alive() for r in both), "superseded: the viewers of the old one are closed")
    status, said = cat.wait(10), cat.stderr.read().decode()
    ok(status == 111 and one_line(said, "ringcat"), f"ringcat: 111, {said.strip()}")
    camera.wait()
    ok(wait_for(lambda: server.get("/one/still.mp4")[0] == 200), "new requests get the new one")


def killing():
    """Anything upstream is killed, again and again; the connection goes on."""
    camera = Camera("kill")
    server = Server("kill", source=subprocess.DEVNULL)
    camera.wait()
    wait_for(lambda: server.status()["cameras"][0]["fragments"])
    files = server.open_files()
    a, b = server.connect(), server.connect()
    a.sendall(head("/stream.mp4"))
    b.sendall(head("/raw.mp4"))
    read_head(a)
    code, _, rest = read_head(b)
    stream, raw = Reader(a), Reader(b)
    orphans, rng = 0, random.Random(4)
    for i in range(20):
        time.sleep(rng.uniform(0.1, 0.8))
        what = i % 3
        mux = camera.muxer()
        if what == 0:
            camera.put.kill()
        elif what == 1 and mux:
            os.kill(mux, signal.SIGKILL)
        else:
            camera.card.kill()
            camera.card.wait()
            camera.start_card()
        if what < 2:
            camera.put.wait(10)
            orphans += not wait_for(lambda m=mux: not m or not os.path.exists(f"/proc/{m}"))
            camera.start_put()
        camera.wait(2)
    ok(camera.wait(10), "after 20 kills it still goes on")
    ok(stream.is_alive() and raw.is_alive() and server.alive(), "on the same connections")
    ok(orphans == 0, "a killed ringput leaves no muxer behind")
    a.shutdown(2)
    b.shutdown(2)
    for r, name in ((raw, "raw"), (stream, "stream")):
        r.join(10)
        got = moofs(rest + r.data if name == "raw" else skip_to_box(r.data))
        times, numbers = [f["tfdt"] for f in got], [f["sequence"] for f in got]
        ok(len(got) > 100 and times == sorted(times), f"{name}: {len(got)} fragments, tfdt never goes back")
        ok(numbers == sorted(set(numbers)), f"{name}: sequence numbers rise")
        if name == "raw":
            drift = (times[-1] - times[0]) / 90000 - (captured(got[-1]["payload"]) - captured(got[0]["payload"])) / 1e6
            ok(abs(drift) < 0.3, f"raw: {times[-1] / 90000 - times[0] / 90000:.1f} s of media, {drift:+.3f} s against capture")
            gaps = [y - x for x, y in zip(times, times[1:])]
            ok(max(gaps) > 9000, f"raw: outages are gaps: up to {max(gaps) / 90000:.2f} s")
    a.close()
    b.close()
    lost = not wait_for(lambda: server.open_files() <= files)
    names = [os.readlink(f"/proc/{server.process.pid}/fd/{n}") for n in os.listdir(f"/proc/{server.process.pid}/fd")]
    ok(not lost, f"no descriptor is lost: {files}, now {sorted(names)}")
    server.stop()
    camera.stop()


def skip_to_box(data):
    at = data.find(b"ftyp")
    at = data.find(b"moof") - 4 if at < 0 else at - 4
    return data[at:]


def damaged():
    os.makedirs(RINGS, exist_ok=True)
    good = recorded(60)
    run(RINGPUT, "-m", "8", "bad", input=good)
    with open(ring_file("bad"), "rb") as f:
        image = f.read()
    server = Server("bad", source=subprocess.DEVNULL)
    for what, data in (("another magic", b"x" + image[1:]), ("another version", image[:8] + b"\x63" + image[9:]),
                       ("a byte too many", image + b"\0"), ("half of it", image[:len(image) // 2]), ("a page", image[:4096]),
                       ("10 bytes", image[:10]), ("random bytes", os.urandom(100000))):
        os.unlink(ring_file("bad"))
        with open(ring_file("bad"), "wb") as f:
            f.write(data)
        status, said, _ = run(RINGCAT, "-n", "1", "bad")
        ok(status == 111 and one_line(said, "ringcat"), f"{what}: ringcat: {status} {said.strip()[-50:]}")
        status, said, _ = run(RINGPUT, "-m", "8", "bad", input=good)
        ok(status == 0 and not said and published("bad") == 60 - 1 + (len(moofs(good)) - 59), f"{what}: ringput makes a new one")
    ok(server.alive() and wait_for(lambda: server.get("/still.mp4")[0] == 200), "fanout finds the last of them")
    server.stop()
    cut("to nothing", 0)
    cut("to half", len(image) // 2)
    status, said, _ = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", RINGCAT, "bad") \
        if os.geteuid() == 0 and shutil.which("setpriv") else (None, "", "")
    if status is None:
        skip("unreadable", "not root")
    else:
        ok(status in (100, 111) and one_line(said, "ringcat"), f"unreadable: {status} {said.strip()[-60:]}")
    env = {**os.environ, "FMP4STREAMER_RINGS": os.path.join(TEMP, "none/there")}
    status, said, _ = run(RINGPUT, "x", stdin=subprocess.DEVNULL, env=env)
    ok(status == 111 and one_line(said, "ringput"), f"no directory: {said.strip()[-60:]}")
    env["FMP4STREAMER_RINGS"] = "/proc/self"
    status, said, _ = run(RINGPUT, "x", stdin=subprocess.DEVNULL, env=env)
    ok(status == 111 and one_line(said, "ringput"), f"one that takes nothing: {said.strip()[-60:]}")
    full(env)


def full(env):
    small = os.path.join(TEMP, "small")
    os.mkdir(small)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", small], stderr=subprocess.DEVNULL).returncode:
        skip("a full directory", "no mount here")
        return
    env["FMP4STREAMER_RINGS"] = small
    status, said, _ = run(RINGPUT, "x", stdin=subprocess.DEVNULL, env=env)
    ok(status == 111 and one_line(said, "ringput") and "space" in said, f"a full one: {said.strip()[-60:]}")
    ok(run(RINGPUT, "-m", "1", "x", input=recorded(3), env=env)[0] == 0, "a smaller ring fits")
    subprocess.run(["umount", small], check=True)


def cut(what, size):
    camera = Camera("cut")
    server = Server("cut", source=subprocess.DEVNULL)
    camera.wait()
    copy = os.path.join(TEMP, "cut.mp4")
    with open(copy, "wb") as f:
        cat = start(RINGCAT, "cut", stdout=f)
    wait_for(lambda: os.path.getsize(copy), 5)  # it reads the ring
    with server.connect() as s:
        s.sendall(head("/raw.mp4"))
        read_head(s)
        os.truncate(ring_file("cut"), size)
        for p, tool in ((cat, "ringcat"), (camera.put, "ringput"), (server.process, "fanout")):
            if size:  # only those who come to where there is nothing notice
                wait_for(lambda p=p: p.poll() is not None, 2)
                good = p.poll() in (None, 111)
            else:
                good = p.wait(10) == 111
            ok(good, f"cut {what}: {tool}: {p.poll()}")
    said = [line for line in server.said().splitlines() if b"waiting" not in line]
    ok(size or len(said) == 1, f"one line: {said}")
    end(cat)
    server.stop()
    camera.stop()
    os.unlink(ring_file("cut"))


def control():
    """The file that readers write to, and may damage."""
    path = ring_file("ctl", "ctl")
    camera = Camera("ctl", "-m", "8")
    camera.wait()
    with open(path, "rb") as f:
        image = f.read()
    for what, data in (("another magic", b"x" + image[1:]), ("another version", image[:8] + b"\x63" + image[9:]),
                       ("cut short", image[:100]), ("empty", b""), ("random bytes", os.urandom(4096)),
                       ("a directory", None)):
        os.unlink(path)
        if data is None:
            os.mkdir(path)
        else:
            with open(path, "wb") as f:
                f.write(data)
        status, said, _ = run(RINGCAT, "-n", "1", "ctl")
        ok(status in (0, 111) and (status == 0 or one_line(said, "ringcat")), f"{what}: ringcat: {status} {said.strip()[-60:]}")
        if data is None:
            os.rmdir(path)
            with open(path, "wb"):
                pass
    ok(camera.wait(), "the writer goes on, whatever readers did to it")
    with open(path, "wb") as f:
        f.write(image)
    server = Server("ctl", source=subprocess.DEVNULL)
    with server.connect() as s:
        s.sendall(head("/raw.mp4"))
        ok(read_head(s)[0] == 200, "fanout serves")
        os.truncate(path, 0)
        until = time.monotonic() + 1
        try:
            while time.monotonic() < until and s.recv(1 << 20):
                pass
        except OSError:
            pass
    status = server.process.poll()
    ok(status in (None, 111), f"cut to nothing under fanout: {'it goes on' if status is None else status}")
    server.stop()
    camera.stop()
    for what, data in (("empty", b""), ("another magic", b"x" + image[1:])):
        with open(path, "wb") as f:
            f.write(data)
        status, said, _ = run(RINGPUT, "-m", "8", "ctl", input=recorded(5))
        with open(path, "rb") as f:
            ok(status == 0 and f.read()[:12] == image[:12], f"{what}: the next writer mends it: {status} {said.strip()}")


def hostile():
    """The writer of the ring means harm."""
    camera = Camera("evil", "-m", "8")
    camera.wait(40)
    server = Server("evil", source=subprocess.DEVNULL)
    stop = time.monotonic() + 6
    cats = []

    def visit(path):
        while time.monotonic() < stop and server.alive():
            try:
                with server.connect() as s:
                    s.settimeout(0.5)
                    s.sendall(head(path))
                    for _ in range(20):
                        if not s.recv(1 << 20):
                            break
            except OSError:
                pass

    visitors = [threading.Thread(target=visit, args=(p,)) for p in ("/stream.mp4", "/raw.mp4", "/still.mp4", "/status.json")]
    for v in visitors:
        v.start()
    rng = random.Random(7)
    with open(ring_file("evil"), "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        while time.monotonic() < stop:
            kind = rng.randrange(4)
            if kind == 0:  # words of the newest slots, a bit or all of them
                slot = (struct.unpack_from("<Q", m, HEAD_AT)[0] - rng.randrange(1, 40)) % 2048
                at = INDEX_AT + 80 * slot + rng.randrange(80)
                m[at] = m[at] ^ 1 << rng.randrange(8)
            elif kind == 1:  # init segments
                at = 4096 + rng.randrange(INDEX_AT - 4096) if rng.randrange(2) else INIT_AT + 16384 * rng.randrange(8) + rng.randrange(800)
                m[at] = rng.randrange(256)
            elif kind == 2:  # the header behind the sizes
                m[32 + rng.randrange(40)] = rng.randrange(256) if rng.randrange(200) == 0 else m[40]
            else:
                at = INDEX_AT + rng.randrange(80 * 2048 - 400)
                m[at:at + 400] = rng.randbytes(400)
            if len(cats) < 40 and rng.randrange(300) == 0:
                cats.append(start(RINGCAT, "-b", "3", "evil", stdout=subprocess.DEVNULL, stderr=open(os.path.join(TEMP, "cats"), "ab")))
            time.sleep(0.0002)
    for v in visitors:
        v.join()
    ok(server.alive() and b"Sanitizer" not in server.said() and b"runtime error" not in server.said(),
       f"fanout outlives a hostile ring {server.said().decode(errors='replace')[:900]}")
    codes = [end(c)[0] for c in cats]
    with open(os.path.join(TEMP, "cats"), "rb") as f:
        said = f.read()
    ok(len(codes) > 5 and all(c in (0, 111) for c in codes) and b"ERROR" not in said and b"runtime error" not in said,
       f"{len(codes)} ringcats too: {sorted(set(codes))}")
    server.stop()
    camera.stop()


def slow():
    camera = Camera("slow", "-m", "1", card=("-r", "120"))
    camera.wait()
    p = start(RINGCAT, "slow", stdout=subprocess.PIPE)
    time.sleep(6)
    got = os.read(p.stdout.fileno(), 100000)
    out = []
    reader = threading.Thread(target=lambda: out.append(p.stdout.read()))
    reader.start()
    time.sleep(1)
    status, said = end(p)
    reader.join(10)
    frags = moofs(got + out[0])
    ok(status == 0 and "lost" in said, f"a slow reader loses, and says so: {said.strip()[-60:]}")
    ok(len(frags) > 20 and all(whole(f["payload"]) for f in frags), f"all of {len(frags)} fragments are whole")
    ok(sum(8 + len(b) for _, b in boxes(got + out[0])) == len(got + out[0]), "and nothing is between them")
    camera.stop()


def whole(payload):
    """NAL units with their lengths, to the last byte."""
    at = 0
    while at + 4 < len(payload):
        at += 4 + struct.unpack_from(">I", payload, at)[0]
    return at == len(payload)


for job in os.environ.get("ONLY", "usage programs payloads reading serving killing damaged control hostile slow").split():
    try:
        globals()[job]()
    except Exception:
        import traceback
        ok(False, f"{job}: {traceback.format_exc(limit=4)}".replace("\n", "\n# "))
for child in children:
    if child.poll() is None:
        child.kill()
        child.wait()
failed = finish()
shutil.rmtree(TEMP, ignore_errors=True)
raise SystemExit(failed)
