#!/usr/bin/env python3
"""What changes under a ring's readers: the size of the pictures, the file that has the name, and who reads ringcat."""
import os
import shutil
import subprocess
import tempfile
import time

TEMP = tempfile.mkdtemp()
RINGS = os.environ["FMP4STREAMER_RINGS"] = os.path.join(TEMP, "rings")
os.mkdir(RINGS)

from live import BUILD, H264FMP4, TESTCARD, Reader, Server, boxes, finish, head, moofs, ok, wait_for

RINGPUT, RINGCAT = (os.path.join(BUILD, tool) for tool in ("ringput", "ringcat"))
SIZES = ["640x480", "320x240"] * 3


def decoded(data, name):
    """The sizes of the pictures that come out, in order, and what the decoder said."""
    path = os.path.join(TEMP, name)
    with open(path, "wb") as f:
        f.write(data)
    run = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "frame=width,height", "-of", "csv=p=0:s=x", path],
                         capture_output=True, text=True, timeout=60)
    sizes = [line.rstrip("x") for line in run.stdout.split()]
    return sizes, [b for a, b in zip([None, *sizes], sizes) if a != b], run.stderr.strip()


def camera(name, size, frames, *more):
    card = subprocess.Popen([TESTCARD, "-g", "15", "-s", size, "-n", str(frames), *more], stdout=subprocess.PIPE)
    subprocess.run([RINGPUT, "-m", "8", name, H264FMP4], stdin=card.stdout, check=True)
    card.stdout.close()
    card.wait()


def sizes():
    camera("size", SIZES[0], 10, "-x")
    server = Server("size", source=subprocess.DEVNULL)
    with open(os.path.join(TEMP, "cat.mp4"), "wb") as f:
        cat = subprocess.Popen([RINGCAT, "size"], stdout=f)
    readers = {}
    for path in ("stream", "raw"):
        s = server.connect()
        s.sendall(head(f"/size/{path}.mp4"))
        readers[path] = s, Reader(s)
    for size in SIZES:
        camera("size", size, 45)
    time.sleep(0.5)
    cat.terminate()
    ok(cat.wait(10) == 0, "ringcat goes on through every change")
    with open(f.name, "rb") as f:
        got = f.read()
    for path, (s, reader) in readers.items():
        ok(reader.is_alive(), f"{path}.mp4: on the same connection")
        s.shutdown(2)
        body = reader.all()
        s.close()
        readers[path] = body[:sum(8 + len(b) for _, b in boxes(body))]
    readers["ringcat"] = got
    for name, data in readers.items():
        least = 180 if name == "stream" else 260  # it stays live: what a change of camera held up is left out
        frames, turns, said = decoded(data, name + ".mp4")
        times = [m["tfdt"] for m in moofs(data)]
        ok(times == sorted(times) and len(times) >= least, f"{name}: {len(times)} fragments, time never goes back")
        ok(turns == SIZES and len(frames) >= least, f"{name}: {len(frames)} frames, {' '.join(turns)} {said[-200:]}")
    inits = {name: sum(kind == b"moov" for kind, _ in boxes(data)) for name, data in readers.items()}
    ok(inits == {"stream": 1, "raw": len(SIZES), "ringcat": len(SIZES)}, f"init segments: {inits}")
    server.stop()


def silent_swap():
    """A writer that died between taking the name and telling."""
    camera("swap", "320x240", 30, "-x")
    server = Server("swap", source=subprocess.DEVNULL)
    with server.connect() as s:
        s.sendall(head("/swap/raw.mp4"))
        wait_for(lambda: server.status()["cameras"][0]["viewers"]["raw"] == 1)
        path = os.path.join(RINGS, "swap.ring")
        shutil.copy(path, path + ".new")
        before = time.monotonic()
        os.rename(path + ".new", path)
        reader = Reader(s)
        reader.join(10)
        ok(not reader.is_alive(), f"the name taken in silence: seen in {time.monotonic() - before:.1f} s")
    ok(wait_for(lambda: server.status()["cameras"][0]["fragments"] > 20), "and the new one is found")
    server.stop()


def unread():
    camera("unread", "320x240", 30, "-x")
    for name in ("unread", "missing"):
        cat = subprocess.Popen([RINGCAT, name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        ok(cat.poll() is None, f"ringcat {name}: waits in silence")
        cat.stdout.close()
        ok(wait_for(lambda c=cat: c.poll() is not None, 5) and cat.poll() == 0, "ends when nobody reads it any more")
        if cat.poll() is None:
            cat.kill()


for job in (sizes, silent_swap, unread):
    try:
        job()
    except Exception:
        import traceback
        ok(False, f"{job.__name__}: {traceback.format_exc(limit=3)}".replace("\n", "\n# "))
failed = finish()
shutil.rmtree(TEMP, ignore_errors=True)
raise SystemExit(failed)
