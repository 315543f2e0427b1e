#!/usr/bin/env python3
"""testcard as a program: its stream, its picture as an independent decoder sees it, its clock, its manners."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
TESTCARD = os.path.join(os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build"))), "testcard")
AUD = b"\0\0\0\1\x09\xf0"
UUID = b"MISPmicrosectime"
FFMPEG = shutil.which("ffmpeg") and shutil.which("ffprobe")
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


def card(*args, **more):
    return subprocess.run([TESTCARD, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **more)


def units(stream):
    """The access units, each as (is it an IDR, capture time, discontinuity bit)."""
    found = []
    for unit in stream.split(AUD)[1:-1]:
        sei = next(nal for nal in unit.split(b"\0\0\0\1") if nal[:1] == b"\x06")
        body = sei.replace(b"\0\0\3", b"\0\0")
        assert body[1:19] == b"\5\x1c" + UUID and body[22:23] == body[25:26] == body[28:29] == b"\xff"
        us = int.from_bytes(body[20:22] + body[23:25] + body[26:28] + body[29:31], "big")
        found.append((b"\0\0\0\1\x65" in unit, us, body[19] & 0x40))
    return found


def crc8(data):
    rest = int.from_bytes(data, "big") << 8
    while rest.bit_length() > 8:
        rest ^= 0x107 << (rest.bit_length() - 9)
    return rest


def records(luma, width, height):
    """What the cells of each decoded picture say: (counter, microseconds), or None where they are wrong."""
    found = []
    for at in range(0, len(luma), width * height):
        bits = 0
        for cell in range(104):
            x, y = cell % (width // 16) * 16, cell // (width // 16) * 16
            rows = range(at + y * width + x, at + (y + 16) * width + x, width)
            block = b"".join(luma[row:row + 16] for row in rows)
            white = block[0] == 235
            if block != bytes([235 if white else 16]) * 256:
                bits = None
                break
            bits = bits << 1 | white
        data = (bits or 0).to_bytes(13, "big")
        good = bits is not None and crc8(data[:12]) == data[12]
        found.append((int.from_bytes(data[:4], "big"), int.from_bytes(data[4:12], "big")) if good else None)
    return found


def decode(stream):
    """The luma that ffmpeg decodes, and all it says. It would mention the last delimiter, so that is not given to it."""
    assert stream.endswith(AUD)
    run = subprocess.run(["ffmpeg", "-v", "error", "-xerror", "-f", "h264", "-i", "-", "-fps_mode", "passthrough",
                          "-vf", "extractplanes=y", "-f", "rawvideo", "-"],
                         input=stream[:-len(AUD)], capture_output=True, timeout=120)
    return run.stdout, run.stderr.decode() + (f"exit {run.returncode}" if run.returncode else "")


def probe(stream):
    with tempfile.NamedTemporaryFile(suffix=".h264") as f:
        f.write(stream[:-len(AUD)])
        f.flush()
        out = subprocess.run(["ffprobe", "-v", "error", "-show_streams", f.name], capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def pictures(size, frames, *args):
    width, height = map(int, size.split("x"))
    stream = card("-s", size, "-n", str(frames), "-x", *args).stdout
    seen = units(stream)
    ok(stream.startswith(AUD) and stream.endswith(AUD) and len(seen) == frames,
       f"{size}: {frames} access units, a delimiter before the first and after the last")
    if not FFMPEG:
        return skip(f"{size}: decoded", "no ffmpeg")
    luma, said = decode(stream)
    ok(said == "", f"{size}: ffmpeg decodes it with nothing to say {said[:200]}")
    want = [(n, us) for n, (_, us, _) in enumerate(seen)]
    ok(records(luma, width, height) == want, f"{size}: counter, time and CRC in each of {frames} pictures")


def stream_facts():
    before = time.time_ns() // 1000
    seen = units(card("-n", "300", "-x", "-r", "30000/1001").stdout)
    start = seen[0][1]
    ok(before <= start <= time.time_ns() // 1000, "-x: the first capture time is now")
    ok(all(us - start == (2 * n * 1001000000 + 30000) // 60000 for n, (_, us, _) in enumerate(seen)),
       "-x: capture times are n / rate, exactly rounded")
    ok([n for n, unit in enumerate(seen) if unit[0]] == list(range(0, 300, 30)), "a keyframe a second")
    keys = [n for n, unit in enumerate(units(card("-n", "20", "-x", "-g", "7").stdout)) if unit[0]]
    ok(keys == [0, 7, 14], "-g 7: every 7 frames")
    unit = card("-n", "1", "-x").stdout.split(b"\0\0\0\1")
    ok([nal[0] & 31 for nal in unit[1:]] == [9, 7, 8, 6, 5, 9], "AUD SPS PPS SEI slice AUD")
    for size, low, high in (("640x480", 1, 4), ("1920x1080", 1, 8)):
        rate = len(card("-s", size, "-n", "300", "-x").stdout) * 8 / 10 / 1e6
        ok(low <= rate <= high, f"{size} at 30: {rate:.2f} Mbit/s")


def probed():
    for size, rate, shown, level, space in (("640x480", "30", "30/1", 30, "smpte170m"),
                                            ("1920x1080", "29.97", "2997/100", 40, "bt709"),
                                            ("642x482", "60", "60/1", 31, "smpte170m"),
                                            ("1280x720", "30000/1001", "30000/1001", 31, "bt709"),
                                            ("176x208", "5", "5/1", 13, "smpte170m")):
        what = f"{size} at {rate}: what ffprobe says of it"
        if not FFMPEG:
            skip(what, "no ffprobe")
            continue
        p = probe(card("-s", size, "-r", rate, "-n", "30", "-x").stdout)
        ok(f"{p['width']}x{p['height']}" == size and p["r_frame_rate"] == shown and p["level"] == str(level)
           and p["profile"] == "Constrained Baseline" and p["color_space"] == space and p["color_range"] == "tv"
           and p["has_b_frames"] == "0", what)


def usage_errors():
    bad = {"-s": ["", "640", "640x", "641x480", "640x481", "4098x480", "640x2306", "176x144", "0x0", "-640x480",
                  "640x480x", "640x99999999999999999999"],
           "-r": ["", "0", "-1", "241", "30 ", "30/0", "1/11", "abc", "1e3", "29.97003"],
           "-g": ["", "0", "-1", "1.5", "30x", "99999999999999999999"],
           "-n": ["", "0", "-1", "10 ", "4294967296"]}
    for option, values in bad.items():
        for value in values:
            run = card(option, value, "-x", "-n", "1")
            ok(run.returncode == 100 and run.stdout == b"" and run.stderr.count(b"\n") == 1
               and run.stderr.startswith(f"testcard: {option} {value}: ".encode()), f"{option} '{value}' is refused")
    for args, named in ((["-q"], "-q"), (["-n"], "-n"), (["extra"], "extra")):
        run = card(*args)
        ok(run.returncode == 100 and run.stderr.count(b"\n") == 1 and named.encode() in run.stderr,
           f"{' '.join(args)} is refused")
    master, terminal = os.openpty()
    run = subprocess.run([TESTCARD, "-n", "1"], stdout=terminal, stderr=subprocess.PIPE, timeout=10)
    os.close(terminal)
    ok(run.returncode == 100 and run.stderr.count(b"\n") == 1 and b"terminal" in run.stderr, "not to a terminal")
    os.close(master)


def help_texts():
    run = card("-h")
    ok(run.returncode == 0 and run.stderr == b"" and run.stdout.startswith(b"usage: testcard "), "-h")
    ok(re.fullmatch(rb"testcard \d\S*\n", card("-V").stdout), "-V")


def failed_output():
    run = subprocess.Popen([TESTCARD, "-x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.read(100000)
    run.stdout.close()
    ok(run.wait(10) == 0 and run.stderr.read() == b"", "the reader goes: quietly 0")
    with open("/dev/full", "wb") as full:
        run = subprocess.run([TESTCARD, "-x"], stdout=full, stderr=subprocess.PIPE, timeout=10)
    ok(run.returncode == 111 and run.stderr == b"testcard: standard output: No space left on device\n", "full: 111, one line")
    run = subprocess.run(["sh", "-c", 'exec "$0" -x >&-', TESTCARD], stderr=subprocess.PIPE, timeout=10)
    ok(run.returncode == 111 and run.stderr.count(b"\n") == 1, "closed: 111, one line")


def on_the_grid(seen, counters, rate):
    """Each capture time is its counter's place on the grid of the frame rate, to the microsecond."""
    start = seen[0][1]
    return all(us - start == (2 * n * 1000000 + rate) // (2 * rate) for (_, us, _), n in zip(seen, counters))


def paced():
    before, clock = time.monotonic(), time.time_ns() // 1000
    stream = card("-n", "60").stdout
    took = time.monotonic() - before
    ok(1.7 <= took <= 2.3, f"60 frames at 30 a second take {took:.2f} s")
    seen = units(stream)
    ok(0 <= seen[0][1] - clock <= 500000, "the first capture time is now")
    if not FFMPEG:
        return skip("times are on the grid", "no ffmpeg")
    counters = [r and r[0] for r in records(decode(stream)[0], 640, 480)]
    ok(None not in counters and on_the_grid(seen, counters, 30) and len(counters) == 60, "times are on the grid")
    ok(not any(unit[2] for unit in seen), "no discontinuity where the clock ran on")


def blocked():
    run = subprocess.Popen([TESTCARD, "-n", "60"], stdout=subprocess.PIPE)
    time.sleep(1.5)
    stream = run.communicate(timeout=20)[0]
    if not FFMPEG:
        return skip("a blocked pipe", "no ffmpeg")
    luma, said = decode(stream)
    seen, shown = units(stream), records(luma, 640, 480)
    ok(said == "" and None not in shown and len(shown) == 60, "a blocked pipe: 60 sound pictures all the same")
    counters = [r[0] for r in shown if r]
    jump = max(b - a for a, b in zip(counters, counters[1:]))
    ok(15 <= jump <= 120, f"the counter jumps by {jump} over a second")
    ok([r and r[1] for r in shown] == [us for _, us, _ in seen] and on_the_grid(seen, counters, 30),
       "times stay on the grid, in the cells and in the stream")
    keys = [counters[n] for n, unit in enumerate(seen) if unit[0]]
    ok(all(30 <= b - a <= 30 + jump for a, b in zip(keys, keys[1:])), "keyframes stay a second apart")


def signals():
    run = subprocess.Popen([TESTCARD, "-g", "1000000"], stdout=subprocess.PIPE)
    stream, at = b"", None
    while stream.count(AUD) < 40:
        stream += os.read(run.stdout.fileno(), 65536)
        if at is None and stream.count(AUD) > 10:
            at = stream.count(AUD) - 1
            run.send_signal(signal.SIGUSR1)
    run.send_signal(signal.SIGTERM)
    stream += run.communicate(timeout=10)[0]
    seen = units(stream)
    keys = [n for n, unit in enumerate(seen) if unit[0]]
    ok(len(keys) == 2 and at <= keys[1] <= at + 5, f"SIGUSR1 after {at} frames: keyframes {keys}")
    ok(run.returncode == 0 and stream.endswith(AUD), "SIGTERM: 0, after a whole access unit")
    run = subprocess.Popen([TESTCARD, "-x"], stdout=subprocess.PIPE)
    time.sleep(0.3)
    run.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    ok(run.poll() is None, "SIGTERM while blocked: waits for the reader")
    run.send_signal(signal.SIGTERM)
    ok(run.wait(10) == -signal.SIGTERM, "a second one does not")


def shared_nonblocking():
    """A pipe that somebody else made non-blocking: nothing is lost, nothing spins."""
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    run = subprocess.Popen([TESTCARD, "-x", "-n", "100"], stdout=ends[1])
    os.close(ends[1])
    time.sleep(0.3)
    stream = b"".join(iter(lambda: os.read(ends[0], 65536), b""))
    used = os.wait4(run.pid, 0)
    ok(used[1] == 0 and len(units(stream)) == 100 and used[2].ru_utime + used[2].ru_stime < 0.25, "a non-blocking pipe")


def main():
    pictures("640x480", 300)
    pictures("1920x1080", 300)
    pictures("352x288", 300)
    pictures("176x208", 300)
    pictures("642x482", 300)
    pictures("1280x720", 300, "-g", "1000")
    stream_facts()
    probed()
    usage_errors()
    help_texts()
    failed_output()
    paced()
    blocked()
    signals()
    shared_nonblocking()
    print(f"1..{done}")
    return failed > 0


sys.exit(main())
