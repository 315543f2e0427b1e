#!/usr/bin/env python3
"""fmp4clip and fmp4streamer-clip: every frame of a range and no other, over breaks, midnight, lost and spoilt files."""
import datetime
import os
import pty
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

from live import BUILD, H264FMP4, SLOW, TESTCARD, boxes, captured, find, finish, moofs, ok, run_all, skip

FMP4HLS, FMP4CLIP, CLIP = (os.path.join(BUILD, tool) for tool in ("fmp4hls", "fmp4clip", "fmp4streamer-clip"))
FPS, GOP = 30, 15
NTP_UNIX = 2208988800
work = tempfile.mkdtemp()
MIDNIGHT = int(datetime.datetime(2025, 11, 20, tzinfo=datetime.timezone.utc).timestamp())


def made(frames, start, *args):
    """A stream of so many frames, the first of which was captured then (seconds since 1970), as its prft boxes say."""
    card = subprocess.Popen([TESTCARD, "-x", "-g", str(GOP), "-n", str(frames), *args], stdout=subprocess.PIPE)
    stream = bytearray(subprocess.run([H264FMP4], stdin=card.stdout, stdout=subprocess.PIPE, check=True).stdout)
    card.stdout.close()
    card.wait()
    at, first = 0, None
    while (at := stream.find(b"prft", at) + 4) > 3:
        time, = struct.unpack_from(">Q", stream, at + 8)
        first = first or time
        struct.pack_into(">Q", stream, at + 8, ((start + NTP_UNIX) << 32) + time - first)
    return bytes(stream)


class Recording:
    """A directory that fmp4hls has written, and what it was given: [(date in us, sync, payload)]."""
    def __init__(self, name, *runs, segment="2"):
        self.dir = os.path.join(work, name)
        os.makedirs(os.path.dirname(self.dir), exist_ok=True)
        self.frames = []
        for stream, start in runs:
            run = subprocess.run([FMP4HLS, "-d", self.dir, "-t", segment], input=stream, check=False)
            assert run.returncode == 0, run
            for n, f in enumerate(moofs(stream)):
                self.frames.append((start * 1000000 + n * 1000000 // FPS, not f["flags"][0] & 0x10000, f["payload"]))

    def wanted(self, start, end):
        """The payloads that a clip has of that time."""
        first = next((n for n, f in enumerate(self.frames) if f[0] >= start), len(self.frames))
        if first == len(self.frames) or self.frames[first][0] > start:
            if first and start - self.frames[first - 1][0] < 1000000 // FPS:
                first -= 1
        while first < len(self.frames) and not self.frames[first][1]:
            first -= 1
        return [f[2] for f in self.frames[first:] if f[0] < end]


def date(us):
    return datetime.datetime.fromtimestamp(us // 1000 / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def clip(directory, start, end, **options):
    """start, end: microseconds since 1970, or text."""
    texts = [t if isinstance(t, str) else date(t) for t in (start, end)]
    run = subprocess.run([FMP4CLIP, "-d", directory, *texts], capture_output=True, check=False, **options)
    return run.returncode, run.stdout, run.stderr.decode()


def sound(film):
    """Whether times begin at 0 and go on without a gap, numbers too, and the index points to keyframes."""
    at, sequence = 0, 0
    for f in moofs(film):
        if f["tfdt"] != at or f["sequence"] != sequence + 1:
            return f"fragment {sequence + 1}: {f['tfdt']} for {at}, number {f['sequence']}"
        at, sequence = at + sum(f["durations"]), sequence + 1
    tfra = find(film, b"mfra", b"tfra")
    entries = [struct.unpack_from(">QQ", tfra, 16 + 19 * n) for n in range(struct.unpack_from(">I", tfra, 12)[0])]
    if not all(film[moof + 4:moof + 8] == b"moof" for _, moof in entries):
        return "an entry of the index points to no moof"
    size = struct.unpack(">I", film[-4:])[0]
    return "" if film[-size + 4:-size] == b"" and film[len(film) - size + 4:len(film) - size + 8] == b"mfra" else "no index"


def ranges():
    """Any range gives the frames from the keyframe in front of it on, to the last before its end."""
    start = MIDNIGHT + 36000
    r = Recording("ranges", (made(900, start), start))
    rng, wrong = random.Random(1), []
    whole = f"{len(r.frames)} frames"
    for n in range(25):
        a = start * 1000000 + rng.randrange(-2000, 31000) * 1000
        b = a + rng.randrange(1, rng.choice((100, 20000))) * 1000
        want = r.wanted(a, b)
        status, film, said = clip(r.dir, a, b)
        got = [f["payload"] for f in moofs(film)]
        if got != want or status != (0 if want else 1) or (want and (sound(film) or said)):
            wrong.append(f"{date(a)} {date(b)}: {len(got)} frames, {len(want)} wanted, {status} {said}")
    ok(not wrong, f"25 ranges of {whole}: {wrong[:3]}")
    status, film, said = clip(r.dir, date(start * 1000000)[:19] + "Z", "2026-01-01T00:00:00Z")
    ok((status, said) == (0, "") and len(moofs(film)) == 900 and not sound(film), "a date without milliseconds; all there is")
    ok(b"".join(b for k, b in boxes(film) if k == b"prft") and
       [struct.unpack_from(">Q", b, 16)[0] for k, b in boxes(film) if k == b"prft"] ==
       [f["tfdt"] for f in moofs(film) if not f["flags"][0] & 0x10000], "capture times stand at the clip's own")
    times = [captured(f["payload"]) for f in moofs(film)]
    ok(all(a < b for a, b in zip(times, times[1:])), "and in each picture")
    film_path = os.path.join(work, "film.mp4")
    with open(film_path, "wb") as f:
        f.write(film)
    judged(film_path, 900)
    run = subprocess.Popen([FMP4CLIP, "-d", r.dir, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"], stdout=subprocess.PIPE)
    run.stdout.read(len(film) - (1 << 18))  # the rest is more than the pipe holds
    with open(f"/proc/{run.pid}/status", encoding="ascii") as f:
        peak = int(re.search(r"VmHWM:\s+(\d+)", f.read())[1])
    run.communicate()
    ok(peak < (6 << 10) * SLOW, f"{peak} KiB of memory for {len(film) >> 10} KiB of film")


def judged(path, frames):
    """ffmpeg and ffprobe: how long, how many, and a place in the middle."""
    if not shutil.which("ffprobe"):
        return skip("ffprobe", "not installed")
    run = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "format=start_time,duration:stream=nb_read_frames",
                          "-of", "default=nw=1:nk=1", path], capture_output=True, text=True, check=False)
    count, begin, length = (run.stdout.split() + ["0"] * 3)[:3]
    ok(int(count) == frames and float(begin) == 0 and abs(float(length) - frames / FPS) < 0.001 and not run.stderr,
       f"ffprobe: {count} frames, {length} s: {run.stderr.strip()}")
    run = subprocess.run(["ffmpeg", "-v", "error", "-ss", "7.5", "-i", path, "-frames:v", "1", "-f", "framemd5", "-"],
                         capture_output=True, text=True, check=False)
    every = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "framemd5", "-"], capture_output=True, text=True, check=False)
    hashes = [line.split()[-1] for line in every.stdout.splitlines() if line[0] != "#"]
    ok(len(hashes) == frames and not every.stderr and run.stdout.split()[-1] == hashes[225],
       f"ffmpeg: all decode; at 7.5 s it finds frame 225: {every.stderr.strip()[:200]}")


def midnight():
    start = MIDNIGHT - 9
    r = Recording("midnight", (made(600, start), start), segment="4")
    lists = sorted(f for f in os.listdir(r.dir) if re.fullmatch(r"\d{4}-\d\d-\d\d\.m3u8", f))
    ok(lists == ["2025-11-19.m3u8", "2025-11-20.m3u8"], f"two days: {lists}")
    for what, a, b in (("over midnight", -5, 5), ("from just behind it on", 0.5, 3), ("up to it", -3, 0), ("at it", 0, 1)):
        want = r.wanted(MIDNIGHT * 1000000 + int(a * 1e6), MIDNIGHT * 1000000 + int(b * 1e6))
        status, film, said = clip(r.dir, MIDNIGHT * 1000000 + int(a * 1e6), MIDNIGHT * 1000000 + int(b * 1e6))
        ok(status == 0 and [f["payload"] for f in moofs(film)] == want and len(want) > 20 and not sound(film),
           f"{what}: {len(want)} frames {said}")


def second_list():
    """A day that has been begun anew in another list, which goes on where the first one ends."""
    start = MIDNIGHT + 20000
    r = Recording("lists", (made(300, start), start))
    day = os.path.join(r.dir, "2025-11-20.m3u8")
    with open(day, encoding="ascii") as f:
        text = f.read()
    head, begin, rest = re.match(r"(.*?)(#EXT-X-MAP:[^\n]*\n)(.*)", text, re.S).groups()
    parts = re.findall(r"#EXT-X-PROGRAM-DATE-TIME.*?\.m4s\n", rest, re.S)
    sequence = int(re.search(r"MEDIA-SEQUENCE:(\d+)", head)[1])
    ok(len(parts) == 5, f"{len(parts)} segments")
    with open(day, "w", encoding="ascii") as f:
        f.write(head + begin + "".join(parts[:2]))
    with open(day.replace(".m3u8", "-2.m3u8"), "w", encoding="ascii") as f:
        f.write(head.replace(f"MEDIA-SEQUENCE:{sequence}", f"MEDIA-SEQUENCE:{sequence + 2}") + begin + "".join(parts[2:]))
    status, film, said = clip(r.dir, (start + 1) * 1000000, (start + 9) * 1000000)
    ok((status, said) == (0, "") and [f["payload"] for f in moofs(film)] == r.wanted((start + 1) * 1000000, (start + 9) * 1000000) and
       not sound(film), "is read on in it")


def breaks():
    """Two runs of a recorder with a pause between; then another size; then the first one again."""
    start = MIDNIGHT + 7200
    first, second, small, again = (start + n * 600 for n in range(4))
    r = Recording("breaks", (made(150, first), first), (made(150, second), second), (made(90, small, "-s", "320x240"), small),
                  (made(60, again), again))
    status, film, said = clip(r.dir, (first + 2) * 1000000, (second + 3) * 1000000)
    ok(status == 0 and not said and [f["payload"] for f in moofs(film)] == r.wanted((first + 2) * 1000000, (second + 3) * 1000000) and
       len(moofs(film)) == 180 and not sound(film), "a pause of ten minutes is closed up")
    status, film, said = clip(r.dir, (first + 100) * 1000000, (second + 2) * 1000000)
    ok(status == 0 and [f["payload"] for f in moofs(film)] == [f[2] for f in r.frames[150:210]],
       "a clip that begins in the pause begins behind it")
    status, film, said = clip(r.dir, second * 1000000, (again + 60) * 1000000)
    ok(status == 1 and len(moofs(film)) == 150 and not sound(film) and said.count("\n") == 1 and date(small * 1000000) in said,
       f"another size: up to there, {said.strip()}")
    status, film, said = clip(r.dir, small * 1000000, (again - 1) * 1000000)
    ok((status, said) == (0, "") and len(moofs(film)) == 90, "which has a clip of its own")
    status, film, said = clip(r.dir, (first + 60) * 1000000, (second - 60) * 1000000)
    ok(status == 1 and not film and said.count("\n") == 1 and date(first * 1000000) in said and
       date((again + 2) * 1000000) in said, f"nothing there: {said.strip()}")


def spoilt():
    """Files that went, or are not what they were."""
    start = MIDNIGHT + 3600
    r = Recording("spoilt", (made(600, start), start))
    numbers = sorted(int(f[4:-4]) for f in os.listdir(r.dir) if f.startswith("seg-"))

    def path(n):
        return os.path.join(r.dir, f"seg-{numbers[n]}.m4s")

    def whole(*without):
        return [f[2] for n, f in enumerate(r.frames) if not any(a <= n < b for a, b in without)]

    def tried():
        status, film, said = clip(r.dir, start * 1000000, (start + 100) * 1000000)
        return status, [f["payload"] for f in moofs(film)], said, sound(film)
    ok(len(numbers) == 10, f"{len(numbers)} segments")
    os.unlink(path(2))
    status, got, said, odd = tried()
    ok(status == 0 and got == whole((120, 180)) and said.count("\n") == 1 and os.path.basename(path(2)) in said and not odd,
       f"one is missing: {said.strip()} {odd}")
    with open(path(5), "r+b") as f:
        f.truncate(os.path.getsize(path(5)) - 5)
    status, got, said, odd = tried()
    ok(status == 0 and got == whole((120, 180), (359, 360)) and said.count("\n") == 2 and "1 more" in said and not odd,
       f"and one is cut short: {said.splitlines()}")
    with open(path(8), "r+b") as f:
        f.write(b"\xff" * 100)
    status, got, said, odd = tried()
    ok(status == 0 and got == whole((120, 180), (359, 360), (480, 540)) and "2 more" in said and not odd,
       f"and one is spoilt: {said.splitlines()}")
    for n in range(10):
        if os.path.exists(path(n)):
            os.unlink(path(n))
    status, got, said, odd = clip(r.dir, start * 1000000, (start + 100) * 1000000) + ("",)
    ok(status == 1 and not got and "9 more left out" in said, f"all are: {said.splitlines()}")
    day = os.path.join(r.dir, "2025-11-20.m3u8")
    with open(day, "r+", encoding="ascii") as f:
        f.seek(400)
        f.write("!")
    status, _, said = clip(r.dir, start * 1000000, (start + 100) * 1000000)
    ok(status == 1 and "2025-11-20.m3u8: byte " in said, f"a playlist: {said.splitlines()[0]}")


def usage():
    good = ["2025-11-20T00:00:00Z", "2025-11-21T00:00:00Z"]
    empty = os.path.join(work, "empty")
    os.mkdir(empty)
    for args, what in ((["-d", empty, good[0]], "no TO"), (good, "no directory"), (["-d", empty, *good, "x"], "one too many"),
                       (["-d", empty, good[1], good[0]], "TO before FROM"), (["-d", empty, good[0], good[0]], "nothing between"),
                       (["-d", empty, "yesterday", good[1]], "no date"), (["-d"], "no value"),
                       (["-d", empty, "2025-02-30T00:00:00Z", good[1]], "no such day")):
        run = subprocess.run([FMP4CLIP, *args], capture_output=True, text=True, check=False)
        ok(run.returncode == 100 and run.stderr.count("\n") == 1 and run.stderr.startswith("fmp4clip: "), f"{what}: {run.stderr.strip()}")
    for directory, what in ((empty, "an empty directory"), (os.path.join(work, "none"), "none"), (FMP4CLIP, "a file")):
        status, film, said = clip(directory, *good)
        ok(status == 1 and not film and said.count("\n") == 1, f"{what}: {said.strip()}")
    start = MIDNIGHT + 1800
    r = Recording("output", (made(90, start), start))
    with open("/dev/full", "wb") as full:
        run = subprocess.run([FMP4CLIP, "-d", r.dir, *good], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    ok(run.returncode == 111 and "No space" in run.stderr, f"a full disk: {run.stderr.strip()}")
    gone, out = os.pipe()
    os.close(gone)
    run = subprocess.run([FMP4CLIP, "-d", r.dir, *good], stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    os.close(out)
    ok((run.returncode, run.stderr) == (0, ""), "whoever read it has gone: 0")
    master, slave = pty.openpty()
    run = subprocess.run([FMP4CLIP, "-d", r.dir, *good], stdout=slave, stderr=subprocess.PIPE, text=True, check=False)
    os.close(slave)
    os.close(master)
    ok(run.returncode == 100 and "terminal" in run.stderr, f"a terminal: {run.stderr.strip()}")


def wrapper():
    """fmp4streamer-clip: times as date(1) takes them, and where it looks."""
    start = MIDNIGHT + 5400
    r = Recording("state/recordings/cam0", (made(150, start), start))
    run_dir = os.path.join(work, "run")
    os.makedirs(os.path.join(run_dir, "www/recordings"))
    os.symlink(r.dir, os.path.join(run_dir, "www/recordings/cam0"))
    want = clip(r.dir, (start + 1) * 1000000, (start + 3) * 1000000)
    nowhere = {"PATH": os.environ["PATH"], "HOME": work, "TZ": "JST-9"}
    local = ["2025-11-20 10:30:01", "2025-11-20 10:30:03"]
    by_run, by_state = {**nowhere, "FMP4STREAMER_RUN": run_dir}, {**nowhere, "FMP4STREAMER_STATE": os.path.join(work, "state")}

    def said(*args, env):
        run = subprocess.run([CLIP, *args], capture_output=True, env=env, check=False)
        return run.returncode, run.stdout, run.stderr.decode()
    ok(want[0] == 0 and said("cam0", *local, env=by_run) == want, "local time; where the appliance that runs records")
    ok(said("cam0", *local, env=by_state) == want, "where one would by default")
    ok(said("-d", os.path.join(work, "state/recordings"), "cam0", *local, env=nowhere) == want, "-d")
    ok(said("cam0", "2025-11-20 02:30:01 +0100", "20 Nov 2025 01:30:03 UTC", env=by_run) == want, "other ways to say a time")
    for args, status, what in ((["cam1", *local], 1, "another camera"), (["cam0", "soon", local[1]], 100, "no time"),
                               (["cam0", *local, "x"], 100, "one too many"), (["cam0", local[0]], 100, "one too few"),
                               (["../cam0", *local], 100, "no name"), (["-d"], 100, "no value"), (["-x"], 100, "no option"),
                               (["cam0", local[1], local[0]], 100, "the wrong way round")):
        code, film, error = said(*args, env=by_run)
        ok(code == status and not film and error.count("\n") == 1, f"{what}: {code} {error.strip()}")


run_all(ranges, midnight, second_list, breaks, spoilt, usage, wrapper)
shutil.rmtree(work)
sys.exit(finish())
