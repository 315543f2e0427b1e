#!/usr/bin/env python3
"""HLS straight from the ring: what fanout answers, what an independent checker thinks of the playlists while all that
can happen to a source happens to it, and that a camera sleeps and wakes with its HLS viewers."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rfc8216
from live import (BUILD, FANOUT, H264FMP4, TESTCARD, Server, answer, captured, finish, head, moofs, ok, recorded,
                  run_all, wait_for)

RINGPUT, ONDEMAND = os.path.join(BUILD, "ringput"), os.path.join(BUILD, "ondemand")
TEMP = tempfile.mkdtemp()
os.environ["FMP4STREAMER_RINGS"] = os.path.join(TEMP, "rings")
os.mkdir(os.path.join(TEMP, "rings"))
NEVER = {"stdin": subprocess.DEVNULL}
rfc8216.PUNCTUAL = rfc8216.HASTY = 300000  # what is seen from outside is seen late now and then


class Source:
    """A test card in front of ringput; the pipe between them stays, as a supervisor holds it."""
    def __init__(self, name, *args):
        self.name, self.args = name, args
        self.pipe = os.pipe()
        self.said = tempfile.TemporaryFile()
        self.card = self.put = None

    def start_card(self, *card):
        self.card = subprocess.Popen([TESTCARD, "-g", "15", *card], stdout=self.pipe[1], stderr=subprocess.DEVNULL)

    def start_put(self):
        self.put = subprocess.Popen([RINGPUT, *self.args, self.name, H264FMP4], stdin=self.pipe[0], stderr=self.said)

    def stop(self):
        for process in (self.card, self.put):
            if process:
                process.kill()
                process.wait()
        for fd in self.pipe:
            os.close(fd)


def playlist(server, path="/live.m3u8"):
    status, headers, body = server.get(path)
    return body.decode() if status == 200 else ""


def segments(text):
    return [int(n) for n in re.findall(r"^seg-(\d+)\.m4s$", text, re.M)]


def several(s, *requests):
    """On one connection, one after the other."""
    got = []
    for request in requests:
        s.sendall(request)
        got.append(answer(s, request.startswith(b"HEAD")))
    return got


def probe(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-count_frames", "-show_entries",
                          "stream=codec_name,profile,width,height,nb_read_frames,avg_frame_rate", path],
                         capture_output=True, check=True)
    return json.loads(out.stdout)["streams"][0], out.stderr


def answers():
    server = Server(camera=("-s", "320x240", "-r", "25", "-g", "25"))
    wait_for(lambda: len(segments(playlist(server))) >= 3, 15)
    text = playlist(server)
    number, = segments(text)[-1:]
    init = re.search(r"init-\d+\.mp4", text)[0]
    with server.connect() as s:
        master, live, top, seg = several(s, *(head(p) for p in ("/stream.m3u8", "/live.m3u8?_=1", f"/{init}",
                                                               f"/seg-{number}.m4s")))
        ok([x[0] for x in (master, live, top, seg)] == [200] * 4, "playlists and media, all on one connection")
        least = 1
        for _ in range(3):  # a busy machine may be slow once
            began = time.monotonic()
            again = several(s, head(f"/seg-{number}.m4s", method="HEAD"), head("/live.m3u8", method="HEAD"),
                            head(f"/{init}", method="HEAD"))
            least = min(least, time.monotonic() - began)
        ok(least < 0.15, "heads are not held back for what does not come")
        ok([x[0] for x in again] == [200] * 3 and again[0][1] == seg[1], "HEAD: the same heads, nothing behind")
        whole = seg[2]
        parts = several(s, *(head(f"/seg-{number}.m4s", f"Range: bytes={r}") for r in
                             ("0-0", "5-9", "700-", "-10", f"0-{len(whole) - 1}", "0-999999999999", f"{len(whole)}-",
                              "-0", "9-5")))
        want = [whole[:1], whole[5:10], whole[700:], whole[-10:], whole, whole]
        ok([p[2] for p in parts[:6]] == want and all(p[0] == 206 for p in parts[:6]), "ranges of a segment")
        ok(parts[1][1]["content-range"] == f"bytes 5-9/{len(whole)}", "which say what they are")
        ok([p[0] for p in parts[6:8]] == [416, 416] and parts[6][1]["content-range"] == f"bytes */{len(whole)}",
           "beyond its end: 416, with its length")
        ok(parts[8][0] == 200 and parts[8][2] == whole, "a range that is none is nobody's wish")
        part, = several(s, head(f"/{init}", "Range: bytes=4-7"))
        ok(part[0] == 206 and part[2] == b"ftyp", "and of an init segment")
    ok(all(x[1]["content-type"] == "application/vnd.apple.mpegurl" for x in (master, live)) and
       all(x[1]["content-type"] == "video/mp4" for x in (top, seg)), "their types")
    ok(all(x[1]["access-control-allow-origin"] == "*" for x in (master, live, top, seg)), "any page may use them")
    ok(all("immutable" in x[1]["cache-control"] for x in (top, seg)) and live[1]["cache-control"] == "public, max-age=1",
       "caches keep media, and a playlist for a second")
    file = os.path.join(TEMP, "answers.mp4")
    with open(file, "wb") as f:
        f.write(top[2] + whole)
    stream, said = probe(file)
    ok(stream["nb_read_frames"] == "50" and not said, f"2 s at 25 a second: {stream['nb_read_frames']} frames, decoded")
    text = master[2].decode()
    ok(f"RESOLUTION={stream['width']}x{stream['height']}" in text and "FRAME-RATE=25.000" in text, "the master playlist: "
       + text.splitlines()[2])
    rate = int(re.search(r"[:,]BANDWIDTH=(\d+)", text)[1])
    ok(len(whole) * 4 <= rate < len(whole) * 6, f"BANDWIDTH {rate}, where a segment has {len(whole) * 4}")
    wrong = {f"/seg-{number + 1000}.m4s": "yet", "/seg-0.m4s": "any more", f"/seg-{number - 5000}.m4s": "any more",
             "/seg-18446744073709551615.m4s": "no such segment", "/seg-99999999999999999999999.m4s": "no such segment",
             "/seg--1.m4s": "no such segment", "/seg-01.m4s": "no such segment", "/seg-1e3.m4s": "no such segment",
             "/init-0.mp4": "no such init", "/init-4294967297.mp4": "no such init", "/init-x.mp4": "no such init"}
    got = {path: server.get(path) for path in wrong}
    ok(all(got[p][0] == 404 and why in got[p][2].decode() for p, why in wrong.items()), "numbers that are none: 404, and why")
    ok(all(x[1]["cache-control"] == "no-store" for x in got.values()), "which nobody keeps")
    ok(server.get("/live.m3u8", method="POST")[0] == 405, "only GET and HEAD")
    with server.connect() as s:
        s.sendall(head("/live.m3u8") + head(f"/seg-{number}.m4s") + head("/live.m3u8"))
        got = b""
        s.settimeout(3)
        try:
            while got.count(b"#EXTM3U") < 2:
                got += s.recv(1 << 20)
        except OSError:
            pass
        ok(got.count(b"HTTP/1.1 200 OK") == 3 and whole in got, "pipelined requests, answered in order")
    server.stop()


def users():
    file = os.path.join(TEMP, "users")
    line = subprocess.run([os.path.join(BUILD, "checkpassword"), "-m", "joe"], input=b"secret\n", capture_output=True,
                          check=True)
    with open(file, "wb") as f:
        f.write(line.stdout)
    server = Server("-u", file, source=["sh", "-c", f"{TESTCARD} -g 15 | {H264FMP4}"])
    joe = "Authorization: Basic am9lOnNlY3JldA=="
    with server.connect() as s:
        status, headers, body = several(s, head("/live.m3u8", joe))[0]
        number = segments(body.decode())[0]
        ok(status == 200 and headers["cache-control"].startswith("private"), "users: a playlist is for who asked")
        status, headers, body = several(s, head(f"/seg-{number}.m4s", joe))[0]
        ok(status == 200 and headers["cache-control"].startswith("private"), "and so is a segment")
    ok([server.get(p)[0] for p in ("/stream.m3u8", "/live.m3u8", f"/seg-{number}.m4s", "/init-1.mp4")] == [401] * 4,
       "nothing without a password")
    server.stop()


class Watcher:
    """An HLS client that fetches every version of the playlist and every segment, and keeps a trace of it."""
    def __init__(self, server, name):
        self.server, self.base = server, f"/{name}/"
        self.trace, self.media, self.inits, self.text, self.last = [], {}, {}, "", None
        self.absent, self.seen = 0, 0.0

    def look(self):
        text = playlist(self.server, self.base + "live.m3u8")
        if not text or text == self.text:
            return
        epoch = None
        for line in text.splitlines():
            if m := re.match(r'#EXT-X-MAP:URI="init-(\d+)\.mp4"', line):
                epoch = int(m[1])
                if epoch not in self.inits:
                    self.inits[epoch] = self.server.get(f"{self.base}init-{epoch}.mp4")[2]
            elif line.startswith("seg-"):
                number = segments(line)[0]
                if number not in self.media:
                    self.take(number, epoch)
        self.trace.append({"media": text, "at": int(time.monotonic() * 1e6), "absent": int(self.absent)})
        self.text = text

    def take(self, number, epoch):
        data = self.server.get(f"{self.base}seg-{number}.m4s")[2]
        found = moofs(data)
        times = [(f["tfdt"], f["tfdt"] + sum(f["durations"])) for f in found]
        holes = [max(0, b[0] - a[1]) for a, b in zip(times, times[1:])]
        start, end = times[0][0], times[-1][1]
        joins = 0
        if self.last:
            joins = -1 if epoch != self.last[1] or start < self.last[0] else (start - self.last[0]) * 100 // 9
            if joins != 0:
                self.absent += max(joins, 0)
        self.trace.append({"segment": number, "scale": 90000, "start": start, "end": end, "epoch": epoch,
                           "bytes": len(data), "key": int(found[0]["flags"][0] == 0x02000000),
                           "hole": max(holes, default=0) * 100 // 9, "joins": joins,
                           "utc": captured(found[0]["payload"])})
        self.media[number] = data, epoch
        self.last = end, epoch

    def watch(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.1)


def decoded(watcher, epoch):
    """How many frames others find in all segments of that epoch, and what they say against them."""
    file = os.path.join(TEMP, f"epoch-{epoch}.mp4")
    with open(file, "wb") as f:
        f.write(watcher.inits[epoch] + b"".join(d for d, e in watcher.media.values() if e == epoch))
    stream, said = probe(file)
    return int(stream["nb_read_frames"]), said


def troubles():
    source = Source("cam", "-t", "1")
    source.start_card("-s", "320x240")
    source.start_put()
    server = Server("cam", source=subprocess.DEVNULL)
    watcher = Watcher(server, "cam")
    watcher.watch(7)
    source.card.kill()  # the camera, for two seconds
    source.card.wait()
    watcher.watch(2)
    source.start_card("-s", "320x240")
    watcher.watch(6)
    before = segments(watcher.text)
    source.put.kill()  # the muxer and the ring's writer
    source.put.wait()
    source.start_put()
    watcher.watch(6)
    ok(segments(watcher.text)[-1] > before[-1] + 2, "a new writer of the ring: numbers go on")
    source.card.kill()  # another size
    source.card.wait()
    source.start_card("-s", "640x480")
    watcher.watch(8)
    ok(len(watcher.inits) == 2, f"another size: another init segment, {list(watcher.inits)}")
    ok("640x480" in playlist(server, "/cam/stream.m3u8"), "the master playlist knows")
    last = segments(watcher.text)
    server.stop(signal.SIGKILL)
    server = watcher.server = Server("cam", source=subprocess.DEVNULL)
    watcher.text = wait_for(lambda: playlist(server, "/cam/live.m3u8"))  # this one cannot know when the last came out
    now = segments(watcher.text)
    watcher.watch(5)
    ok(now[0] >= last[0] and set(now) & set(last) and len(now) >= len(last) - 2,
       f"a server killed: the next one lists on: {last} {now}")
    ok(not server.get("/seg-" + str(now[-1]) + ".m4s")[1].get("cache-control", "").count("immutable") and
       "immutable" in server.get(f"/cam/seg-{now[-1]}.m4s")[1]["cache-control"] and
       b"\ncam/live.m3u8\n" in server.get("/stream.m3u8")[2], "what is only the first camera's is not kept for ever")
    faults = rfc8216.check(watcher.trace)
    versions = sum("media" in r for r in watcher.trace)
    ok(not faults and versions >= 15, f"{versions} versions, {len(watcher.media)} segments: RFC 8216 is kept" +
       "".join(f"\n# {f}" for f in faults))
    breaks = "".join(r["media"] for r in watcher.trace if "media" in r).count("#EXT-X-DISCONTINUITY\n")
    ok(breaks > 2, "though there were discontinuities")
    frames = [decoded(watcher, e) for e in watcher.inits]
    parts = [sum(len(moofs(d)) for d, e in watcher.media.values() if e == epoch) for epoch in watcher.inits]
    ok([n for n, said in frames] == parts and not any(said for n, said in frames),
       f"every segment plays with its init segment: {parts} frames of each")
    keys = [r["key"] for r in watcher.trace if "segment" in r]
    ok(all(keys), "each begins with a keyframe")
    source.stop()
    server.stop()


def cold():
    """The first to come, before there is anything."""
    server = Server("late", source=subprocess.DEVNULL)
    waiting = [server.connect() for _ in range(3)]
    for s, path in zip(waiting, ("/late/live.m3u8", "/late/stream.m3u8", "/live.m3u8")):
        s.sendall(head(path))
    time.sleep(1)
    source = Source("late", "-t", "1")
    source.start_card("-s", "176x160")
    source.start_put()
    got = [answer(s) for s in waiting]
    ok([g[0] for g in got] == [200] * 3 and b"seg-" in got[0][2] and b"STREAM-INF" in got[1][2],
       "who comes before the first picture waits for it")
    for s in waiting:
        s.close()
    with server.connect() as s:
        s.sendall(head("/live.m3u8"))
        s.close()
    source.stop()
    server.stop()
    server = Server("never", source=subprocess.DEVNULL)
    began = time.monotonic()
    status, headers, body = server.get("/never/live.m3u8")
    ok(status == 503 and "retry-after" in headers and 14 < time.monotonic() - began < 19, "one that never comes: 503 after 15 s")
    ok(server.get("/never/seg-1.m4s")[0] == 404, "nothing of it is there")
    server.stop()


def asleep():
    """A camera that sleeps while nobody watches."""
    log = os.path.join(TEMP, "woken")
    camera = os.path.join(TEMP, "camera")
    with open(camera, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\necho >>{log}\nexec {TESTCARD} -g 15 -s 176x160\n")
    os.chmod(camera, 0o755)
    pipe = os.pipe()
    early = Server("sleepy", source=subprocess.DEVNULL)
    s = early.connect()
    s.sendall(head("/live.m3u8"))
    time.sleep(0.5)
    put = subprocess.Popen([RINGPUT, "-t", "1", "sleepy", H264FMP4], stdin=pipe[0], stderr=subprocess.DEVNULL)
    demand = subprocess.Popen([ONDEMAND, "-l", "1", "sleepy", camera], stdout=pipe[1], **NEVER)
    ok(answer(s)[0] == 200 and os.path.getsize(log) == 1, "who waited before there was a ring wakes the camera, too")
    s.close()
    early.stop()
    server = Server("sleepy", source=subprocess.DEVNULL)
    time.sleep(4)
    os.unlink(log)
    time.sleep(1)
    ok(not os.path.exists(log), "nobody watches: the camera sleeps")
    text = playlist(server, "/sleepy/live.m3u8")
    first = segments(text)
    ok(first and os.path.getsize(log) == 1, "a playlist is asked for: it wakes, and there is one")
    for _ in range(8):
        time.sleep(0.5)
        playlist(server, "/sleepy/live.m3u8")
    ok(len(segments(playlist(server, "/sleepy/live.m3u8"))) >= 3, "it stays awake between two requests")

    def published():
        return server.status()["cameras"][0]["fragments"]

    def stands():
        before = published()
        time.sleep(1)
        return published() == before
    ok(wait_for(stands, 30), "nobody asks any more: it falls asleep")
    time.sleep(2)
    text = playlist(server, "/sleepy/live.m3u8")
    ok(segments(text) and segments(text)[0] > first[-1] and len(segments(text)) <= 2 and os.path.getsize(log) == 2,
       f"who comes then is shown nothing of the past: {segments(text)} after {first}")
    server.stop(signal.SIGKILL)
    server = Server("sleepy", source=subprocess.DEVNULL)
    again = wait_for(lambda: segments(playlist(server, "/sleepy/live.m3u8")), 20)
    ok(again and again[0] >= segments(text)[0], "nor by another server: " + str(again))
    for process in (demand, put):
        process.terminate()
        process.wait()
    server.stop()


def small():
    source = Source("small", "-m", "1")
    source.start_card("-s", "640x480")
    source.start_put()
    server = Server("small", source=subprocess.DEVNULL)
    wait_for(lambda: segments(playlist(server, "/small/live.m3u8")), 10)
    gone = segments(playlist(server, "/small/live.m3u8"))[0]
    ok(wait_for(lambda: server.get(f"/small/seg-{gone}.m4s")[0] == 404, 15), "what the ring has lost is not served")
    ok(wait_for(lambda: gone not in segments(playlist(server, "/small/live.m3u8")), 8), "nor listed for long")
    source.said.seek(0)
    said = source.said.read().decode()
    ok(said.count("\n") == 1 and re.search(r"^ringput: small: a ring of 1 MiB is too small for HLS .* -m (\d+) would do$",
                                           said.strip()), f"its writer says so, once, and what would do: {said.strip()}")
    enough = int(re.search(r"-m (\d+)", said)[1])
    ok(8 <= enough <= 40, f"{enough} MiB")
    source.stop()
    server.stop()


def crowded():
    """Many segments asked for at once, over one connection, by one who is slow to read."""
    server = Server(camera=("-g", "15", "-s", "1280x720"))
    wait_for(lambda: len(segments(playlist(server))) >= 2, 15)
    number = segments(playlist(server))[0]
    with server.connect(window=8192) as s:
        s.sendall(head(f"/seg-{number}.m4s") * 6 + head("/live.m3u8", "Connection: close"))
        time.sleep(1)
        said = b""
        while got := s.recv(1 << 20):
            said += got
    ok(said.count(b"HTTP/1.1 200 OK") == 7 and said.rstrip().endswith(b".m4s"), "all are answered")
    server.stop()


def held():
    """Chromium's own HLS gives up when it reloads its playlist and finds nothing new in it."""
    server = Server(camera=("-g", "15", "-s", "320x240"))
    wait_for(lambda: len(segments(playlist(server))) >= 2, 15)
    chrome = "User-Agent: Mozilla/5.0 Chrome/156.0", "Range: bytes=0-"
    with server.connect() as s:
        master, other, script = several(s, head("/stream.m3u8", *chrome), head("/stream.m3u8", *chrome),
                                        head("/stream.m3u8", chrome[0]))
        names = [m[2].decode().splitlines()[-1] for m in (master, other, script)]
        ok(all(re.fullmatch(r"live\.m3u8\?n=[1-9]\d*", n) for n in names[:2]) and names[0] != names[1] and
           names[2] == "live.m3u8", f"each has a playlist of its own, a script has not: {names}")
        ok(master[1]["cache-control"] == "no-store" and script[1]["cache-control"] != "no-store", "which no cache keeps")
        first, = several(s, head("/" + names[0], *chrome))
        began = time.monotonic()
        second, = several(s, head("/" + names[0], *chrome))
        took = time.monotonic() - began
        ok(first[0] == second[0] == 200 and first[1]["cache-control"] == "no-store" and
           segments(second[2].decode())[-1] > segments(first[2].decode())[-1], f"asked again it waits for a new one: {took:.1f} s")
        began = time.monotonic()
        got = several(s, head("/" + names[1], *chrome), head("/live.m3u8"), head("/live.m3u8"), head("/live.m3u8?n=x"),
                      head("/live.m3u8?n=0"), head("/live.m3u8?n=99999999999999999999999"))
        ok(all(g[0] == 200 for g in got) and time.monotonic() - began < 0.5, "nobody else waits")
        more = [m[2].decode().splitlines()[-1] for m in several(s, *(head("/stream.m3u8", *chrome) for _ in range(64)))]
        several(s, *(head("/" + name, *chrome) for name in more))
        began = time.monotonic()
        several(s, head("/" + names[0], *chrome))
        ok(time.monotonic() - began < 0.5, "nor who has been forgotten for 64 others")
    server.stop()


def options():
    for value in ("0.4", "61", "x", "1s", "", "-1", "1.0005"):
        run = subprocess.run([RINGPUT, "-t", value, "a"], capture_output=True, **NEVER)
        ok(run.returncode == 100 and run.stderr.decode().startswith("ringput: -t: "), f"-t {value!r}: 100")
    for seconds in ("0.5", "3"):
        stream = recorded(300, "-s", "176x160", "-g", "15")
        name = "t" + seconds.replace(".", "")
        put = subprocess.Popen([RINGPUT, "-t", seconds, name], stdin=subprocess.PIPE)
        server = Server(name, source=subprocess.DEVNULL)
        put.stdin.write(stream)
        put.stdin.flush()
        text = wait_for(lambda: playlist(server, f"/{name}/live.m3u8"), 5)
        lengths = {float(x) for x in re.findall(r"EXTINF:([\d.]+)", text)}
        ok(lengths == {float(seconds)}, f"-t {seconds}: segments of {lengths} s")
        put.stdin.close()
        put.wait()
        server.stop()


def idle():
    """A playlist is due now and then; nobody is busy until then."""
    server = Server(camera=("-r", "2", "-g", "2", "-s", "176x160"))
    wait_for(lambda: segments(playlist(server)), 10)
    before = server.cpu()
    time.sleep(5)
    spent = server.cpu() - before
    ok(spent < 0.1, f"two pictures a second: {spent * 1000 / 5:.0f} ms of CPU time in a second")
    server.stop()


def many():
    """10,000 segments, in a hurry: nothing grows."""
    stream = recorded(56000, "-s", "176x160", "-r", "5", "-g", "5")
    put = subprocess.Popen([RINGPUT, "-t", "1", "-m", "8", "many"], stdin=subprocess.PIPE)
    server = Server("many", source=subprocess.DEVNULL)

    def rss(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return int(re.search(r"RssAnon:\s+(\d+)", f.read())[1])
    seen, numbers, parts = [], set(), 100
    for i in range(parts):
        put.stdin.write(stream[len(stream) * i // parts:len(stream) * (i + 1) // parts])
        put.stdin.flush()
        time.sleep(0.05)
        text = playlist(server, "/many/live.m3u8")
        numbers.update(segments(text))
        server.get(f"/many/seg-{segments(text)[-1]}.m4s")
        seen.append((rss(put.pid), rss(server.process.pid)))
    put.stdin.close()
    put.wait()
    time.sleep(1.2)
    numbers.update(segments(playlist(server, "/many/live.m3u8")))
    span = max(numbers) - min(numbers)
    ok(span > 10000, f"{span} segments went by")
    early = seen[parts // 5]
    ok(seen[-1][0] <= early[0] + 64 and seen[-1][1] <= early[1] + 64,
       f"memory: {early[0]} and {early[1]} KiB after a fifth of them, {seen[-1][0]} and {seen[-1][1]} after all")
    server.stop()


try:
    if not shutil.which("ffprobe"):
        print("1..0 # SKIP ffprobe is needed")
        sys.exit(0)
    run_all(answers, users, troubles, cold, asleep, small, idle, crowded, held, options)
    many()
finally:
    status = finish()
    shutil.rmtree(TEMP)
sys.exit(status)
