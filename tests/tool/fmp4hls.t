#!/usr/bin/env python3
"""fmp4hls as a program: what ffmpeg and a checker of RFC 8216 make of its directories, and what becomes of them when
it is killed, its files are torn, its disk is full, its clock is wrong. hlsweek.c has it record for a week in seconds.

SEED: of hlsweek's first run (default 1)."""
import contextlib
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import live
import rfc8216
from live import BUILD, H264FMP4, SLOW, TESTCARD, ok, skip, wait_for

HLS, WEEK = os.path.join(BUILD, "fmp4hls"), os.path.join(BUILD, "tool/hlsweek")
SEED = int(os.environ.get("SEED", "1"))
FFMPEG = shutil.which("ffmpeg") and shutil.which("ffprobe")
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # thousands of fsyncs
WORK = tempfile.TemporaryDirectory(dir=FAST)
SECOND = 1000000
END = "#EXT-X-ENDLIST\n"


def note(what):
    with live.lock:
        print(f"# {what}", flush=True)


def path(*names):
    return os.path.join(WORK.name, *names)


def film(name, *args):
    """Fragmented MP4 of the test card as it goes through a pipe, in a file."""
    with open(path(name), "wb") as out:
        card = subprocess.Popen([TESTCARD, "-x", *args], stdout=subprocess.PIPE)
        mux = subprocess.Popen([H264FMP4, "-g", "au"], stdin=card.stdout, stdout=out)
        card.stdout.close()
        assert mux.wait(60) == 0 and card.wait(60) == 0
    return path(name)


def record(where, source, *args, env=None):
    """fmp4hls over a file or bytes, to its end: status and standard error."""
    stdin = source if isinstance(source, bytes) else open(source, "rb").read()
    r = subprocess.run([HLS, "-d", where, *args], input=stdin, stderr=subprocess.PIPE, timeout=60 * SLOW, env=env)
    return r.returncode, r.stderr.decode()


def read(*names):
    with open(os.path.join(*names), "rb") as f:
        return f.read()


def text(*names):
    return read(*names).decode()


def put(data, *names):
    with open(os.path.join(*names), "wb") as f:
        f.write(data)


def days(where):
    """The playlists of days, in the order of what they list."""
    names = [n for n in os.listdir(where) if re.fullmatch(r"(\d{4}-\d\d-\d\d|undated)(-\d+)?\.m3u8", n)]
    return sorted(names, key=lambda n: int(re.search(r"MEDIA-SEQUENCE:(\d+)", text(where, n))[1]))


def segments(*names):
    return [int(n) for n in re.findall(r"^seg-(\d+)\.m4s$", text(*names), re.M)]


def recorded(where):
    return [n for day in days(where) for n in segments(where, day)]


def on_disk(where):
    return sorted(int(n) for n in re.findall(r"seg-(\d+)\.m4s$", "\n".join(os.listdir(where)), re.M))


# MP4

def boxes(data):
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            return
        yield kind, data[at + 8:at + size]
        at += size


def inside(data, *kinds):
    for kind in kinds:
        data = next(body for k, body in boxes(data) if k == kind)
    return data


def fragments(data):
    """[(dts, duration, is a keyframe, UTC in us or None)] of the test card's fragments, one picture each."""
    found, utc, one = [], None, None
    for kind, body in boxes(data):
        if kind == b"prft":
            seconds, fraction = struct.unpack_from(">II", body, 8)
            utc = (seconds - 2208988800) * SECOND + ((fraction * SECOND + (1 << 31)) >> 32)
        if kind == b"moof":
            trun = inside(body, b"traf", b"trun")
            flags = struct.unpack_from(">I", trun)[0] & 0xFFFFFF
            at = 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
            duration, _, sample = struct.unpack_from(">III", trun, at)
            one = struct.unpack_from(">Q", inside(body, b"traf", b"tfdt"), 4)[0], duration, not sample & 0x10000, utc
            utc = None
        if kind == b"mdat":
            found.append(one)
    return found


def facts(where, numbers):
    """What rfc8216.py wants to know of segments."""
    last = None
    for n in numbers:
        data = read(where, f"seg-{n}.m4s")
        f = fragments(data)
        joins = f[0][0] - last[1] if last and last[0] == data[12:16] else -1
        yield {"segment": n, "scale": 90000, "start": f[0][0], "end": f[-1][0] + f[-1][1],
               "epoch": struct.unpack(">I", data[12:16])[0], "bytes": len(data), "key": int(f[0][2]),
               "hole": max([b[0] - a[0] - a[1] for a, b in zip(f, f[1:])] + [0]) * SECOND // 90000,
               "joins": joins * SECOND // 90000 if joins >= 0 else -1, "utc": f[0][3] or 0}
        last = data[12:16], f[-1][0] + f[-1][1]


def sound(what, where, playlists):
    """No breach in these playlists, each by itself."""
    faults = []
    for name in playlists:
        trace = list(facts(where, segments(where, name))) + [{"media": text(where, name), "at": 0}]
        faults += [f"{name}: {f}" for f in rfc8216.check(trace)]
    ok(not faults, what)
    for fault in faults[:10]:
        note(f"{fault}")


def pictures(where, names):
    """How many there are in the segments of these playlists."""
    return sum(len(fragments(read(where, f"seg-{n}.m4s"))) for name in names for n in segments(where, name))


# What ffmpeg sees

def ended(where, name):
    """The playlist with an end, for who would wait for more."""
    t = text(where, name)
    put((t if END in t else t + END).encode(), where, "check.m3u8")
    return os.path.join(where, "check.m3u8")


def md5s(source):
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-an", "-f", "framemd5", "-"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * SLOW)
    return [line.split(b",")[-1].strip() for line in out.stdout.splitlines() if line[:1] != b"#"], out.stderr.decode()


def plays(where, init, n):
    """A segment by itself: ffmpeg's reader of HLS takes no change of size."""
    data = read(where, f"seg-{n}.m4s")
    name = path(f"sample-{n}.mp4")
    put(read(where, init) + data, name)
    got = md5s(name)
    os.remove(name)
    return len(got[0]) == len(fragments(data)) and not got[1]


# The tests

def usage():
    for args, name in ((["-t", "0.4"], "-t"), (["-t", "61"], "-t"), (["-t", "2s"], "-t"), (["-t", "1.2345"], "-t"),
                       (["-k", "0"], "-k"), (["-k", "1001"], "-k"), (["-k", "-5"], "-k"), (["-k", "5x"], "-k"),
                       (["-k", "10GB"], "-k"), (["-k"], "-k"), (["-x"], "-x"), (["more"], "more")):
        status, error = record(path("usage"), b"", *args)
        ok(status == 100 and error.startswith(f"fmp4hls: {name}: ") and error.count("\n") == 1, f"{args}: usage")
    ok(not os.path.exists(path("usage")), "and nothing is made")
    for where, status in (("/dev/null", 100), (path("a/b"), 111), (path("\n" * 300), 100)):
        r, error = record(where, b"")
        ok(r == status and error.startswith("fmp4hls: "), f"no directory: status {status}")
    status, error = record(path("empty"), b"")
    ok(status == 0 and not error and os.listdir(path("empty")) == ["index.html"], "an empty stream: only the page")


def recording():
    where, source = path("recording"), path("film.mp4")
    status, error = record(where, source, "-t", "2")
    ok(status == 0 and not error, "a recording of ten seconds")
    name = days(where)[0]
    ok(len(days(where)) == 1 and len(segments(where, name)) == 5, "five segments in one day's playlist")
    ok("TYPE:EVENT" in text(where, name) and END not in text(where, name), "of type EVENT, with no end yet")
    ok("INDEPENDENT" not in text(where, name), "which promises nothing for ever")
    sound("RFC 8216: the day's playlist, live.m3u8", where, [name, "live.m3u8"])
    number = segments(where, name)[0]
    ok(abs(number - time.time()) < 60, "numbers begin with the time")
    trace = list(facts(where, segments(where, name)))
    faults = rfc8216.check(trace + [{"media": text(where, "live.m3u8"), "at": 0},
                                    {"master": text(where, "stream.m3u8")}])
    ok(not faults, f"and the master playlist {faults}")
    ok('CODECS="avc1.42' in text(where, "stream.m3u8") and "RESOLUTION=640x480" in text(where, "stream.m3u8") and
       "FRAME-RATE=30.000" in text(where, "stream.m3u8"), "with the real codec, size and rate")
    page = text(where, "index.html")
    ok(f'src="{name}"' in page and "<script" not in page and 'preload="none"' in page, "a page of the day")
    if not FFMPEG:
        return skip("what ffmpeg sees", "no ffmpeg")
    want, got = md5s(source), md5s(ended(where, name))
    ok(len(want[0]) == 300 and want[0] == got[0] and not got[1], "ffmpeg decodes the same 300 pictures")
    got = md5s(ended(where, "live.m3u8"))
    n = pictures(where, ["live.m3u8"])
    ok(n >= 200 and got[0] == want[0][-n:], "and from live.m3u8 the last of them")


def epochs():
    where = path("epochs")
    small, large = film("small.mp4", "-s", "320x240", "-n", "60"), film("large.mp4", "-n", "60")
    status, _ = record(where, read(small) + read(large) + read(small), "-t", "1")
    name = days(where)[0]
    inits = sorted(set(re.findall(r'URI="(init-\d+\.mp4)"', text(where, name))))
    ok(status == 0 and len(inits) == 3, "a change of size: another init segment each time")
    sound("RFC 8216: with discontinuities", where, days(where) + ["live.m3u8"])
    ok(text(where, "stream.m3u8").count("avc1.") >= 1 and "320x240" in text(where, "stream.m3u8"), "the newest size")
    number = inits[-1]
    record(where, small, "-t", "1")
    ok(max(n for n in os.listdir(where) if n.startswith("init-")) == number, "the same init segment is no new one")
    record(where, large, "-t", "1")
    ok(max(n for n in os.listdir(where) if n.startswith("init-")) > number, "another one is")
    if not FFMPEG:
        return skip("what ffmpeg sees", "no ffmpeg")
    bad, init = [], None
    for uri, n in re.findall(r'URI="(.*?)"|^seg-(\d+)', text(where, days(where)[0]), re.M):
        init = uri or init
        if n and not plays(where, init, n):
            bad.append(n)
    ok(not bad, "ffmpeg decodes each")


class Recorder:
    """fmp4hls on a pipe that stays open."""
    def __init__(self, where, *args, env=None):
        self.process = subprocess.Popen([HLS, "-d", where, *args], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=env)

    def feed(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self, sig=None):
        if sig:
            self.process.send_signal(sig)
        else:
            self.process.stdin.close()
        status = self.process.wait(60 * SLOW)
        if sig:
            self.process.stdin.close()
        return status, self.process.stderr.read().decode()


def killed():
    """kill -9 in the middle of a segment, at any byte: no whole fragment is lost."""
    stream = read(film("kill.mp4", "-s", "320x240", "-n", "240", "-g", "10"))
    dice, bad, told = random.Random(SEED), [], []
    cuts = [dice.randrange(len(stream)) for _ in range(12)] + [2000]
    for i, cut in enumerate(cuts):
        where = path(f"killed{i}")
        r = Recorder(where, "-t", "1")
        r.feed(stream[:cut])
        n = len(fragments(stream[:cut]))
        def seen():
            open_ones = [f for f in os.listdir(where) if f.endswith(".m4s.tmp")] if os.path.isdir(where) else []
            return sum(len(fragments(read(where, f))) for f in open_ones) + \
                sum(len(fragments(read(where, f"seg-{s}.m4s"))) for s in on_disk(where)) >= n
        def quiet():
            try:
                return seen()
            except OSError:
                return False
        wait_for(quiet, 10)
        r.end(signal.SIGKILL)
        status, error = record(where, b"", "-t", "1")
        told.append(error)
        if status or (n and pictures(where, days(where)) != n) or any("tmp" in f for f in os.listdir(where)):
            bad.append((cut, n, status, pictures(where, days(where)), os.listdir(where)))
    ok(not bad, f"killed at any byte: every whole fragment is recorded {bad[:2]}")
    ok(not any(told), "and nothing needs saying")
    where = path("killed0")
    record(where, stream, "-t", "1")
    sound("RFC 8216: what goes on comes behind a discontinuity", where, days(where) + ["live.m3u8"])
    numbers = recorded(where)
    ok(numbers == list(range(numbers[0], numbers[0] + len(numbers))) == on_disk(where), "no number twice, none left out")


def torn():
    """Playlists that end anywhere, or hold anything."""
    stream = read(path("film.mp4"))
    clean = path("torn")
    record(clean, stream, "-t", "1")
    name, numbers = days(clean)[0], recorded(clean)
    whole, live_whole = read(clean, name), read(clean, "live.m3u8")
    dice = random.Random(SEED)
    damages = [(name, whole[:n]) for n in sorted(dice.sample(range(len(whole)), 25))]
    damages += [(name, whole + b"#EXTINF:1.0"), (name, whole + bytes(300)), (name, bytes(len(whole))),
                (name, whole.replace(b"TARGETDURATION:", b"TARGETDURATI0N:")),
                (name, whole[:600] + b"?" + whole[601:])]
    damages += [("live.m3u8", live_whole[:n]) for n in dice.sample(range(len(live_whole)), 8)]
    damages += [("live.m3u8", bytes(100)), ("live.m3u8", live_whole + b"seg-1.m4s\n"), ("stream.m3u8", b""),
                ("stream.m3u8", b"#EXTM3U\n"), ("live.m3u8", live_whole.replace(b"EXTINF", b"extinf"))]
    bad, faults = [], []
    for which, damaged in damages:
        where = path("torn-copy")
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(clean, where)
        put(damaged, where, which)
        status, error = record(where, b"", "-t", "1")
        lists = days(where)
        if status or recorded(where) != numbers or on_disk(where) != numbers or error.count("\n") > 3:
            bad.append((which, len(damaged), status, error, len(recorded(where))))
        for n in lists + ["live.m3u8"]:
            trace = list(facts(where, segments(where, n))) + [{"media": text(where, n), "at": 0}]
            faults += rfc8216.check(trace)
    ok(not bad, f"{len(damages)} damaged playlists: every segment is listed again, once {bad[:3]}")
    ok(not faults, f"and soundly {faults[:3]}")
    where = path("torn-copy")
    put(whole[:600] + b"?" + whole[601:], where, name)
    _, error = record(where, b"", "-t", "1")
    ok(f"fmp4hls: {name}: damaged" in error and read(where, name + ".damaged")[600:601] == b"?",
       "what is more than torn is said, and copied aside")


def foreign():
    """Other people's files, under any name."""
    where = path("foreign")
    os.mkdir(where)
    others = {n: n.encode() * 50 for n in (
        "seg-5.m4s", "seg-99999999.m4s", f"seg-{int(time.time()) + 3}.m4s", "init-1.mp4", "init-4294967290.mp4",
        "notes.txt", "2026-02-30.m3u8", "list.m3u8", "seg-1.ts", "live.m3u8~", "x.tmp", ".hidden", "index.html")}
    for n, data in others.items():
        put(data, where, n)
    os.symlink("/etc/passwd", os.path.join(where, "seg-77.m4s"))
    for _ in range(2):
        status, error = record(where, path("film.mp4"), "-t", "1", "-k", "3M")
    changed = [n for n, data in others.items() if read(where, n) != data]
    ok(status == 0 and not changed, f"foreign files stay as they are {changed}")
    ok("index.html: not by fmp4hls" in error and error.count("\n") == 1, f"a page that is somebody else's, with a line {error!r}")
    theirs = b"#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXTINF:6.0,\nfile0.ts\n#EXT-X-ENDLIST\n"
    for name in ("2026-11-20.m3u8", "live.m3u8", "stream.m3u8", "undated.m3u8"):
        where = path("theirs-" + name)
        os.mkdir(where)
        put(theirs, where, name)
        status, error = record(where, path("film.mp4"))
        ok(status == 100 and error.startswith(f"fmp4hls: {name}: ") and os.listdir(where) == [name] and
           read(where, name) == theirs, f"{name} by somebody else: it does not start")
    status, error = record(path("foreign"), b"", "-k", "6")
    ok(status == 100 and "holds a recording" in error, "a live directory where a recording is: no")
    r = Recorder(path("foreign"))
    r.feed(read(path("film.mp4"))[:100000])
    wait_for(lambda: any(n.endswith(".m4s.tmp") for n in os.listdir(path("foreign"))), 5)
    status, error = record(path("foreign"), b"")
    ok(status == 111 and "another fmp4hls" in error and error.count("\n") == 1, "a second writer: try again later")
    ok(r.end(signal.SIGTERM)[0] == 0, "the first one knows nothing of it")


def input_faults():
    stream = read(path("film.mp4"))
    where = path("faults")
    status, error = record(where, stream[:len(stream) // 2] + b"\0\1\2\3garbage and so on", "-t", "1")
    ok(status == 1 and re.fullmatch(r"fmp4hls: standard input: byte \d+: .*\n", error), "bad input: status 1, a line")
    ok(pictures(where, days(where)) == len(fragments(stream[:len(stream) // 2])), "what came before is listed")
    status, error = record(path("faults2"), b"no video at all, but text")
    ok(status == 1 and error.count("\n") == 1, "no MP4")
    at = stream.index(b"moof") - 4 - 32
    status, error = record(path("faults2"), stream[at:])
    ok(status == 1 and "no init segment" in error, "no init segment")


def silence():
    where = path("silence")
    stream = read(path("film.mp4"))
    r = Recorder(where, "-t", "6", "-k", "6")
    r.feed(stream[:len(stream) // 2])
    n = len(fragments(stream[:len(stream) // 2]))
    begun = time.monotonic()
    ok(wait_for(lambda: os.path.exists(os.path.join(where, "live.m3u8")), 10), "the source is silent: it is listed")
    ok(1.5 < time.monotonic() - begun < 4 * SLOW, "after two seconds")
    ok(pictures(where, ["live.m3u8"]) == n, "to the last picture")
    status, error = r.end(signal.SIGTERM)
    ok(status == 0 and not error and END not in text(where, "live.m3u8"), "SIGTERM: status 0, and no end")
    ok(sorted(n.split("-")[0] for n in os.listdir(where)) == ["init", "live.m3u8", "seg", "stream.m3u8"],
       "a live directory has no days and no page")


def live_directory():
    """Real time: versions, their pace, what is fetched no more."""
    where = path("live")
    card = subprocess.Popen([TESTCARD, "-s", "320x240", "-g", "15"], stdout=subprocess.PIPE)
    mux = subprocess.Popen([H264FMP4], stdin=card.stdout, stdout=subprocess.PIPE)
    r = subprocess.Popen([HLS, "-d", where, "-t", "1", "-k", "3"], stdin=mux.stdout, stderr=subprocess.PIPE)
    mux.stdout.close()
    card.stdout.close()
    trace, seen, gone, known, last, came, half = [], {}, set(), set(), b"", 0, SECOND
    end = time.monotonic() + 24
    while time.monotonic() < end:
        now = int(time.monotonic() * SECOND)
        if 0 < came + half - now < SECOND // 10:
            now = came + half  # it was written in time; what we see is late, now and then
        try:
            t = read(where, "live.m3u8")
        except OSError:
            t = last
        if t != last:
            numbers = [int(n) for n in re.findall(rb"seg-(\d+)", t)]
            for n in [n for n in numbers if n not in known]:
                seen[n] = list(facts(where, range(max(n - 1, numbers[0]), n + 1)))[-1]
                trace.append(seen[n])
                known.add(n)
            trace.append({"media": t.decode(), "at": now})
            last, came = t, now
        for n in known - gone:
            if not os.path.exists(os.path.join(where, f"seg-{n}.m4s")):
                trace.append({"gone": n, "at": now})
                gone.add(n)
        time.sleep(0.02)
    master = text(where, "stream.m3u8")
    r.terminate()
    ok(r.wait(5 * SLOW) == 0, "SIGTERM: it ends within a moment")
    for p in (mux, card):
        p.wait(5 * SLOW)
    faults = rfc8216.check(trace + [{"master": master}])
    ok(not faults and len(known) > 15, f"RFC 8216 over {len(known)} segments in {len(trace)} records")
    for fault in faults[:10]:
        note(f"{fault}")
    target = int(re.search(rb"TARGETDURATION:(\d+)", last)[1])
    listed = len(re.findall(rb"m4s", last))
    ok(listed == max(3, 3 * target), f"as many are listed as three times {target} s take: {listed}")
    ok(len(gone) >= 3 and len(on_disk(where)) <= 4 * listed, f"older ones are removed: {len(gone)}")
    numbers = segments(where, "live.m3u8")
    status, _ = record(where, path("film.mp4"), "-t", "1", "-k", "3")
    sound("RFC 8216: started again", where, ["live.m3u8"])
    ok(status == 0 and segments(where, "live.m3u8")[0] >= numbers[0] and
       segments(where, "live.m3u8")[-1] > numbers[-1], "its numbers go on")
    ok(target == int(re.search(r"TARGETDURATION:(\d+)", text(where, "live.m3u8"))[1]), "and its target duration")


def disk_usage(where):
    """In whole blocks, as files come and go."""
    total = 0
    for name in os.listdir(where):
        with contextlib.suppress(FileNotFoundError):
            total += (os.path.getsize(os.path.join(where, name)) + 4095) // 4096 * 4096
    return total


def limits():
    where = path("bytes")
    stream = read(film("long.mp4", "-n", "900", "-g", "15"))
    r = Recorder(where, "-t", "1", "-k", "4M")
    most = 0
    for at in range(0, len(stream), 100000):
        r.feed(stream[at:at + 100000])
        most = max(most, disk_usage(where)) if os.path.isdir(where) else most
    status, error = r.end()
    ok(status == 0 and not error and most <= 4 << 20, f"-k 4M: never more on the disk ({most})")
    ok(disk_usage(where) > 3 << 20, "and not much less")
    sound("RFC 8216: pruned", where, days(where) + ["live.m3u8"])
    ok("PLAYLIST-TYPE" not in text(where, days(where)[0]), "a pruned playlist has no type")
    ok(recorded(where) == on_disk(where), "what is listed is there, and nothing else")
    if FFMPEG:
        want = md5s(path("long.mp4"))[0]
        got = md5s(ended(where, days(where)[0]))[0]
        ok(len(got) == pictures(where, days(where)) and got == want[-len(got):], "and plays")
    status, error = record(path("few"), stream, "-t", "1", "-k", "1M")
    ok(status == 0 and error == "fmp4hls: -k: too few bytes for what live.m3u8 lists\n", "-k 1M is too little: a line")
    status, error = record(path("age"), stream, "-k", "1h")
    quiet = subprocess.run(["adjtimex", "--print"], capture_output=True) if shutil.which("adjtimex") else None
    ok(status == 0 and (not error or "not synchronised" in error) and quiet is None, "-k 1h: a line at most")


SHIM = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
int adjtimex(struct timex *t) { t->status = getenv("SYNC") ? 0 : STA_UNSYNC; return getenv("SYNC") ? 0 : 5; }
int clock_gettime(clockid_t id, struct timespec *t)
{
    long r = syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_REALTIME && getenv("OFFSET"))
        t->tv_sec += atol(getenv("OFFSET"));
    return (int)r;
}
"""


def clocks():
    """By age, with a kernel that says what it is told to."""
    if not shutil.which("cc"):
        return skip("clocks", "no compiler")
    put(SHIM.encode(), path("shim.c"))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path("shim.so"), path("shim.c")], check=True)
    def env(**more):
        return dict(os.environ, LD_PRELOAD=path("shim.so"), **more)
    with open(path("old.mp4"), "wb") as out: # 70 s, taken an hour ago
        card = subprocess.Popen([TESTCARD, "-x", "-s", "320x240", "-n", "2100", "-g", "30"], stdout=subprocess.PIPE,
                                env=env(OFFSET="-3600"))
        subprocess.run([H264FMP4, "-g", "au"], stdin=card.stdout, stdout=out, check=True)
        card.wait()
    def taken(name, *args, **more):
        where = path(name)
        first = record(where, path("old.mp4"), "-t", "1", *args, env=env(**more))
        ok(first[0] == 0 and len(recorded(where)) == 70, f"{name}: what was live a moment ago stays a moment longer")
        return where, *record(where, b"", "-t", "1", *args, env=env(**more))
    where, status, error = taken("sync", "-k", "30m", SYNC="1")
    left = recorded(where)
    ok(status == 0 and not error and 5 <= len(left) < 40 and left == on_disk(where),
       f"an hour old, and half an hour is kept: only what is live stays ({len(left)} s)")
    ok(not os.path.exists(os.path.join(where, f"seg-{left[0] - 1}.m4s")), "and no file of the others")
    where, status, error = taken("unsync", "-k", "30m")
    ok(len(recorded(where)) == 70 and error.count("\n") == 1 and "not synchronised" in error,
       "a clock that is not synchronised: nothing is removed, and a line says so")
    where, status, error = taken("future", "-k", "30m", SYNC="1", OFFSET="-86400")
    ok(len(recorded(where)) == 70 and not error, "dates in the future: nothing is removed")
    where, status, error = taken("hour", "-k", "61m", SYNC="1")
    ok(len(recorded(where)) == 70, "what is young enough stays")
    status, _ = record(where, b"", env=env(OFFSET="86400"))
    name = days(where)[0]
    ok(status == 0 and "TYPE:VOD" in text(where, name) and text(where, name).endswith(END),
       "its day is over: VOD, and ended")
    record(where, path("film.mp4"), "-t", "1", env=env(OFFSET="86400"))
    ok(len(days(where)) == 2 and not set(segments(where, days(where)[1])) & set(segments(where, name)),
       "what comes then is in another playlist")
    sound("RFC 8216: both", where, days(where))
    with open(path("undated.mp4"), "wb") as out:
        card = subprocess.Popen([TESTCARD, "-x", "-s", "320x240", "-n", "90"], stdout=subprocess.PIPE,
                                env=env(OFFSET=str(-int(time.time()) + 86400)))
        subprocess.run([H264FMP4, "-g", "au"], stdin=card.stdout, stdout=out, check=True)
        card.wait()
    where = path("undated")
    record(where, path("undated.mp4"), "-t", "1", env=env(OFFSET=str(-int(time.time()) + 86400)))
    ok(days(where) == ["undated.m3u8"] and segments(where, "undated.m3u8")[0] == 0, "no date: undated, from number 0")
    record(where, path("film.mp4"), "-t", "1")
    ok(len(days(where)) == 2 and days(where)[0] == "undated.m3u8" and END in text(where, "undated.m3u8"),
       "the first date ends that")
    sound("RFC 8216: undated", where, days(where) + ["live.m3u8"])


def full_disk():
    if os.geteuid() != 0:
        return skip("a full disk", "only root can mount one")
    where = path("disk")
    os.mkdir(where)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", where], stderr=subprocess.DEVNULL).returncode:
        return skip("a full disk", "mount is not allowed")
    try:
        stream = read(path("long.mp4"))
        third = stream.index(b"moof", len(stream) // 3 * 2) - 36
        put(bytes(2 << 20), where, "ballast")
        r = Recorder(where, "-t", "1")
        r.feed(stream[:third])
        time.sleep(1)
        os.remove(os.path.join(where, "ballast"))
        begun = time.monotonic()
        r.feed(stream[third:third + 1200000])
        took = time.monotonic() - begun
        time.sleep(2.5)
        r.feed(stream[third + 1200000:third + 1900000])
        time.sleep(0.5)
        middle = recorded(where)
        status, error = r.end()
        lines = error.splitlines()
        ok(lines[:2] == [f"fmp4hls: {where}: No space left on device: not recording until there is",
                         f"fmp4hls: {where}: recording again"], f"a full disk: one line, and one when it is over {lines}")
        ok(took < 2 * SLOW, "the input is read on meanwhile")
        name = days(where)[0]
        sound("RFC 8216: with what could not be written left out", where, days(where) + ["live.m3u8"])
        ok("#EXT-X-DISCONTINUITY\n" in text(where, name), "behind a discontinuity")
        ok(recorded(where) == on_disk(where) and len(middle) > 8, "all that is listed is there")
    finally:
        subprocess.run(["umount", where], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", where], check=True)
    try:
        status, error = record(where, stream, "-t", "1", "-k", "1G")
        ok(status == 0 and not error, f"{error!r} with bytes to keep the oldest goes when the disk is full")
        sound("RFC 8216: and all is sound", where, days(where) + ["live.m3u8"])
        ok(recorded(where) == on_disk(where) and len(recorded(where)) > 5, "nothing else is there")
        want = len(fragments(stream))
        last = fragments(read(where, f"seg-{recorded(where)[-1]}.m4s"))[-1]
        ok(last[0] == fragments(stream)[want - 1][0], "to the last picture")
    finally:
        subprocess.run(["umount", where], check=True)


def memory():
    """10,000 segments, each a line longer the recording: no more memory than a thousand took."""
    where = path("memory")
    stream = read(film("keys.mp4", "-s", "176x160", "-g", "1", "-n", "600"))
    r = Recorder(where, "-t", "0.5", "-k", "1T")
    sizes = []
    def rss():
        return int(re.search(r"VmRSS:\s*(\d+)", text(f"/proc/{r.process.pid}/status"))[1])
    for i in range(255):
        r.feed(stream)
        if i in (25, 254):
            sizes.append(rss())
    status, error = r.end()
    n = len(recorded(where))
    ok(status == 0 and not error and n > 10000, f"{n} segments")
    ok(sizes[1] - sizes[0] < 400, f"memory after a tenth of them and at the end: {sizes} KiB")


def week():
    """See hlsweek.c."""
    stream = film("pictures.mp4", "-s", "176x160", "-g", "1", "-n", "200")
    for args, what in (
            (["24h", "168", "50"], "a week, a day kept"),
            (["30M", "48", "40"], "two days, 30 MiB kept"),
            (["2h", "24", "40", "clocks"], "a day with a clock that is set, two hours kept"),
            (["5h", "48", "40", "clocks"], "two days of that, five hours kept"),
            (["2h", "1", "0", "past"], "an hour that begins long ago"),
            (["6h", "24", "20", "faults"], "a day of calls that fail, six hours kept"),
            (["20M", "24", "20", "faults"], "a day of calls that fail, 20 MiB kept")):
        where = path("week")
        shutil.rmtree(where, ignore_errors=True)
        os.mkdir(where)
        put(b"mine", where, "seg-7.m4s")
        begun = time.monotonic()
        out = subprocess.run([WEEK, where, stream, str(SEED + (args[0] == "5h")), *args], stdout=subprocess.PIPE, timeout=300 * SLOW)
        lines = out.stdout.decode().splitlines()
        done = re.match(r"done: (\d+) kills, (\d+) starts", lines[-1]) if lines else None
        good = out.returncode == 0 and done and int(done[1]) >= int(args[2]) // 2
        if args[-1] == "past":
            good = good and " 0 removed, 0 lost" in lines[-1]
        ok(good and not [n for n in lines[:-1] if n.startswith("bad")], f"{what}: {lines[-1] if lines else out}")
        for line in lines[:-1][:10]:
            note(f"{line}")
        note(f"{time.monotonic() - begun:.1f} s")
        ok(read(where, "seg-7.m4s") == b"mine", "and a foreign file")
        numbers = recorded(where)
        ok(sorted(numbers + [7]) == on_disk(where), "what is listed is there, and nothing else")
        inits = {int(n) for day in days(where) for n in re.findall(r"init-(\d+)", text(where, day))}
        there = {int(n) for n in re.findall(r"init-(\d+)\.mp4", "\n".join(os.listdir(where)))}
        ok(inits <= there and there - inits <= {max(there)}, "init segments likewise")
        sound("RFC 8216", where, days(where) + ["live.m3u8"])
        if FFMPEG:
            dice = random.Random(SEED)
            sample = [n for n in numbers if dice.random() < 8 / len(numbers)]
            bad = [n for n in sample
                   if not plays(where, f"init-{struct.unpack('>I', read(where, f'seg-{n}.m4s')[12:16])[0]}.mp4", n)]
            ok(not bad, f"ffmpeg decodes a sample of {len(sample)}")


def timed(*jobs):
    """How long each took, for who wants it shorter."""
    def one(job):
        def run():
            begun = time.monotonic()
            job()
            note(f"{job.__name__}: {time.monotonic() - begun:.1f} s")
        return run
    live.run_all(*(one(job) for job in jobs))


film("film.mp4", "-n", "300", "-g", "15")
timed(usage, recording, epochs, killed, torn, foreign, input_faults, silence, live_directory)
timed(limits)
timed(clocks, full_disk, memory)
timed(week)
sys.exit(live.finish())
