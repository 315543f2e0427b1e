#!/usr/bin/env python3
"""Recordings in the appliance: what runs, what lies where, what is served, and that the live stream knows nothing of it.

BROWSER=no: without the browsers.
"""
import datetime
import importlib.machinery
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import live
from appliance import FMP4STREAMER, Appliance, Viewer, longest, memory, name_of, watch_data
from live import BUILD, ROOT, SLOW, captured, finish, moofs, ok, skip, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests/browser"))
import collect  # noqa: E402

CAMERA = "[/dev/video0]\ncommand = testcard -g 15\n"
CLIP = os.path.join(BUILD, "fmp4streamer-clip")
DAY = re.compile(r"\d{4}-\d\d-\d\d\.m3u8")


def get(a, path):
    """Status, type and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{a.port}{path}", timeout=10 * SLOW) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as e:
        return e.code, None, b""


def conf(a, text):
    with open(a.conf, "w", encoding="utf-8") as f:
        f.write(f"[server]\nlisten = 127.0.0.1\nport = {a.port}\n" + text)
    a.process.send_signal(signal.SIGHUP)


def segments(directory):
    """The numbers of those that a day's playlist lists."""
    listed = []
    for name in sorted(filter(DAY.fullmatch, os.listdir(directory) if os.path.isdir(directory) else [])):
        with open(os.path.join(directory, name), encoding="ascii") as f:
            listed += [int(n) for n in re.findall(r"^seg-(\d+)\.m4s$", f.read(), re.M)]
    return listed


def grows(directory, by=1, seconds=15):
    before = len(segments(directory))
    return wait_for(lambda: len(segments(directory)) >= before + by, seconds)


def recording(a, camera="cam0"):
    return os.path.join(a.dir, "state/recordings", camera)


def clipped(a, start, end):
    """A clip of cam0 between these moments (seconds since 1970), its exit status and what was said."""
    run = subprocess.run([CLIP, "cam0", f"@{start:.3f}", f"@{end:.3f}"], env=a.env, capture_output=True, check=False)
    return run.stdout, run.returncode, run.stderr.decode()


def records():
    """One line is enough: everything, at its default place, watched from the page."""
    a = Appliance(CAMERA + "[record]\nsegment = 1\n")
    ok(wait_for(lambda: {"testcard", "ringcat", "fmp4hls"} <= set(a.names()), 10), f"it records: {', '.join(a.names())}")
    ok("s6-supervise rec-cam0" in a.names(), "in a service of its own")
    ok(grows(recording(a), 3), f"{recording(a)}: {sorted(os.listdir(recording(a)))[:3]}")
    ok(a.slots() == 1, f"it is a viewer: the camera does not sleep: {a.slots()}")
    status, kind, page = get(a, "/recordings/")
    ok(status == 200 and kind.startswith("text/html") and b'href="cam0/"' in page, "/recordings/ leads to the camera's")
    links = [re.search(rb'href="([^"]*recordings[^"]*)"', get(a, path)[2]) for path in ("/", "/cam0/")]
    ok([m and m[1] for m in links] == [b"recordings/cam0/", b"../recordings/cam0/"], f"so do both pages of it: {links}")
    status, kind, _ = get(a, "/recordings/cam0/")
    ok(status == 200 and kind.startswith("text/html"), "/recordings/cam0/ is the recorder's own page")
    day = next(filter(DAY.fullmatch, sorted(os.listdir(recording(a)), reverse=True)))
    status, kind, playlist = get(a, f"/recordings/cam0/{day}")
    ok(status == 200 and kind == "application/vnd.apple.mpegurl" and b"#EXTINF" in playlist, f"a day's playlist: {kind}")
    listed = re.findall(r"^seg-\d+\.m4s$", playlist.decode(), re.M)
    status, kind, segment = get(a, f"/recordings/cam0/{listed[0]}")
    with open(os.path.join(recording(a), listed[0]), "rb") as f:
        ok((status, kind) == (200, "video/iso.segment") and segment == f.read(), f"a segment: {kind}")
    dates = re.findall(r"PROGRAM-DATE-TIME:(\S+)", playlist.decode())
    first = datetime.datetime.fromisoformat(dates[0].replace("Z", "+00:00")).timestamp()
    with open(os.path.join(recording(a), listed[0]), "rb") as f:
        shown = captured(moofs(f.read())[0]["payload"]) / 1e6
    ok(abs(first - shown) < 0.002, f"which has the capture time of its first picture: {dates[0]}")
    ok(a.stop() == 0 and not a.pids(), "SIGTERM: all ends")
    count = len(segments(recording(a)))
    a.start()
    ok(wait_for(lambda: len(segments(recording(a))) > count + 1, 15), "started again it goes on in the same place")
    a.stop()
    a.remove()


def changed():
    """SIGHUP with and without [record], and with other keys in it."""
    two = "[/dev/a]\nname = a\ncommand = testcard -g 15\n[/dev/b]\nname = b\ncommand = testcard -g 15\n"
    a = Appliance(two)
    viewers = [Viewer(a)]
    wait_for(lambda: viewers[0].times)
    before = a.pids()
    conf(a, two + "[record]\nsegment = 1\ncameras = b\n")
    ok(wait_for(lambda: segments(recording(a, "b")), 15), "[record] added: it begins")
    ok(not os.path.exists(recording(a, "a")), "with the one camera that is named")
    came = sorted(name for pid, name in a.pids().items() if pid not in before)
    ok(set(before) <= set(a.pids()) and came[:3] == ["fmp4hls", "ringcat", "s6-supervise rec-b"],
       f"nothing else starts anew: {came}")
    ok(b"recordings" in get(a, "/b/")[2] and b"recordings" not in get(a, "/a/")[2], "its page, and no other's, has a link")
    middle = a.pids()
    conf(a, two + "[record]\nsegment = 1\ncameras = b\nkeep = 1h\n")
    ok(wait_for(lambda: a.pid("ringcat") not in (None, *middle), 10), "another keep: the recorder starts anew")
    gone = sorted(name for pid, name in middle.items() if pid not in a.pids() and name != "testcard")
    ok(gone == ["fmp4hls", "ringcat"] and grows(recording(a, "b")), f"and nothing else: {gone}")
    conf(a, two + "[record]\nsegment = 1\n")
    ok(wait_for(lambda: segments(recording(a, "a")) and a.names().count("fmp4hls") == 2, 15), "without cameras: all")
    conf(a, two)
    ok(wait_for(lambda: not {"ringcat", "fmp4hls", "s6-supervise rec-a", "s6-supervise rec-b"} & set(a.names()), 15),
       f"[record] taken out: it ends: {', '.join(a.names())}")
    ok(set(name for name in before.values() if name != "testcard") <= set(a.names()) and
       all(pid in a.pids() for pid, name in before.items() if name not in ("testcard", "h264fmp4")), "and nothing else does")
    ok(get(a, "/recordings/")[0] == 404 and segments(recording(a, "a")), "nothing is served any more; the files stay")
    ok(not viewers[0].ended and longest(viewers[0].times, viewers[0].times[5]) < 1 * SLOW, "who watches has noticed nothing")
    viewers[0].close()
    ok(a.stop() == 0 and not a.pids(), "all ends")
    a.remove()


def kills():
    """Whatever becomes of the recorder, the live stream does not notice; and the recorder comes back."""
    a = Appliance(CAMERA + "[record]\nsegment = 1\n")
    grows(recording(a), 2)
    began = time.time()
    v = Viewer(a)
    wait_for(lambda: v.times)
    start = time.monotonic()
    for name in ("ringcat", "fmp4hls", "s6-supervise rec-cam0", "fmp4hls", "ringcat"):
        pid = a.pid(name)
        os.kill(pid, signal.SIGKILL)
        ok(wait_for(lambda p=pid: name_of(p) is None and a.names().count("fmp4hls") == a.names().count("ringcat") == 1, 10) and
           grows(recording(a)), f"{name} killed: it records again")
    pid = a.pid("fmp4hls")
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(pid, signal.SIGCONT)
    ok(grows(recording(a), 2), "stopped for three seconds: it goes on")
    ended = time.time()
    pause = longest(v.times, start)
    ok(not v.ended and pause < 0.5 * SLOW, f"the longest pause a viewer had: {1000 * pause:.0f} ms")
    grows(recording(a), 2)
    film, status, said = clipped(a, began, ended)
    times = [captured(f["payload"]) for f in moofs(film)]
    unique = len(set(times))
    want = (times[-1] - times[0]) * 30 / 1e6 if times else 1
    holes = [f"{(b - a) / 1e6:+.2f}" for a, b in zip(times, times[1:]) if not 0 < b - a < 50000]
    ok(status == 0 and unique > 0.8 * want, f"recorded: {unique} of {want:.0f} pictures of that time {said}, {holes}")
    ok(a.stop() == 0 and not a.pids(), "all ends")
    v.close()
    a.remove()


def full():
    """A disk that is full is no matter of the live stream's, and recording goes on when there is room."""
    disk = tempfile.mkdtemp()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], capture_output=True, check=False).returncode:
        return skip("a full disk", "cannot mount here")
    a = Appliance(CAMERA + f"[record]\nsegment = 1\nkeep = 1h\ndir = {disk}/r\n")
    v = Viewer(a)
    ok("room for" in a.said(), f"too little room is said at the start: {a.said().splitlines()[:1]}")
    ok(wait_for(lambda: len(segments(f"{disk}/r/cam0")) > 2, 15), "it begins")
    ok(wait_for(lambda: "No space left" in a.said(), 60), f"the disk is full: {a.said().splitlines()[-1:]}")
    time.sleep(2)
    ok(not v.ended and v.since(time.monotonic() - 0.5) and longest(v.times, v.times[5]) < 0.5 * SLOW, "who watches does not notice")
    subprocess.run(["mount", "-o", "remount,size=32m", disk], check=True)
    ok(grows(f"{disk}/r/cam0", 2, 30), "with room again it records")
    v.close()
    ok(a.stop() == 0 and not a.pids(), "all ends")
    a.remove()
    subprocess.run(["umount", disk], check=True)
    os.rmdir(disk)
    return True


def check():
    """What check says of a [record]."""
    place = tempfile.mkdtemp(dir=memory)

    def says(text):
        with open(os.path.join(place, "a.conf"), "w", encoding="utf-8") as f:
            f.write("[/dev/a]\ncommand = true\n[record]\n" + text)
        env = {**os.environ, "FMP4STREAMER_RUN": place, "FMP4STREAMER_ONE_USER": "1", "FMP4STREAMER_STATE": place}
        r = subprocess.run([FMP4STREAMER, "-c", os.path.join(place, "a.conf"), "check"], env=env, capture_output=True,
                           text=True, timeout=20, check=False)
        return r.returncode, r.stderr.replace(os.path.join(place, "a.conf"), "FILE").replace(place, "PLACE").strip()
    ok(says(f"dir = {place}/r\nkeep = 1d\n") == (0, ""), "a directory that can be made")
    ok(not os.path.exists(f"{place}/r"), "and is not made by check")
    for text, status, want, what in (
            ("dir = /proc/cpuinfo/x\n", 100, "FILE:4: dir = /proc/cpuinfo/x: /proc/cpuinfo is not a directory", "a file"),
            ("keep = 6\n", 100, "FILE:4: keep = 6: not an age", "a count"),
            ("cameras = a\n", 100, "FILE:4: cameras: a: no camera is called that", "an unknown camera"),
            ("keep = 900000T\n", 0, "FILE:4: keep = 900000T: that is more than there is room for, ", "more than there can be"),
            ("keeps = 1\n", 100, "FILE:4: keeps: no key of [record]", "no key")):
        got = says(text)
        ok(got[0] == status and got[1].startswith("fmp4streamer: " + want) and "\n" not in got[1], f"check: {what}: {got}")
    small = tempfile.mkdtemp()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", small], capture_output=True, check=False).returncode:
        skip("check: no room", "cannot mount here")
    else:
        got = says(f"dir = {small}\nkeep = 1d\n")
        ok(got[0] == 111 and "room for 2 MiB" in got[1], f"check: no room: {got}")
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        got = says(f"dir = {small}\nkeep = 1d\n")
        ok(got[0] == 100 and "read-only" in got[1] and "\n" not in got[1], f"check: read-only: {got}")
        subprocess.run(["umount", small], check=True)
    os.rmdir(small)
    shutil.rmtree(place)


def as_users():
    """Root's appliance in a file system of its own, where the users exist: this script again, see below."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        return skip("a user of its own", "needs root and a mount namespace")
    r = subprocess.run(["unshare", "-m", sys.executable, sys.argv[0], "in_namespace"], capture_output=True, text=True, check=False)
    for said in r.stdout.splitlines():
        if said.startswith(("ok ", "not ok ")):
            ok(said.startswith("ok "), said.partition(" - ")[2])
        elif said.startswith("#"):
            print(said)
    return ok(r.returncode == 0, f"all of it: {r.stderr.strip()[-300:]}")


def in_namespace():
    upper = tempfile.mkdtemp(dir=memory)
    for name in ("up", "work"):
        os.mkdir(os.path.join(upper, name))
    subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir=/etc,upperdir={upper}/up,workdir={upper}/work", "none", "/etc"],
                   check=True)
    subprocess.run([os.path.join(ROOT, "service/users"), "add"], check=True)
    a = Appliance(CAMERA + "[record]\nsegment = 1\n")
    ok(grows(recording(a), 1), "as root alone it records")
    a.stop()
    old = set(os.listdir(recording(a)))
    os.chmod(os.path.join(a.dir, "state"), 0o700)  # as a certificate's maker leaves it
    os.chmod(a.dir, 0o755)
    a.env.pop("FMP4STREAMER_ONE_USER")
    rooted = os.stat(os.path.join(recording(a), sorted(os.listdir(recording(a)))[0])).st_uid
    mask = os.umask(0o077)
    a.start()
    os.umask(mask)
    ok(grows(recording(a), 2), f"with users of their own, what root has recorded (uid {rooted}) is gone on with: {a.said()}")
    uid = int(subprocess.run(["id", "-u", "fmp4s-record"], capture_output=True, check=True).stdout)
    gid = int(subprocess.run(["getent", "group", "fmp4streamer"], capture_output=True, check=True).stdout.split(b":")[2])
    for name in ("ringcat", "fmp4hls"):
        with open(f"/proc/{a.pid(name)}/status", encoding="ascii") as f:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        ok(fields["Uid"].split() == [str(uid)] * 4 and int(fields["CapEff"], 16) == 0 and fields["NoNewPrivs"] == "1",
           f"{name} is fmp4s-record's, without a privilege")
    top = os.stat(recording(a))
    ok((top.st_mode & 0o777, top.st_uid, top.st_gid) == (0o750, uid, gid), f"the directory is its: {oct(top.st_mode)}")
    odd = [n for n in os.listdir(recording(a)) for st in [os.stat(os.path.join(recording(a), n))]
           if (st.st_uid, st.st_gid) != (uid, gid) or n not in old and st.st_mode & 0o777 != 0o640]
    ok(not odd, f"so are the files, for its group to read whatever the umask: {odd}")
    day = next(filter(DAY.fullmatch, sorted(os.listdir(recording(a)), reverse=True)))
    newest = f"seg-{segments(recording(a))[-1]}.m4s"
    ok(get(a, f"/recordings/cam0/{day}")[0] == 200 and get(a, f"/recordings/cam0/{newest}")[0] == 200, "the web server may read them")
    tried = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "sh", "-c",
                            f"echo x >>{a.rings}/cam0.ring || touch {a.run}/x || touch {a.dir}/state/x || touch {a.dir}/state/recordings/x"],
                           capture_output=True, check=False)
    ok(tried.returncode != 0, "the recorder may write nothing else")
    theirs = recording(a, "cam1")
    os.mkdir(theirs)
    os.chown(theirs, 65534, 65534)
    conf(a, CAMERA + "[/dev/b]\ncommand = testcard\n[record]\n")
    ok(wait_for(lambda: f"{theirs}: not for recordings: it is somebody else's" in a.said(), 10) and
       os.stat(theirs).st_uid == 65534, "a directory of somebody else's stays his")
    ok(a.stop() == 0 and not a.pids(), "all ends")
    a.remove()
    subprocess.run(["umount", "/etc"], check=True)
    shutil.rmtree(upper)


def play_module():
    loader = importlib.machinery.SourceFileLoader("play", os.path.join(ROOT, "tests/browser/play"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("play", loader))
    loader.exec_module(module)
    return module


def browsers():
    """A clip in both, and a finished day in the one that knows HLS: they play, and find what they are sent to."""
    data = watch_data()
    a = Appliance(CAMERA + "[record]\nsegment = 2\n", data=data)
    grows(recording(a), 7, 40)
    began = time.time() - 13
    film, status, said = clipped(a, began, began + 10)
    ok(status == 0, f"a clip of ten seconds {said}")
    with open(os.path.join(data, "www/clip.mp4"), "wb") as f:
        f.write(film)
    times = [captured(f["payload"]) for f in moofs(film)]
    day = next(filter(DAY.fullmatch, sorted(os.listdir(recording(a)), reverse=True)))
    shutil.copytree(recording(a), os.path.join(data, "www/day"))
    with open(os.path.join(data, "www/day", day), "r+", encoding="ascii") as f:
        listed = f.read()
        if "#EXT-X-ENDLIST" not in listed:
            f.write("#EXT-X-ENDLIST\n")
    with open(os.path.join(data, "www/day", re.search(r"seg-\d+\.m4s", listed)[0]), "rb") as f:
        first = captured(moofs(f.read())[0]["payload"])
    length = sum(float(n) for n in re.findall(r"#EXTINF:([\d.]+)", listed))
    play, collector = play_module(), collect.Collector()
    for browser, src, start, seconds in (("chromium", "/clip.mp4", times[0], len(times) / 30), ("firefox", "/clip.mp4", times[0], len(times) / 30),
                                         ("chromium", f"/day/{day}", first, length)):
        watched(play, collector, browser, f"http://127.0.0.1:{a.port}/watch.html?src={src}&wait=0&seek=7.5&seek=2.5", start, seconds)
    program = next(filter(None, map(shutil.which, play.BROWSERS["chromium"][0])), None)
    if program:
        url = f"http://127.0.0.1:{a.port}/watch.html?src=/recordings/cam0/{day}&wait=0"
        report = play.run(program, play.BROWSERS["chromium"][1], url, 6, collector)
        frames = report["players"][0]["frames"] if report else []
        ok(len(frames) > 30, f"chromium: the day that is still being recorded plays: {len(frames)} frames")
    a.stop()
    a.remove()
    shutil.rmtree(data)


def watched(play, collector, browser, url, start, seconds):
    """start: capture time of the first picture, in us."""
    program = next(filter(None, map(shutil.which, play.BROWSERS[browser][0])), None)
    what = f"{browser}: {url.partition('src=')[2].partition('&')[0]}"
    if not program:
        return skip(what, "not installed")
    report = play.run(program, play.BROWSERS[browser][1], url, 5, collector)
    if not ok(report, f"{what}: the page reports"):
        return False
    player = report["players"][0]
    ok(len(player["frames"]) > 30 and not [e for e in player["events"] if e[1] == "error"], f"{what}: plays {len(player['frames'])} frames")
    ok(player["duration"] and abs(player["duration"] - seconds) < 0.1, f"{what}: it lasts {player['duration']} s, {seconds:.2f} wanted")
    for wanted, (took, at, shown) in zip((7.5, 2.5), player["sought"]):
        off = None if shown is None else (shown - start) / 1e6 - wanted
        ok(at == wanted and off is not None and abs(off) < 0.05, f"{what}: sent to {wanted} s it shows that picture, after {took:.0f} ms: {off}")
    return True


parts = [check, records, changed, kills, full, as_users] + ([browsers] if os.environ.get("BROWSER") != "no" else [])
if not shutil.which("s6-svscan"):
    sys.exit("s6 is not installed")
if sys.argv[1:] == ["in_namespace"]:
    live.run_all(in_namespace)
    sys.exit(finish())
for part in parts:
    if len(sys.argv) < 2 or part.__name__ in sys.argv[1:]:
        live.run_all(part)
sys.exit(finish())
