#!/usr/bin/env python3
"""h264fmp4 on B frames and interlaced video of libx264, to a file and to a pipe: ffmpeg decodes the same pictures in the same
order as from the stream, and ffprobe sees each shown one frame after the one before. Where a picture is shown before it
is decoded, which a sample may say, ffprobe counts from one frame on."""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
MUX = os.path.join(os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build"))), "h264fmp4")
FRAMES, TICKS = 75, 3600
STREAMS = {
    "one B frame": "bframes=1:b-adapt=0:b-pyramid=none",
    "three B frames": "bframes=3:b-adapt=0:b-pyramid=none",
    "a pyramid": "bframes=5:b-adapt=0:b-pyramid=normal",
    "sixteen": "bframes=16:b-adapt=0:b-pyramid=normal:ref=6",
    "as many as it likes": "bframes=8:b-adapt=2:scenecut=40",
    "open groups": "bframes=3:b-adapt=0:open-gop=1:b-pyramid=normal",
    "intra refresh": "bframes=0:intra-refresh=1",
    "MBAFF, top field first": "bframes=2:tff=1",
    "MBAFF, bottom field first": "bframes=2:bff=1",
    "four slices": "bframes=2:slices=4",
}
number = failed = 0


def ok(good, what):
    global number, failed
    number += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {what}", flush=True)


def ffmpeg(*args):
    return subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *args], capture_output=True, timeout=120, check=True).stdout


def hashes(name, *args):
    text = ffmpeg("-flags", "+unaligned", *args, "-i", name, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-")
    return [line.split()[-1] for line in text.decode().splitlines() if not line.startswith("#")]


def probed(name, what):
    text = subprocess.run(["ffprobe", "-v", "error", "-show_entries", f"{what}=pts", "-of", "csv=p=0", name],
                          capture_output=True, text=True, timeout=60, check=True).stdout
    times = [int(line.strip(",")) for line in text.split()]
    return [time - min(times) for time in times]


def judge(name, stream, work):
    source = os.path.join(work, "stream.264")
    with open(source, "wb") as f:
        f.write(stream)
    want = hashes(source, "-f", "h264")
    for way in "file", "pipe":
        out = os.path.join(work, way + ".mp4")
        with open(source, "rb") as f, open(out, "wb") as o:
            if way == "file":
                status = subprocess.run([MUX], stdin=f, stdout=o, timeout=60).returncode
            else:
                piped = subprocess.run([MUX], stdin=f, stdout=subprocess.PIPE, timeout=60)
                o.write(piped.stdout)
                status = piped.returncode
        got = hashes(out)
        ok(status == 0 and len(want) == FRAMES and got == want, f"{name}, to a {way}: {len(got)} of {FRAMES} pictures, in order")
        packets, frames = probed(out, "packet"), probed(out, "frame")
        ok(sorted(packets) == [n * TICKS for n in range(FRAMES)], f"{name}, to a {way}: one sample a frame, one frame apart")
        ok(frames == [n * TICKS for n in range(FRAMES)], f"{name}, to a {way}: as decoded, too")


def main():
    if not shutil.which("ffmpeg"):
        print("1..0 # SKIP no ffmpeg")
        return 0
    with tempfile.TemporaryDirectory() as work:
        for name, params in STREAMS.items():
            judge(name, ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-frames:v", str(FRAMES), "-pix_fmt", "yuv420p",
                               "-c:v", "libx264", "-g", "30", "-x264-params", params, "-f", "h264", "-"), work)
    print(f"1..{number}")
    return failed > 0


sys.exit(main())
