#!/usr/bin/env python3
"""h264fmp4 as a program: what independent readers see in its files and pipes, how soon, and its manners."""
import contextlib
import os
import random
import re
import resource
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
MUX, CARD = os.path.join(BUILD, "h264fmp4"), os.path.join(BUILD, "testcard")
AUD = b"\0\0\0\1\x09\xf0"
UUID = b"MISPmicrosectime"
TICKS = 90000
FFMPEG = shutil.which("ffmpeg") and shutil.which("ffprobe")
MPV = shutil.which("mpv")
WORK = tempfile.TemporaryDirectory()
MOST_MEMORY = 64 << 10  # KiB; the largest access unit is 16 MiB
done = failed = 0


def ok(good, what):
    global done, failed
    done += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {done} - {what}", flush=True)


def skip(what, why):
    global done
    done += 1
    print(f"ok {done} - {what} # SKIP {why}", flush=True)


def card(*args):
    return subprocess.run([CARD, "-x", *args], stdout=subprocess.PIPE, timeout=60, check=True).stdout


def mux(stream, *args, **more):
    return subprocess.run([MUX, *args], input=stream, capture_output=True, timeout=60, **more)


def path(name):
    return os.path.join(WORK.name, name)


def save(name, data):
    with open(path(name), "wb") as f:
        f.write(data)
    return path(name)


def to_file(name, stream, *args, mode="wb", front=b""):
    """A file that h264fmp4 writes itself."""
    with open(path(name), mode) as f:
        f.write(front)
        f.flush()
        run = subprocess.run([MUX, *args], input=stream, stdout=f, stderr=subprocess.PIPE, timeout=60)
    with open(path(name), "rb") as f:
        return run, f.read()


# --- The stream and the boxes, read without our code ---

def nals(stream):
    return [part.rstrip(b"\0") for part in stream.split(b"\0\0\1")[1:] if part.rstrip(b"\0")]


def stamps(stream):
    """The capture times, in microseconds."""
    found = []
    for nal in nals(stream):
        body = nal.replace(b"\0\0\3", b"\0\0")
        if nal[:1] == b"\6" and body[1:19] == b"\5\x1c" + UUID:
            found.append(int.from_bytes(body[20:22] + body[23:25] + body[26:28] + body[29:31], "big"))
    return found


def boxes(data, at=0, end=None):
    """(type, first byte, content, end) of each whole box; a torn one ends it."""
    end = len(data) if end is None else end
    while at + 8 <= end:
        size = int.from_bytes(data[at:at + 4], "big")
        if size < 8 or at + size > end:
            return
        yield data[at + 4:at + 8].decode("latin-1"), at, at + 8, at + size
        at += size


def inside(data, *names):
    """Where the content of a nested box begins and ends."""
    at, end = 0, len(data)
    for name in names:
        _, _, at, end = next(box for box in boxes(data, at, end) if box[0] == name)
    return at, end


def fragments(data):
    """Each whole moof and mdat: (first byte, end, tfdt, [(duration, size, flags)], payload's first byte, UTC, its time)."""
    found, moof, utc = [], None, None
    for kind, start, at, end in boxes(data):
        if kind == "prft":
            seconds, part = struct.unpack(">II", data[at + 8:at + 16])
            utc = (seconds - 2208988800) * 10 ** 6 + round(part * 10 ** 6 / 2 ** 32), int.from_bytes(data[at + 16:at + 24], "big")
            assert data[at:at + 4] == b"\1\0\0\x18"
        elif kind == "moof":
            moof = start
        elif kind == "mdat":
            traf = inside(data[moof:start], "moof", "traf")
            inner = {name: (moof + a, moof + e) for name, _, a, e in boxes(data[moof:start], *traf)}
            tfdt = int.from_bytes(data[inner["tfdt"][0] + 4:inner["tfdt"][1]], "big")
            a, e = inner["trun"]
            flags, count, offset = struct.unpack(">III", data[a:a + 12])
            assert flags == 0x701 and moof + offset == at and e - a == 12 + 12 * count
            samples = [struct.unpack(">III", data[a + 12 + 12 * i:a + 24 + 12 * i]) for i in range(count)]
            assert sum(s[1] for s in samples) == end - at
            found.append((moof, end, tfdt, samples, at, *(utc or (None, None))))
            utc = None
    return found


def sample_times(data):
    """The decode time of each sample, in ticks."""
    times = []
    for _, _, tfdt, samples, *_ in fragments(data):
        for duration, _, _ in samples:
            times.append(tfdt)
            tfdt += duration
    return times


def sample_nals(data):
    found = []
    for _, _, _, samples, at, *_ in fragments(data):
        for _, size, _ in samples:
            end = at + size
            while at < end:
                length = int.from_bytes(data[at:at + 4], "big")
                found.append(data[at + 4:at + 4 + length])
                at += 4 + length
            assert at == end
    return found


# --- What others make of it ---

def hashes(name, *args, filters=()):
    """The hash of every frame that ffmpeg decodes. It would mention a last delimiter, so a stream is not given it."""
    run = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-flags", "+unaligned", *args, "-i", name, "-map", "0:v:0",
                          "-autoscale", "0", "-fps_mode", "passthrough", *filters, "-f", "framemd5", "-"],
                         capture_output=True, text=True, timeout=120)
    return [line.split()[-1] for line in run.stdout.splitlines() if not line.startswith("#")]


def stream_hashes(stream):
    return hashes(save("stream.264", stream[:-len(AUD)] if stream.endswith(AUD) else stream), "-f", "h264")


def same_frames(stream, data, want, what):
    if not FFMPEG:
        return skip(what, "no ffmpeg")
    frames = stream_hashes(stream)
    got = hashes(save("same.mp4", data))
    ok(len(frames) == want and got == frames, f"{what}: {len(got)} frames, {want} wanted")


def mpv_plays(name, what, frames=10):
    if not MPV:
        return skip(what, "no mpv")
    run = subprocess.run(["mpv", "--no-config", "--vo=null", "--ao=null", "--untimed", f"--frames={frames}", name],
                         capture_output=True, timeout=60)
    ok(run.returncode == 0 and b"Exiting... (End of file)" in run.stdout, what)


# --- Tests ---

def indexed(data):
    """Of a file: its sidx, set beside its fragments."""
    tops = list(boxes(data))
    at, end = next((at, end) for kind, _, at, end in tops if kind == "sidx")
    head = struct.unpack(">IIIQQHH", data[at:at + 32])
    entries = [struct.unpack(">III", data[n:n + 12]) for n in range(at + 32, end, 12)]
    behind = [end_of for kind, _, _, end_of in tops if kind == "mdat"]
    starts = [end] + behind[:-1]
    ok(head == (1 << 24, 1, TICKS, 0, 0, 0, len(behind)) and [e[0] for e in entries] == [b - a for a, b in zip(starts, behind)],
       "sidx: each fragment, one behind the other, from its own end to mfra")
    ok([e[1] for e in entries] == [sum(s[0] for s in part[3]) for part in fragments(data)] and {e[2] for e in entries} == {0x90000000},
       "their durations; each begins with a keyframe (SAP type 1)")


def stepped(stream, first, by):
    """As from a camera whose wall clock is set by so many microseconds at that picture."""
    parts = stream.split(UUID)
    for n in range(first + 1, len(parts)):
        at = parts[n]
        us = (int.from_bytes(at[1:3] + at[4:6] + at[7:9] + at[10:12], "big") + by).to_bytes(8, "big")
        status = at[0] | (0x40 if n == first + 1 else 0)
        parts[n] = bytes([status]) + us[:2] + b"\xff" + us[2:4] + b"\xff" + us[4:6] + b"\xff" + us[6:] + at[12:]
    return UUID.join(parts)


def unindexed():
    """Where a fragment is one that players would not find by the index."""
    def has(name, stream, *args, **more):
        return [kind for kind, *_ in boxes(to_file(name, stream, *args, **more)[1]) if kind in ("sidx", "free")]
    ok(has("i.mp4", card("-s", "320x240", "-n", "60")) == ["free", "sidx"], "two groups of pictures: an index")
    ok(has("i.mp4", card("-s", "320x240", "-g", "900", "-n", "400")) == ["free"], "a group cut after ten seconds: none")
    stream = card("-s", "320x240", "-n", "60")
    ok(has("i.mp4", stepped(stream, 30, 3600 * 10 ** 6)) == ["free"], "a wall clock that was set, which is said where it was: none")
    ok(has("i.mp4", stepped(stream, 30, 10 ** 4)) == ["free", "sidx"], "by a hundredth of a second: not said, an index")
    ok(has("i.mp4", stream, "-g", "au") == [], "a fragment per picture: no room for one")


def recording():
    stream = card("-n", "300")
    taken = stamps(stream)
    run, data = to_file("f.mp4", stream)
    ok(run.returncode == 0 and run.stderr == b"", "to a file: 0, nothing said")
    kinds = [kind for kind, *_ in boxes(data)]
    ok(kinds == ["ftyp", "moov", "free", "sidx", "prft"] + ["moof", "mdat"] * 10 + ["mfra"], "ftyp moov, an index in its room, ten GOPs, mfra")
    ok(sample_nals(data) == [nal for nal in nals(stream) if nal[0] & 31 in (1, 5, 6)],
       "every slice and SEI, byte for byte; no delimiter, no repeated parameter set")
    want = [(us - taken[0]) * 9 / 100 for us in taken]
    got = sample_times(data)
    ok(len(got) == 300 and max(abs(a - b) for a, b in zip(got, want)) <= 1, "decode times are the stamps, within a tick")
    ok([part[-2:] for part in fragments(data)] == [(taken[0], 0)] + [(None, None)] * 9, "prft: the first keyframe's capture time, once")
    indexed(data)
    at, _ = inside(data, "mfra", "tfra")
    entries = [struct.unpack(">QQ", data[at + 16 + 19 * i:at + 32 + 19 * i]) for i in range(10)]
    ok(entries == [(f[2], f[0]) for f in fragments(data)], "tfra: time and place of each GOP")
    ok(int.from_bytes(data[-4:], "big") == len(data) - next(s for k, s, *_ in boxes(data) if k == "mfra"), "mfro")
    if not FFMPEG:
        return skip("ffprobe and ffmpeg", "not installed")
    out = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0", path("f.mp4")],
                         capture_output=True, text=True).stdout.split()
    ok(len(out) == 300 and max(abs(int(a.strip(",")) - b) for a, b in zip(out, want)) <= 1, "ffprobe sees these times")
    same_frames(stream, data, 300, "ffmpeg decodes the same from the file")
    mpv_plays(path("f.mp4"), "mpv plays it")


def odd_rates():
    for rate in ("30000/1001", "0.5", "240", "7"):
        stream = card("-n", "50", "-r", rate)
        taken, times = stamps(stream), sample_times(to_file("r.mp4", stream)[1])
        ok(len(times) == 50 and all(abs(t - (us - taken[0]) * 9 / 100) <= 1 for t, us in zip(times, taken)),
           f"{rate} a second: times are the stamps")
        times = sample_times(to_file("r.mp4", stream.replace(UUID, b"x" * 16), "-r", rate)[1])
        num, den = map(float, (rate + "/1").split("/")[:2])
        ok(all(abs(t - n * TICKS * den / num) <= 0.5 for n, t in enumerate(times)), f"-r {rate}: times are exact")


def cut_points(data):
    """A few dozen that matter: around every border of a box, and in between; not behind the head of a trun, where
    ffmpeg 5.1 refuses the whole file (interrupted() shows that we leave none such)."""
    moov = [end for kind, _, _, end in boxes(data) if kind == "moov"][0]
    points = {at + off for _, at, _, _ in boxes(data) for off in (-1, 0, 1, 9, 60, 230)}
    points |= {random.randrange(moov, len(data)) for _ in range(20)}
    truns = [range(start + 80, end) for kind, start, _, end in boxes(data) if kind == "moof"]
    return sorted(p for p in points if moov <= p <= len(data) and not any(p in trun for trun in truns))


def whole_samples(data, whole, cut):
    """Frames of the fragments that end in front of the cut, and of the samples that do."""
    frames = samples = 0
    for _, end, _, list_of, at, *_ in whole:
        frames += len(list_of) if end <= cut else 0
        for _, size, _ in list_of:
            at += size
            samples += at <= cut
    return frames, samples


def cut_anywhere():
    stream = card("-s", "320x240", "-n", "60", "-g", "10")
    _, data = to_file("c.mp4", stream)
    whole, good, cuts = fragments(data), True, 0
    for cut in range(0, len(data), 997):
        left = fragments(data[:cut])
        good &= left == whole[:len(left)] and len(left) == sum(f[1] <= cut for f in whole)
        cuts += 1
    ok(good and len(whole) == 6, f"cut at {cuts} places: every whole fragment is there")
    if not FFMPEG:
        return skip("ffmpeg on cut files", "no ffmpeg")
    frames, good, cuts = stream_hashes(stream), True, cut_points(data)
    for cut in cuts:
        got = hashes(save("cut.mp4", data[:cut]))
        low, high = whole_samples(data, whole, cut)
        this = low <= len(got) <= high + 1 and got[:high] == frames[:min(high, len(got))]
        if not this:
            print(f"# cut at {cut}: {len(got)} frames, want {low} to {high}, and half of one more")
        good &= this
    ok(good, f"ffmpeg decodes {len(cuts)} cuts: all frames of the whole fragments")
    for cut in (whole[0][1] + 5, whole[3][1], whole[3][1] + 8, whole[5][1] - 1):
        mpv_plays(save("cut.mp4", data[:cut]), f"mpv plays a file cut at {cut}")


def interrupted():
    """Eight bytes of a fragment are written after all others: a kill leaves zeros with a part of the rest behind them, at most."""
    stream = card("-n", "60", "-g", "10")
    frames = stream_hashes(stream) if FFMPEG else []
    _, data = to_file("i.mp4", stream)
    front, (moof, end, _, _, at, *_) = fragments(data)[2][1], fragments(data)[3]
    good = True
    for cut in (front, front + 8, (moof + at) // 2, at, at + 1000, end):
        left = data[:front] + bytes(min(8, cut - front)) + data[front + 8:cut]
        good &= len(fragments(left)) == 3
        good &= not FFMPEG or hashes(save("hole.mp4", left)) == frames[:30]
        mpv_plays(path("hole.mp4"), f"mpv plays a file with {cut - front} bytes of a fragment, of which eight are zeros") if FFMPEG else None
    ok(good, "ffmpeg plays all fragments in front of a hole")
    calls = subprocess.run(["strace", "-e", "trace=pwritev,pwrite64,writev,write", "-o", path("calls"), MUX],
                           input=stream, stdout=open(path("i.mp4"), "wb"),
                           env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}) if shutil.which("strace") else None
    if not calls:
        return skip("the order of the calls", "no strace")
    with open(path("calls")) as f:
        places = [int(line.rsplit(",", 1)[1].split(")")[0]) for line in f if line.startswith("pwritev")]
    starts = [0] + [next(end for kind, _, _, end in reversed(list(boxes(data, 0, f[0]))) if kind != "prft") for f in fragments(data)]
    ok(len(starts) == 7 and places[:14] == [at for start in starts for at in (start + 8, start)], "of each its first eight bytes last")


def killed():
    good, torn = True, 0
    for n in range(12):
        save("k.mp4", b"")
        run = subprocess.Popen(f"{CARD} -x -g 5 -s 320x240 | exec {MUX} > {path('k.mp4')}", shell=True, start_new_session=True)
        while os.path.getsize(path("k.mp4")) < 100000:
            pass
        time.sleep(0.0013 * n)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait(10)
        with open(path("k.mp4"), "rb") as f:
            data = f.read()
        torn += list(boxes(data))[-1][3] != len(data)
        left = sum(len(f[3]) for f in fragments(data))
        good &= left > 0 and (not FFMPEG or len(hashes(path("k.mp4"))) == left)
    ok(good, f"killed 12 times at full speed, {torn} with half a fragment: every whole one plays")


def pipe():
    stream = card("-n", "90")
    run = mux(stream)
    data = run.stdout
    ok(run.returncode == 0 and run.stderr == b"", "to a pipe: 0, nothing said")
    found = fragments(data)
    ok(len(found) == 90 and all(len(f[3]) == 1 for f in found), "one sample a fragment, all there")
    ok(all(a[2] + a[3][0][0] == b[2] for a, b in zip(found, found[1:])) and found[0][2] == 0, "tfdt is contiguous from 0")
    ok([n for n, f in enumerate(found) if f[3][0][2] == 0x2000000] == [0, 30, 60], "keyframes are sync samples")
    ok([n for n, f in enumerate(found) if f[5]] == [0, 30, 60]
       and all(f[5] is None or abs(f[5] - us) <= 1 and f[6] == f[2] for f, us in zip(found, stamps(stream))), "prft on each")
    ok([nal[0] & 31 for nal in sample_nals(data)].count(7) == 3, "parameter sets in front of each keyframe")
    same_frames(stream, data, 90, "ffmpeg decodes the same from the pipe")
    mpv_plays(save("p.mp4", data), "mpv plays it")
    _, data = to_file("g.mp4", stream, "-g", "au")
    ok(len(fragments(data)) == 90, "-g au to a file: a fragment per access unit")
    ok(len(fragments(mux(stream, "-g", "gop").stdout)) == 3, "-g gop to a pipe: a fragment per GOP")


def at_once(stream):
    """The access units with their start codes, the delimiter of the next behind each."""
    units = stream.split(AUD)
    assert units[0] == b"" and units[-1] == b""
    return [AUD * (n == 0) + unit + AUD for n, unit in enumerate(units[1:-1])]


def delay():
    ends = os.pipe()
    run = subprocess.Popen([MUX], stdin=subprocess.PIPE, stdout=ends[1])
    os.close(ends[1])
    data, worst, good = b"", 0, True
    for n, unit in enumerate(at_once(card("-n", "60"))):
        start = time.monotonic()
        run.stdin.write(unit)
        run.stdin.flush()
        while len(fragments(data)) <= n:
            if not select.select([ends[0]], [], [], 5)[0]:
                good = False
                break
            data += os.read(ends[0], 1 << 20)
        worst = max(worst, time.monotonic() - start)
    run.stdin.close()
    ok(good and run.wait(10) == 0 and len(fragments(data)) == 60,
       f"each fragment is out before the next frame comes (at most {worst * 1000:.1f} ms with this test's own reading)")
    os.close(ends[0])


def timeless(stream, rate):
    """The test card's stream as one without capture times, and without the rate in its parameter sets."""
    sets = next(nal for nal in nals(stream) if nal[0] & 31 == 7)
    body = sets.replace(b"\0\0\3", b"\0\0")
    bits = f"{int.from_bytes(body, 'big'):0{8 * len(body)}b}"
    timing = f"1{1:032b}{2 * rate:032b}1"
    assert bits.count(timing) == 1
    bits = bits.replace(timing, "0").rstrip("0")
    bits += "0" * (-len(bits) % 8)
    body = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", int(bits, 2).to_bytes(len(bits) // 8, "big"))
    return stream.replace(sets, body).replace(UUID, b"x" * 16)


def unsteadiness(times):
    """How far an interval is from the usual one, as a rule: what the machine does to a few of them does not count."""
    intervals = [b - a for a, b in zip(times, times[1:])]
    usual = statistics.median(intervals)
    return statistics.median(abs(i - usual) for i in intervals)


def relayed(units, rate):
    """When each was sent, through something that holds each up for another while, and when it is shown: seconds."""
    run = subprocess.Popen([MUX], stdin=subprocess.PIPE, stdout=open(path("j.mp4"), "wb"), stderr=subprocess.PIPE)
    sent, start = [], time.monotonic()
    for n, unit in enumerate(units):
        time.sleep(max(0, start + n / rate + random.uniform(0, 0.015) - time.monotonic()))
        sent.append(time.monotonic())
        run.stdin.write(unit)
        run.stdin.flush()
    said = run.communicate(timeout=10)[1]
    out = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0", path("j.mp4")],
                         capture_output=True, text=True, timeout=60).stdout.split()
    return sent, [int(pts.strip(",")) / TICKS for pts in out], run.returncode == 0 and said == b""


def arrivals():
    """A camera that says nothing of its times. A machine that has no time for it gets two more goes."""
    if not FFMPEG:
        return skip("times of arrival", "no ffprobe")
    rate, count, settled = 60, 240, 80
    units = at_once(timeless(card("-n", str(count), "-r", str(rate)), rate))
    quiet = rise = True
    for _ in range(3):
        sent, shown, good = relayed(units, rate)
        quiet &= good
        rise &= len(shown) == count and all(b > a for a, b in zip(shown, shown[1:]))
        before, after = unsteadiness(sent[settled:]), unsteadiness(shown[settled:])
        behind = [b - a for a, b in zip(sent, shown)]
        drift = statistics.median(behind[-40:]) - statistics.median(behind[settled:settled + 40])
        if after * 4 < before and abs(drift) < 0.04:
            break
    ok(quiet and rise, "a live stream without times: 0, nothing said, every frame, and times that rise")
    ok(after * 4 < before, f"ffprobe sees a quarter of the arrivals' jitter at most: {before * 1e3:.2f} ms sent, {after * 1e3:.2f} shown")
    ok(abs(drift) < 0.04, f"and no delay builds up: {drift * 1e3:.1f} ms in {(count - settled) / rate:.1f} s")


def x264(*params, filters="", frames=60):
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25" + filters,
                           "-frames:v", str(frames), "-c:v", "libx264", "-bf", "0", "-g", "20", *params, "-f", "h264", "-"],
                          capture_output=True, timeout=60, check=True).stdout


def from_others():
    if not FFMPEG:
        return skip("streams of libx264", "no ffmpeg")
    plain = x264("-pix_fmt", "yuv420p")
    refresh = x264("-pix_fmt", "yuv420p", "-x264-params", "intra-refresh=1:keyint=20:sc_threshold=0")
    sets = plain[:plain.index(b"\0\0\1\x65")]
    first_p = plain.index(b"\0\0\1\x41") - (plain[plain.index(b"\0\0\1\x41") - 1] == 0)
    streams = {
        "plain": (plain, 60),
        "eight slices": (x264("-pix_fmt", "yuv420p", "-slices", "8"), 60),
        "AUD in front": (x264("-pix_fmt", "yuv420p", "-aud", "1"), 60),
        "3-byte codes": (plain.replace(b"\0\0\0\1", b"\0\0\1"), 60),
        "5-byte codes": (plain.replace(b"\0\0\1", b"\0\0\0\0\1"), 60),
        "intra refresh": (refresh, 60),
        "garbage in front": (bytes(random.choices(range(2, 256), k=3000)) + plain, 60),
        "4:4:4 High": (x264("-pix_fmt", "yuv444p"), 60),
        "4:2:2 10 bits": (x264("-pix_fmt", "yuv422p10"), 60),
        "cropped": (x264("-pix_fmt", "yuv420p", filters=",scale=330:246"), 60),
        "sets only once": (sets + plain[len(sets):].replace(sets[:sets.index(b"\0\0\1\6")], b""), 60),
        "baseline": (x264("-pix_fmt", "yuv420p", "-profile:v", "baseline"), 60),
    }
    for name, (stream, want) in streams.items():
        run, data = to_file("o.mp4", stream)
        piped = mux(stream)
        ok(run.returncode == 0 and piped.returncode == 0, f"{name}: exit 0")
        same_frames(stream, data, want, f"{name} to a file")
        same_frames(stream, piped.stdout, want, f"{name} to a pipe")
        times = sample_times(data)
        ok(times == [n * 3600 for n in range(want)], f"{name}: times by the SPS's 25 a second")
    run, data = to_file("o.mp4", plain[first_p:])
    ok(run.returncode == 0, "a start on P: exit 0")
    same = stream_hashes(plain)
    ok(hashes(save("o.mp4", data)) == same[20:], "a start on P: everything from the next IDR on")
    ok(b"skipping" in run.stderr and run.stderr.count(b"\n") == 1, "and it is said in one line")


def size_changes():
    stream = card("-n", "20", "-g", "10") + card("-n", "20", "-g", "10", "-s", "1280x720")
    run, data = to_file("s.mp4", stream)
    at, _ = inside(data, "moov", "trak", "mdia", "minf", "stbl", "stsd")
    ok(run.returncode == 0 and data[at + 12:at + 16] == b"avc3" and [k for k, *_ in boxes(data)].count("moov") == 1,
       "another size to a file: avc3, one moov")
    same_frames(stream, data, 40, "and every frame of both sizes")
    mpv_plays(path("s.mp4"), "mpv plays it", 40)
    data = mux(stream).stdout
    kinds = [k for k, *_ in boxes(data)]
    ok(kinds.count("moov") == 2 and kinds.count("moof") == 40, "to a pipe: a new ftyp and moov")
    second = kinds.index("moov", 3)
    ok(kinds[second - 1:second + 2] == ["ftyp", "moov", "prft"] and kinds[:second].count("moof") == 20, "in front of its keyframe")
    run, data = to_file("a.mp4", stream, mode="ab")
    ok(run.returncode == 0 and [k for k, *_ in boxes(data)].count("moov") == 2, "to a file opened to append: a new moov too")
    data = to_file("b.mp4", stream, front=b"\0\0\0\x10free12345678")[1]
    same_frames(stream, data, 40, "behind another box")
    at, _ = inside(data, "mfra", "tfra")
    places = [int.from_bytes(data[at + 24 + 19 * i:at + 32 + 19 * i], "big") for i in range(4)]
    ok(all(data[p + 4:p + 8] == b"moof" for p in places), "tfra counts from the file's first byte")


def turned():
    stream = card("-n", "2")
    for degrees, turn in (("0", "null"), ("90", "transpose=clock"), ("180", "hflip,vflip"), ("270", "transpose=cclock")):
        name = f"-R {degrees}: ffmpeg shows it so"
        if not FFMPEG:
            skip(name, "no ffmpeg")
            continue
        to_file("t.mp4", stream, "-R", degrees)
        shown = hashes(path("t.mp4"), filters=("-vf", "null"))
        ok(len(shown) == 2 and shown == hashes(path("t.mp4"), "-noautorotate", filters=("-vf", turn)), name)


def usage_errors():
    bad = {"-r": ["", "0", "-1", "241", "30 ", "30/0", "1/11", "abc", "29.97003", "99999999999999999999"],
           "-R": ["", "1", "-90", "90 ", "360", "x"], "-g": ["", "AU", "gops", "au "]}
    for option, values in bad.items():
        for value in values:
            run = mux(b"", option, value)
            ok(run.returncode == 100 and run.stdout == b"" and run.stderr.count(b"\n") == 1
               and run.stderr.startswith(f"h264fmp4: {option} {value}: ".encode()), f"{option} '{value}' is refused")
    for args, named in ((["-q"], "-q"), (["-r"], "-r"), (["-R"], "-R"), (["-g"], "-g"), (["extra"], "extra")):
        run = mux(b"", *args)
        ok(run.returncode == 100 and run.stderr.count(b"\n") == 1 and named.encode() in run.stderr,
           f"{' '.join(args)} alone is refused")
    master, terminal = os.openpty()
    run = subprocess.run([MUX], stdin=subprocess.DEVNULL, stdout=terminal, stderr=subprocess.PIPE, timeout=10)
    os.close(terminal)
    os.close(master)
    ok(run.returncode == 100 and run.stderr.count(b"\n") == 1 and b"terminal" in run.stderr, "not to a terminal")


def help_texts():
    run = mux(b"", "-h")
    ok(run.returncode == 0 and run.stderr == b"" and run.stdout.startswith(b"usage: h264fmp4 "), "-h")
    ok(re.fullmatch(rb"h264fmp4 \d\S*\n", mux(b"", "-V").stdout), "-V")


def no_picture():
    stream = card("-n", "1")
    idr = stream.index(b"\0\0\0\1\x65")
    for what, data in (("nothing", b""), ("one zero byte", b"\0"), ("only a delimiter", AUD), ("text", b"GET / HTTP/1.0\r\n\r\n" * 100),
                       ("parameter sets alone", stream[:idr]), ("a picture without them", stream[idr:])):
        for args in ((), ("-g", "gop")):
            run = mux(data, *args)
            said = run.stderr.decode().splitlines()
            ok(run.returncode == 1 and run.stdout == b"" and said and said[-1].startswith("h264fmp4: standard input: ")
               and len(said) <= 2, f"{what}{' to a GOP' * bool(args)}: 1, {said}")
    ok(mux(b"").stderr.count(b"\n") == 1, "nothing: one line")
    for what, data in (("an MP4 file", mux(stream).stdout), ("MPEG-TS", (b"G" + bytes(187)) * 10)):
        run = mux(data)
        ok(run.returncode == 1 and run.stderr.count(b"\n") == 1 and b"-f h264" in run.stderr,
           f"{what}: 1, one line that says what to do")


def bounded():
    run = subprocess.Popen([MUX], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(40):
        run.stdin.write(random.randbytes(1 << 20).replace(b"\0\0", b"\0\4"))
    run.stdin.flush()
    with open(f"/proc/{run.pid}/status") as f:
        most = int(re.search(r"VmHWM:\s*(\d+)", f.read())[1])
    said = run.communicate(timeout=30)[1]
    ok(run.returncode == 1 and most < MOST_MEMORY, f"40 MiB of garbage: 1, {most} KiB at most")
    ok(said.count(b"\n") == 3 and said.count(b"dropped\n") == 2, "and each 16 MiB dropped is said")


def failed_output():
    run = subprocess.Popen([f"{CARD} -x | {MUX}"], shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.read(100000)
    run.stdout.close()
    ok(run.wait(10) == 0 and run.stderr.read() == b"", "the reader goes: quietly 0")
    with open("/dev/full", "wb") as full:
        run = subprocess.run([MUX], input=card("-n", "30"), stdout=full, stderr=subprocess.PIPE, timeout=10)
    ok(run.returncode == 111 and run.stderr == b"h264fmp4: standard output: No space left on device\n", "full: 111, one line")
    for closed in ("<&-", ">&-"):
        run = subprocess.run(["sh", "-c", f'exec "$0" {closed}', MUX], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=10)
        ok(run.returncode == 100 and run.stderr.count(b"\n") == 1, f"{closed}: 100, one line")
    with open(path("d"), "wb") as out:
        run = subprocess.run([MUX], stdin=os.open(WORK.name, os.O_RDONLY), stdout=out, stderr=subprocess.PIPE, timeout=10)
    ok(run.returncode == 111 and run.stderr == b"h264fmp4: standard input: Is a directory\n", "a directory: 111, one line")


@contextlib.contextmanager
def small_disk(size):
    """A directory with room for so many bytes, and what it takes to have it so: a file system, or else a limit."""
    place = path("small")
    os.makedirs(place)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], stderr=subprocess.DEVNULL).returncode == 0
    try:
        yield place, None if mounted else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    finally:
        if mounted:
            subprocess.run(["umount", place], check=True)


def disk_full():
    stream = card("-n", "200", "-g", "10")
    with small_disk(1 << 20) as (place, limit):
        with open(os.path.join(place, "f.mp4"), "wb") as f:
            run = subprocess.run([MUX], input=stream, stdout=f, stderr=subprocess.PIPE, preexec_fn=limit, restore_signals=False)
        with open(f.name, "rb") as f:
            data = f.read()
    ok(run.returncode == 111 and run.stderr.count(b"\n") == 1, f"a full disk: 111, {run.stderr.decode().strip()}")
    left = sum(len(f[3]) for f in fragments(data))
    ok(len(data) >= 800000 and left >= 10 and left % 10 == 0, f"{left} frames in whole fragments")
    ok(list(boxes(data))[-1][0] == "mdat" and list(boxes(data))[-1][3] == len(data), "and nothing behind them")
    if not FFMPEG:
        return skip("it plays", "no ffmpeg")
    got = hashes(save("full.mp4", data))
    ok(got == stream_hashes(stream)[:left], "ffmpeg plays them")


def terminated():
    run = subprocess.Popen(f"{CARD} -r 100 -g 10 | exec {MUX} > {path('k.mp4')}", shell=True, start_new_session=True)
    frames = 0
    for _ in range(100):
        time.sleep(0.05)
        with open(path("k.mp4"), "rb") as f:
            frames = len(sample_times(f.read()))
        if frames >= 30:
            break
    os.killpg(run.pid, signal.SIGTERM)
    run.wait(10)
    with open(path("k.mp4"), "rb") as f:
        data = f.read()
    ok(frames >= 30 and len(sample_times(data)) >= frames, f"SIGTERM: the {frames} frames written stay")
    stream = card("-n", "45", "-g", "300", "-x")
    for sig in (signal.SIGINT, signal.SIGTERM):
        with open(path("s.mp4"), "wb") as f:
            run = subprocess.Popen([MUX], stdin=subprocess.PIPE, stdout=f, stderr=subprocess.PIPE)
        run.stdin.write(stream)
        run.stdin.flush()
        time.sleep(0.5)
        run.send_signal(sig)
        good = run.wait(10) == 0 and run.stderr.read() == b""
        run.stdin.close()
        with open(path("s.mp4"), "rb") as f:
            data = f.read()
        ok(good and len(sample_times(data)) == 45 and b"mfra" in data[-100:],
           f"{sig.name} in the middle of a GOP: all that came, and the index")
    run = subprocess.Popen([MUX], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    run.terminate()
    ok(run.wait(10) == 0, "SIGTERM before anything came: 0")
    run.stdin.close()


def shared_nonblocking():
    """Pipes that somebody else made non-blocking: nothing is lost, nothing spins."""
    stream = card("-n", "100")
    inward, outward = os.pipe(), os.pipe()
    os.set_blocking(inward[0], False)
    os.set_blocking(outward[1], False)
    run = subprocess.Popen([MUX], stdin=inward[0], stdout=outward[1])
    os.close(inward[0])
    os.close(outward[1])
    feeder = subprocess.Popen(["cat", save("n.264", stream)], stdout=inward[1])
    os.close(inward[1])
    time.sleep(0.3)
    data = b"".join(iter(lambda: os.read(outward[0], 65536), b""))
    used = os.wait4(run.pid, 0)
    feeder.wait()
    os.close(outward[0])
    ok(used[1] == 0 and len(fragments(data)) == 100 and used[2].ru_utime + used[2].ru_stime < 0.25, "non-blocking pipes")


def main():
    random.seed(1)
    recording()
    unindexed()
    odd_rates()
    cut_anywhere()
    interrupted()
    killed()
    pipe()
    delay()
    arrivals()
    from_others()
    size_changes()
    turned()
    usage_errors()
    help_texts()
    no_picture()
    bounded()
    failed_output()
    disk_full()
    terminated()
    shared_nonblocking()
    print(f"1..{done}")
    return failed > 0


sys.exit(main())
