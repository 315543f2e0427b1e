#!/usr/bin/env python3
"""h264fmp4 on streams that nobody here wrote, one line a stream: to a file and to a pipe.

The streams are in $CORPUS (default: ../shared/corpus beside this tree), described by manifest.tsv, and judged by
fmp4check.py in ../tools of that. Every stream: it ends in time, exit 0 or 1, and what is written is sound: a sample is a
frame or a field without its opposite, with all its slices, in decoding order, and shown in the order of the picture order
counts. Where decoding can be compared: the frames that the manifest has. The slices to a pipe are those to a file."""
import concurrent.futures
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
MUX = os.path.join(os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build"))), "h264fmp4")
CORPUS = os.environ.get("CORPUS", os.path.join(ROOT, "../shared/corpus"))
CHECK = os.path.join(CORPUS, "../tools/fmp4check.py")
SECONDS = 120


def frames_md5(name):
    """The md5 of the list of frame hashes, as the corpus's README makes it."""
    run = subprocess.run(["ffmpeg", "-nostdin", "-v", "quiet", "-flags", "+unaligned", "-i", name, "-map", "0:v:0",
                          "-autoscale", "0", "-fps_mode", "passthrough", "-f", "framemd5", "-"],
                         capture_output=True, text=True, timeout=SECONDS)
    hashes = [line.split()[-1] for line in run.stdout.splitlines() if not line.startswith("#")]
    return hashlib.md5("".join(h + "\n" for h in hashes).encode()).hexdigest(), len(hashes)


def checked(name, stream):
    run = subprocess.run([sys.executable, CHECK, "--skip-leading", "--es", stream, name], capture_output=True, text=True, timeout=SECONDS)
    verdict, _, more = run.stdout.partition("\n")
    return run.returncode, verdict, json.loads(more).get("es", {}).get("frames")


def slices(name):
    """The md5 of all slices in all mdats, in order."""
    with open(name, "rb") as f:
        data = f.read()
    all_of_them, at = hashlib.md5(), 0
    while at < len(data):
        size, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        nal, at = at + 8, at + size
        while kind == b"mdat" and nal < at:
            length = int.from_bytes(data[nal:nal + 4], "big")
            if 1 <= data[nal + 4] & 31 <= 5:
                all_of_them.update(data[nal:nal + 4 + length])
            nal += 4 + length
    return all_of_them.hexdigest()


def samples(verdict):
    return next((int(word[8:]) for word in verdict.split() if word.startswith("samples=")), -1)


def written(stream, name, to_pipe):
    """What the muxer made of it: its exit status, what it said."""
    with open(stream, "rb") as source, open(name, "wb") as target:
        run = subprocess.Popen([MUX], stdin=source, stdout=subprocess.PIPE if to_pipe else target, stderr=subprocess.PIPE)
        try:
            out, said = run.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            run.kill()
            return -1, "still running"
        if to_pipe:
            target.write(out)
    return run.returncode, said.decode().strip()


def judge(row, work):
    """What is wrong with a stream, or nothing; and a word on what was looked at."""
    stream = os.path.join(CORPUS, row["file"])
    exact = row["e2e"].startswith("yes")
    seen, in_file = [], ""
    for to_pipe in (False, True):
        way = "pipe" if to_pipe else "file"
        name = os.path.join(work, row["file"] + "." + way + ".mp4")
        status, said = written(stream, name, to_pipe)
        if status not in (0, 1) or (status == 1) != (os.path.getsize(name) == 0):
            return f"{way}: exit {status}: {said}", seen
        if status == 1:
            if exact:
                return f"{way}: {said}", seen
            seen.append("nothing that decodes")
            continue
        bad, verdict, frames = checked(name, stream)
        # A pipe may have a second ftyp and moov, for which the judge is not made.
        epochs = to_pipe and "first: second ftyp" in verdict
        if bad and not epochs:
            return f"{way}: {verdict}", seen
        if exact and not epochs and samples(verdict) != frames:
            return f"{way}: {samples(verdict)} samples, {frames} frames", seen
        if to_pipe and slices(name) != in_file:
            return "the pipe's slices are not the file's", seen
        in_file = slices(name)
        if exact and not epochs and shutil.which("ffmpeg"):
            got, count = frames_md5(name)
            if got != row["framemd5_md5"]:
                return f"{way}: {count} frames, {row['decoded_frames']} wanted, or others", seen
        seen.append("all slices, moov after moov" if epochs else f"{samples(verdict)} samples" + " of the right frames" * exact)
        os.unlink(name)
    return "", seen


def main():
    manifest = os.path.join(CORPUS, "manifest.tsv")
    if not os.path.exists(manifest):
        print("1..0 # SKIP no corpus")
        return 0
    with open(manifest, newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    failed = 0
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (row, (wrong, seen)) in enumerate(zip(rows, pool.map(lambda r: judge(r, work), rows)), 1):
            failed += bool(wrong)
            print(f"{'not ok' if wrong else 'ok'} {number} - {row['file']}: {wrong or ', '.join(seen)}".replace("#", ""), flush=True)
    print(f"1..{len(rows)}")
    return failed > 0


sys.exit(main())
