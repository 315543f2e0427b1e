#!/usr/bin/env python3
"""fmp4streamer as a program: the tree it starts, and what becomes of it when its parts are killed.

KILLS: how many processes are killed, one after the other, in random order (default 30). SEED: of the order.
"""
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import live
from appliance import FMP4STREAMER, Appliance, Viewer, longest, memory, name_of
from live import SLOW, finish, moofs, ok, skip, wait_for

KILLS = int(os.environ.get("KILLS", "30"))
SEED = int(os.environ.get("SEED", "1"))
TREE = ["fanout", "fmp4streamer", "h264fmp4", "ondemand", "ringput", "s6-supervise cam0", "s6-supervise cam0/log",
        "s6-supervise web", "s6-svscan", "testcard"]


CAMERA = "[/dev/video0]\ncommand = testcard -g 15\n"


def tree():
    a = Appliance(CAMERA, noexec=True)
    (ok if a.mounted else lambda good, what: skip(what, "cannot mount here"))(
        True, "the run directory is mounted noexec")
    ok(a.told == f"fmp4streamer: http://127.0.0.1:{a.port}/\n", f"ready: {a.told.strip()}")
    asleep = [name for name in TREE if name != "testcard"]
    ok(wait_for(lambda: a.names() == asleep), f"without viewers: {', '.join(a.names())}")
    s, (status, _, _) = a.request("/still.mp4")
    ok(status == 200, f"a still of a camera that has never run wakes it: {status}")
    s.close()
    ok(wait_for(lambda: a.names() == asleep, 15), "for as long as that takes")
    time.sleep(2.5)  # until then its last picture is new enough to be shown at once
    scripts = [os.path.join(d, f) for d, _, files in os.walk(a.run) for f in files if os.access(os.path.join(d, f), os.X_OK)
               and not os.path.islink(os.path.join(d, f))]
    ok(not scripts, f"nothing executable in the run directory: {scripts}")
    began = time.monotonic()
    s, (status, _, body) = a.request()
    while b"mdat" not in body:
        body += s.recv(1 << 16)
    ok(status == 200, f"a viewer wakes the camera: first picture after {1000 * (time.monotonic() - began):.0f} ms")
    ok(wait_for(lambda: a.names() == TREE), f"with a viewer: {', '.join(a.names())}")
    v_cpu = a.cpu()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        s.recv(1 << 16)
    v_cpu = (a.cpu() - v_cpu) / 3
    s.close()
    ok(wait_for(lambda: a.names() == asleep, 15), "without viewers it goes to sleep again")
    before = a.cpu()
    time.sleep(5)
    still = (a.cpu() - before) / 5
    ok(still <= v_cpu / 4 + 0.002, f"processor, asleep {100 * still:.2f} %, awake {100 * v_cpu:.2f} %")
    second = subprocess.run([FMP4STREAMER, "-c", a.conf], env=a.env, capture_output=True, timeout=30)
    ok(second.returncode == 0 and b"runs already, as process %d: told to read" % a.process.pid in second.stdout,
       f"a second one with the same file: {second.stdout.decode().strip()}")
    other = os.path.join(a.dir, "other.conf")
    with open(other, "w", encoding="ascii") as f:
        f.write("")
    second = subprocess.run([FMP4STREAMER, "-c", other], env=a.env, capture_output=True, timeout=30)
    ok(second.returncode == 111 and b"runs already, as process %d" % a.process.pid in second.stderr,
       f"with another: {second.stderr.decode().strip()}")
    began = time.monotonic()
    ok(a.stop(signal.SIGINT) == 0, f"SIGINT: ends with 0, in {time.monotonic() - began:.1f} s")
    ok(not a.pids() and sorted(os.listdir(a.run)) == ["lock"], "and leaves nothing")
    a.remove()


def kills():
    a = Appliance(CAMERA)
    v = Viewer(a)
    ok(wait_for(lambda: a.names() == TREE), "all run")
    files = {name: a.open_files(name) for name in ("fanout", "fmp4streamer")}
    order, outages, requests, trouble = random.Random(SEED), {}, [], []
    for n in range(KILLS):
        wait_for(lambda: v.since(time.monotonic() - 0.2), 10)
        name = order.choice([t for t in TREE if t != "fmp4streamer"])
        pid, web = a.pid(name), a.pid("fanout")
        upstream = not (name == "fanout" or name in ("s6-svscan", "s6-supervise web"))
        time.sleep(order.random() / 4)
        when = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        if upstream:
            came = wait_for(lambda: (v.since(when + 0.15) or 0) and longest(v.times, when), 12)
        else:
            wait_for(lambda: name_of(web) is None, 5)
            a.request("/status.json")[0].close()
            came = time.monotonic() - when
            v.close()
            v = Viewer(a)
        (outages.setdefault(name, []) if upstream else requests.append((name, came)) or []).append(came)
        if not wait_for(lambda: a.names() == TREE, 12):
            trouble.append(f"{n}: {name}: then {a.names()}")
        if v.ended:
            trouble.append(f"{n}: {name}: the connection ended")
            v = Viewer(a)
    ok(not trouble, f"{KILLS} kills in random order (seed {SEED}): each time all is there again, once: {trouble[:5]}")
    check_after(a, v, files)
    report(outages, requests)
    v.close()
    a.stop()
    a.remove()


def check_after(a, v, files):
    ok(wait_for(lambda: a.slots() == 1), f"one viewer, {a.slots()} slot taken")
    now = {name: wait_for(lambda: a.open_files(name) <= files[name]) and a.open_files(name) or a.open_files(name)
           for name in files}
    ok(all(now[name] <= files[name] for name in files), f"descriptors before {files}, after {now}")
    wait_for(lambda: len(list(moofs(v.data))) > 5)  # the last kill may have been fanout's
    found = moofs(v.data)
    times = [f["tfdt"] for f in found]
    ok(all(x < y for x, y in zip(times, times[1:])) and len(found) > 5, f"{len(found)} fragments, no time goes back")


def report(outages, requests):
    every = sorted(x for per_name in outages.values() for x in per_name)
    for name, per_name in sorted(outages.items()):
        print(f"# {name}: {len(per_name)} kills, outage median {1000 * statistics.median(per_name):.0f} ms, "
              f"longest {1000 * max(per_name):.0f}")
    for name in sorted(set(name for name, _ in requests)):
        some = [t for found, t in requests if found == name]
        print(f"# {name}: {len(some)} kills, answers again after {1000 * statistics.median(some):.0f} ms, "
              f"longest {1000 * max(some):.0f}")
    if every:
        p95 = every[min(len(every) - 1, len(every) * 95 // 100)]
        ok(p95 < 2 * SLOW, f"upstream: outage p50 {1000 * statistics.median(every):.0f} ms, p95 {1000 * p95:.0f} ms")
    web = [t for name, t in requests if name == "fanout"]
    ok(all(t < 1 * SLOW for t in web), "fanout killed: new requests are answered within a second")


def root_killed():
    """Without the one that started it all nothing goes on; and the next finds a clean place."""
    a = Appliance(CAMERA)
    v = Viewer(a)
    wait_for(lambda: a.names() == TREE)
    a.stop(signal.SIGKILL)
    began = time.monotonic()
    a.start()
    ok(a.told.startswith("fmp4streamer: http://"), f"fmp4streamer killed: the next serves after {time.monotonic() - began:.1f} s")
    ok(wait_for(lambda: a.names() == [name for name in TREE if name != "testcard"]),
       f"and nothing is left of the first: {a.names()}")
    v.close()
    ok(a.stop() == 0, "SIGTERM: 0")
    a.remove()


def failing():
    """100 stays down, 111 comes again, and the others do not notice. What a service says is in the log."""
    count = os.path.join(tempfile.mkdtemp(dir=memory), "count")
    script = "echo x >>$0; echo no use >&2; exit $1"
    a = Appliance(f"[/dev/a]\nname = never\nauto_sleep = no\ncommand = sh -c '{script}' {count}.100 100\n"
                  f"[/dev/b]\nname = again\nauto_sleep = no\ncommand = sh -c '{script}' {count}.111 111\n"
                  f"[/dev/c]\nname = absent\nauto_sleep = no\ncommand = /nonexistent/camera\n"
                  f"[/dev/d]\nname = fine\ncommand = testcard\n")
    s, (status, _, _) = a.request("/fine/raw.mp4")
    ok(status == 200, "the service that can run does")
    s.close()
    wait_for(lambda: os.path.exists(count + ".111") and os.path.getsize(count + ".111") >= 3 * 2, 15)
    tries = {n: os.path.getsize(f"{count}.{n}") // 2 for n in (100, 111)}
    ok(tries[100] == 1 and tries[111] >= 3, f"100 is tried once, 111 again and again: {tries}")
    time.sleep(0.5)
    lines = a.said().splitlines()
    ok(lines.count("again: no use") == 1, "a line that comes again and again is written once")
    ok("never: exit status 100: it stays down until its settings change" in lines and
       "again: ondemand: sh: exit status 111" in lines, "how it ended, and what becomes of it")
    ok("never: no use" in lines and any(line.startswith("absent: ondemand: /nonexistent/camera: ") for line in lines),
       "each line has the camera's name in front")
    with open(os.path.join(a.run, "log/never"), encoding="utf-8") as f:
        ok("never: no use\n" in f.read(), "and is kept in the run directory")
    a.stop()
    a.remove()
    shutil.rmtree(os.path.dirname(count))


def verbs():
    """status and stop, of an appliance that runs and of none."""
    a = Appliance(CAMERA + "[/dev/b]\nname = never\nauto_sleep = no\ncommand = sh -c 'echo no use >&2; exit 100'\n")

    def say(verb):
        r = subprocess.run([FMP4STREAMER, "-c", a.conf, verb], env=a.env, capture_output=True, timeout=30)
        return r.returncode, r.stdout.decode(), r.stderr.decode()
    wait_for(lambda: "no use" in a.said())
    wait_for(lambda: "exitcode 100" in say("status")[1])
    code, said, error = say("status")
    lines = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in said.splitlines()}
    ok(code == 0 and lines["web"].startswith("up ") and lines["cam0"].startswith("up ") and
       lines["never"].startswith("down (exitcode 100)") and "never: no use" in said and not error,
       "status: " + said.strip().replace("\n", " | "))
    ok(say("stop") == (0, "", "") and a.process.wait(5) == 0 and not a.pids(), "stop: all has ended")
    ok(say("stop") == (0, "", ""), "stop, once more: nothing to do")
    code, said, error = say("status")
    ok(code == 111 and not said and error.count("\n") == 1, f"status then: {error.strip()}")
    a.stop()
    a.remove()


def forking():
    """A command that is a pipeline of a shell's leaves nothing behind when it is put to sleep."""
    a = Appliance("[/dev/a]\nname = a\ncommand = sh -c 'testcard -g 15 | (setsid cat)'\n")
    for n in range(2):
        s, (status, _, _) = a.request("/a/raw.mp4")
        ok(status == 200 and wait_for(lambda: "testcard" in a.names()), f"viewer {n + 1}: it runs")
        s.close()
        ok(a.names().count("testcard") == 1 and a.names().count("cat") == 1, "once")
        ok(wait_for(lambda: not {"testcard", "cat", "sh"} & set(a.names()), 20), "and rests, all of it")
    s, _ = a.request("/a/raw.mp4")
    wait_for(lambda: a.pid("cat"))
    cat = a.pid("cat")
    os.kill(a.pid("ondemand"), signal.SIGKILL)
    ok(wait_for(lambda: name_of(cat) is None, 20), "ondemand killed: what it leaves is found and killed")
    wait_for(lambda: a.pid("cat"))
    os.kill(a.pid("ondemand"), signal.SIGKILL)
    s.close()
    began = time.monotonic()
    ok(a.stop() == 0 and not a.pids() and time.monotonic() - began < 6 * SLOW,
       f"and it stops, in {time.monotonic() - began:.1f} s: {a.names()}")
    a.remove()


def unread():
    """Whoever reads what the appliance says goes, or stops reading: the cameras and SIGTERM are not his."""
    for what in ("goes", "stops reading"):
        r, w = os.pipe()
        a = Appliance("[/dev/a]\nname = a\nauto_sleep = no\n"
                      "command = sh -c 'i=0; while :; do echo $i >&2; i=$((i + 1)); done & exec testcard -g 15'\n", said=w)
        os.close(w)
        if what == "goes":
            os.close(r)
        time.sleep(2)
        s, (status, _, _) = a.request("/a/raw.mp4")
        ok(status == 200 and a.process.poll() is None, f"the reader of its log {what}: it serves")
        s.close()
        ok(a.stop() == 0 and not a.pids(), "and stops")
        if what != "goes":
            os.close(r)
        a.remove()


def full():
    """No room for what is new in the file: what there was goes on."""
    a = Appliance(CAMERA, size="100k")
    if not a.mounted:
        skip("a full run directory", "cannot mount here")
        a.stop()
        return a.remove()
    v = Viewer(a)
    fill = os.open(os.path.join(a.run, "fill"), os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(fill, bytes(4096)):
            pass
    except OSError:
        os.close(fill)
    with open(a.conf, "a", encoding="utf-8") as f:
        f.write("[/dev/b]\ncommand = testcard\n")
    a.process.send_signal(signal.SIGHUP)
    ok(wait_for(lambda: "No space left" in a.said()), f"it says so: {a.said().strip()[-80:]}")
    time.sleep(0.5)
    ok(v.since(time.monotonic() - 0.5) and not v.ended, "and the camera goes on")
    os.unlink(os.path.join(a.run, "fill"))
    a.process.send_signal(signal.SIGHUP)
    ok(wait_for(lambda: a.names().count("ondemand") == 2, 10), "with room again, and the signal, the new one comes")
    v.close()
    ok(a.stop() == 0 and not a.pids(), "all ends")
    a.remove()


def data_only():
    """Whatever a value says, it is one argument, and no shell sees it."""
    out = os.path.join(tempfile.mkdtemp(dir=memory), "args")
    words = ["$(touch /tmp/x)", "`id`", "a'b", 'c"d', "e;f|g&h>i", "*", "-n", "", "two\nlines", "ü %s %n"]
    quoted = " ".join("'" + w.replace("'", "'\"'\"'").replace("\n", "\n   ") + "'" for w in words)
    python = "import sys; open(sys.argv[1], \"w\").write(repr(sys.argv[2:])); sys.exit(100)"
    a = Appliance(f"[/dev/a]\nauto_sleep = no\ncommand = {sys.executable} -c '{python}' {out} {quoted}\n")
    wait_for(lambda: os.path.exists(out) and os.path.getsize(out))
    with open(out, encoding="utf-8") as f:
        ok(f.read() == repr(words), "arguments with blanks, quotes, dollars and newlines come as they are")
    a.stop()
    a.remove()
    shutil.rmtree(os.path.dirname(out))


def flood():
    """A service that never stops complaining fills neither the disk nor its own pipe, and the video goes on."""
    a = Appliance("[/dev/a]\nauto_sleep = no\ncommand = sh -c 'i=0; while :; do echo $i >&2; i=$((i + 1)); done & exec testcard -g 15'\n")
    v = Viewer(a)
    os.kill(a.process.pid, signal.SIGSTOP)
    time.sleep(2)
    ok(v.since(time.monotonic() - 0.5), "the log is not read: the video goes on")
    os.kill(a.process.pid, signal.SIGCONT)
    time.sleep(0.5)
    size = sum(os.path.getsize(os.path.join(a.run, "log", f)) for f in os.listdir(os.path.join(a.run, "log")))
    ok(1000 < size < 200000, f"{size} bytes of log kept")
    v.close()
    a.stop()
    with open(a.said_path, "w", encoding="utf-8"):
        pass
    a.remove()


def logged():
    """log = yes: a line for each request, where the rest of the log is; and none without it, once that is said."""
    a = Appliance("log = yes\n" + CAMERA)
    s, (status, _, _) = a.request("/still.mp4?first")
    s.close()
    line = r'^web: 127\.0\.0\.1 - - \[[^]]+\] "GET /still\.mp4\?%s HTTP/1\.1" 200 \d+ "-" "-" \d+\.\d{3} -$'
    ok(status == 200 and wait_for(lambda: re.search(line % "first", a.said(), re.M)), "log = yes: a request is in the log")
    with open(a.conf, encoding="utf-8") as f:
        text = f.read()
    with open(a.conf, "w", encoding="utf-8") as f:
        f.write(text.replace("log = yes", "log = no"))
    web = a.pid("fanout")
    a.process.send_signal(signal.SIGHUP)
    ok(wait_for(lambda: a.pid("fanout") not in (web, None), 10), "log = no: the web server starts anew")
    s, (status, _, _) = a.request("/still.mp4?second")
    s.close()
    time.sleep(0.5)
    ok(status == 200 and "second" not in a.said(), "and logs nothing any more")
    ok(a.stop() == 0, "all ends")
    a.remove()


def changed():
    """SIGHUP: only what is other than before is touched."""
    def conf(a, text):
        with open(a.conf, "w", encoding="utf-8") as f:
            f.write(f"[server]\nlisten = 127.0.0.1\nport = {a.port}\n" + text)
        a.process.send_signal(signal.SIGHUP)
    first, second = "[/dev/a]\nname = a\ncommand = testcard -g 15\n", "[/dev/b]\nname = b\ncommand = testcard\n"
    a = Appliance(first + second)
    v = Viewer(a)
    wait_for(lambda: v.times)
    pids = a.pids()
    conf(a, first + second + "nonsense\n")
    ok(wait_for(lambda: ":10: " in a.said() and "fmp4streamer: nothing changes\n" in a.said()), "a mistake is said")
    time.sleep(0.5)
    ok(a.pids() == pids and not v.ended, "and nothing changes")
    conf(a, first + second.replace("testcard", "testcard -s 320x240"))
    ok(wait_for(lambda: sorted(set(pids) - set(a.pids())) and len(a.pids()) == len(pids)), "one camera's command changes")
    time.sleep(0.5)
    gone = [pids[pid] for pid in set(pids) - set(a.pids())]
    ok(gone == ["ondemand"] and not v.ended, f"only that service starts anew: {gone}")
    s, (_, _, body) = a.request("/b/raw.mp4")
    ok(b"\x01\x40\x00\xf0" in body + s.recv(65536), "and has the new size")
    s.close()
    conf(a, first)
    ok(wait_for(lambda: a.names().count("ondemand") == 1 and a.names().count("ringput") == 1, 10),
       "a camera that is no longer in the file ends")
    ok(wait_for(lambda: sorted(os.listdir(a.rings)) == ["a.ctl", "a.ring"]), "and its ring's memory is free")
    conf(a, first + second)
    def answer():
        s, (status, _, _) = a.request("/b/raw.mp4")
        s.close()
        return status
    ok(wait_for(lambda: answer() == 200, 10) and a.names().count("ondemand") == 2, "and is there again when it is")
    v.close()
    ok(a.stop() == 0 and not a.pids(), "all ends")
    a.remove()


def unreadable():
    """A file that is away, or something else, when it is to be read again: nothing changes."""
    a = Appliance(CAMERA)
    away = a.conf + ".away"
    wait_for(lambda: a.names() == [name for name in TREE if name != "testcard"])  # all that starts has started
    for what, make in (("away", lambda: None), ("a fifo", lambda: os.mkfifo(a.conf)), ("a directory", lambda: os.mkdir(a.conf)),
                       ("too large", lambda: open(a.conf, "w", encoding="ascii").write("#" * 70000))):
        os.rename(a.conf, away)
        make()
        before, pids = len(a.said()), a.pids()
        a.process.send_signal(signal.SIGHUP)
        ok(wait_for(lambda: "fmp4streamer: nothing changes\n" in a.said()[before:]) and a.pids() == pids,
           f"the file is {what}: {a.said()[before:].splitlines()[0]}")
        if os.path.isdir(a.conf):
            os.rmdir(a.conf)
        os.rename(away, a.conf)
    ok(a.stop() == 0, "and it ends as ever")
    a.remove()


def together():
    """Two that start at once: one runs, the other has told it to read the file again, or, where it
    has another file, says whose it is."""
    a = Appliance(CAMERA)
    a.stop()
    other = os.path.join(a.dir, "with-another-and-a-longer-name.conf")
    shutil.copy(a.conf, other)
    for n in range(10):
        confs = [a.conf, a.conf if n % 2 else other]
        both = []
        for conf in confs:
            with open(conf + ".said", "wb") as said:
                both.append(subprocess.Popen([FMP4STREAMER, "-c", conf], env=a.env, stdout=subprocess.PIPE, stderr=said))
        wait_for(lambda: sum(p.poll() is not None for p in both) == 1, 10)
        codes = [p.poll() for p in both]
        if n % 2:
            ok(sorted(codes, key=str) == [0, None], f"{n + 1}: one is told, and ends with 0: {codes}")
        else:
            with open(confs[codes.index(None) ^ 1] + ".said", encoding="utf-8") as f:
                said = f.read()
            ok(sorted(codes, key=str) == [111, None] and said.endswith(f", with {confs[codes.index(None)]}\n"),
               f"{n + 1}: one with another file is told whose it is: {codes} {said.strip()}")
        a.request("/status.json")[0].close()
        for p in both:
            p.terminate()
            p.wait(20)
            p.stdout.close()
    wait_for(lambda: not a.pids())
    a.remove()


def usage():
    def run(*args, conf=None):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
            f.write(conf or "")
            f.flush()
            with tempfile.TemporaryDirectory(dir=memory) as place:
                env = {**os.environ, "FMP4STREAMER_RUN": place, "FMP4STREAMER_ONE_USER": "1"}
                r = subprocess.run([FMP4STREAMER, *(["-c", f.name] if conf is not None else []), *args],
                                   capture_output=True, timeout=20, cwd="/", env=env)
            return r.returncode, r.stderr.decode().replace(f.name, "FILE")
    ok(run("-h")[0] == 0 and run("-V")[0] == 0, "-h, -V")
    for args in (("-x",), ("walk",), ("run", "run"), ("-c",)):
        status, said = run(*args)
        ok(status == 100 and said.count("\n") == 1, f"{' '.join(args)}: {said.strip()}")
    ok(run("-c", "/nonexistent", "check")[0] == 100, "a file that is named must be there")
    ok(run("check", conf="[/dev/a]\ncommand = true\n") == (0, ""), "check: a file that is fine")
    status, said = run("check", conf="[/dev/nosuchcamera]\n")
    ok(status == 111 and said == "fmp4streamer: FILE:1: [/dev/nosuchcamera]: No such file or directory: it is waited for\n",
       f"check: a camera that is not there: {said.strip()}")
    status, said = run("check", conf="[/dev/a]\ncommand = true\n[/dev/b]\n\ncommand = nosuchprogram -x\n")
    ok(status == 100 and said == "fmp4streamer: FILE:3: [/dev/b]: command: nosuchprogram: no such program\n",
       f"check: a command that is nowhere: {said.strip()}")
    status, said = run("check", conf="[server]\nport = 0\nprot = 1\n[/dev/video0]\nfps = fast\nname = web\n[x]\n[server]\n")
    want = ["FILE:2: port = 0: ", "FILE:3: prot: ", "FILE:5: fps = fast: ", "FILE:6: name = web: ", "FILE:7: [x]: ",
            "FILE:8: [server]: "]
    lines = said.splitlines()
    ok(status == 100 and len(lines) == len(want) and
       all(line.startswith("fmp4streamer: " + w) for line, w in zip(lines, want)), f"check says every mistake: {lines}")


parts = [usage, tree, verbs, changed, unreadable, together, full, kills, root_killed, failing, forking, unread, data_only, flood, logged]
if not shutil.which("s6-svscan"):
    sys.exit("s6 is not installed")
for part in parts:
    if len(sys.argv) < 2 or part.__name__ in sys.argv[1:]:
        live.run_all(part)
sys.exit(finish())
