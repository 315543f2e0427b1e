#!/usr/bin/env python3
"""The package on a bare Debian 12 with systemd, in a virtual machine: installed, configured, watched in a browser, the
machine started again, a changed file, purged. Takes minutes, and so runs only where GUEST_DEBIAN is set: make
guest-debian, which also makes the package and the machine. Root only.

How fast it plays is not asked: the machine's processors are emulated."""
import collections
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time

from live import BUILD, ROOT, SLOW, finish, free_port, ok, run_all, skip, wait_for

if not os.environ.get("GUEST_DEBIAN"):
    print("1..0 # SKIP takes minutes: make guest-debian")
    sys.exit(0)
sys.path[:0] = [os.path.join(ROOT, "tests/guest/debian"), os.path.join(ROOT, "tests/browser")]
sys.dont_write_bytecode = True
import collect  # noqa: E402
import machine  # noqa: E402

HTTP, HTTPS = 8000, 8443
BOOT, INSTALL, WATCH = 180 * SLOW, 600, 20  # seconds
CURL_TIME_OUT = 28
CONF = "/etc/fmp4streamer/fmp4streamer.conf"
CONFIGURATION = f"""[server]
port = {HTTP}
https_port = {HTTPS}
www = /srv/watch

[/dev/video0]
width = 320
height = 240
fps = 15

[/dev/video9]
name = garden
command = testcard -s 320x240 -r 10

[record]
cameras = garden
"""
# Whose is what, of everything that runs.
USERS = {"ondemand": "fmp4s-capture", "v4l2cap": "fmp4s-capture", "testcard": "fmp4s-capture",
         "ringput": "fmp4s-mux", "h264fmp4": "fmp4s-mux", "fanout": "fmp4s-web", "stunnel4": "fmp4s-tls",
         "ringcat": "fmp4s-record", "fmp4hls": "fmp4s-record",
         "fmp4streamer": "root", "s6-svscan": "root", "s6-supervise": "root"}
# NET_ADMIN, NET_RAW, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_ADMIN, SYS_BOOT, MAC_ADMIN, BPF: linux/capability.h
DANGEROUS = sum(1 << n for n in (12, 13, 16, 17, 19, 21, 22, 33, 39))
# What other packages and the system itself leave or change: names of files.
OTHERS = re.compile(r"/var/(lib/(dpkg|apt|systemd|ucf|pam)|cache/(apt|debconf|ldconfig)|log|backups)(/|$)"
                    r"|/run/(systemd|udev|user|log|lock|mount|agent|ucf)|/etc/(ld.so.cache|.*-$)|(/var)?/tmp/systemd-private-")
Process = collections.namedtuple("Process", "pid name users groups state")


def play_module():
    """tests/browser/play, which is a program."""
    loader = importlib.machinery.SourceFileLoader("play", os.path.join(ROOT, "tests/browser/play"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("play", loader))
    loader.exec_module(module)
    return module


def curl(*args, seconds=20):
    run = subprocess.run(["curl", "-s", "-m", str(seconds * SLOW), *args], capture_output=True, check=False)
    return run.returncode, run.stdout


def did(script, what, seconds=60):
    """Asks the guest to do something that has to succeed; what it said."""
    status, said = guest.ask(script, seconds * SLOW)
    if not ok(status == 0, what):
        explain(f"{status}: {said[-3000:]}")
        explain(said_by("journalctl -n 20 -o cat -u fmp4streamer"))
    return said


def explain(text):
    print("# " + text.replace("\n", "\n# "))


def said_by(script, seconds=60):
    return guest.ask(script, seconds * SLOW)[1].strip()


def processes():
    """Everything of the unit's control group."""
    found = []
    text = said_by("""for pid in $(cat /sys/fs/cgroup/system.slice/fmp4streamer.service/cgroup.procs); do
        exe=$(readlink /proc/$pid/exe) && echo "process $pid ${exe##*/}" && cat /proc/$pid/status
    done 2>/dev/null""")
    for part in re.split(r"^process ", text, flags=re.M)[1:]:
        first, _, status = part.partition("\n")
        state = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        pid, name = first.split()
        if "Uid" not in state:  # it ended between the two looks
            continue
        found.append(Process(int(pid), name, set(state["Uid"].split()), set((state["Gid"] + "\t" + state["Groups"]).split()),
                             state))
    return found


def names(database):
    """{number: name}"""
    return {line.split(":")[2]: line.split(":")[0] for line in said_by(f"cat /etc/{database}").splitlines()}


def state_is_sound(when):
    """What systemd, fmp4streamer and the kernel say of it."""
    unit = dict(line.split("=", 1) for line in said_by(
        "systemctl show fmp4streamer -p Type,ActiveState,SubState,NRestarts,UnitFileState").splitlines())
    ok(unit == {"Type": "notify", "ActiveState": "active", "SubState": "running", "NRestarts": "0",
                "UnitFileState": "enabled"}, f"{when}: enabled, and active since it said so: {unit}")
    status = did("fmp4streamer status", f"{when}: fmp4streamer status")
    services = ["cam0", "garden", "web", "tls"]
    ok(all(re.search(rf"^{name}\b.*\b(up|runs|running)\b", status, re.M) for name in services),
       f"{when}: it says that each service runs")
    explain(status)


def users_are_right(when):
    """Who runs what, with which rights. Somebody watches, so that everything runs."""
    viewers = [subprocess.Popen(["curl", "-skN", f"https://127.0.0.1:{ports[HTTPS]}/{name}/raw.mp4"],
                                stdout=subprocess.DEVNULL) for name in ("cam0", "garden")]
    try:
        ok(wait_for(lambda: set(USERS) <= {p.name for p in processes()}, 60), f"{when}: all that should run runs")
        found = processes()
    finally:
        for viewer in viewers:
            viewer.kill()
            viewer.wait()
    user, group = names("passwd"), names("group")
    owners = {(p.name, user.get(uid, uid)) for p in found for uid in p.users}
    print("# " + ", ".join(sorted(f"{program}: {owner}" for program, owner in owners)))
    ok(owners == set(USERS.items()), f"{when}: each process is its own user's")
    wrong = [p.name for p in found if p.state["NoNewPrivs"] != "1"]
    ok(not wrong, f"{when}: none can gain privileges {wrong or ''}")
    wrong = [(p.name, p.state["CapPrm"]) for p in found if p.users != {"0"} and
             any(int(p.state[s], 16) for s in ("CapInh", "CapPrm", "CapEff", "CapAmb"))]
    ok(not wrong, f"{when}: none but root's has a capability {wrong or ''}")
    wrong = [(p.name, p.state["CapBnd"]) for p in found if int(p.state["CapBnd"], 16) & DANGEROUS]
    ok(not wrong, f"{when}: root's may not administer, trace or load modules {wrong or ''}")
    video = {p.name for p in found if "video" in {group.get(gid) for gid in p.groups}}
    ok(video == {"ondemand", "v4l2cap", "testcard"}, f"{when}: only the capture may open a camera: {sorted(video)}")


def keys_are_safe(when):
    found = said_by("grep -rl 'PRIVATE KEY' /var/lib/fmp4streamer /run/fmp4streamer | xargs -r stat -c '%a %U:%G %n'")
    lines = found.splitlines()
    print("# keys: " + ", ".join(lines))
    ok("600 root:root /var/lib/fmp4streamer/" in found, f"{when}: the certificate's key is root's alone")
    ok(lines and all(re.match(r"600 root:root |640 root:fmp4s-tls ", line) for line in lines),
       f"{when}: each copy is stunnel's alone")
    readable = said_by("""for user in nobody fmp4s-capture fmp4s-mux fmp4s-web fmp4s-record; do
        for file in $(grep -rl 'PRIVATE KEY' /var/lib/fmp4streamer /run/fmp4streamer); do
            setpriv --reuid=$user --regid="$(id -g $user)" --init-groups cat $file >/dev/null 2>&1 && echo $user $file
        done
    done; true""")
    ok(readable == "", f"{when}: nobody else can read one {readable}")


def certificate():
    """A file with the one that the machine made for itself."""
    path = os.path.join(guest.dir, "certificate")
    with open(path, "w", encoding="ascii") as f:
        f.write(said_by("cat /var/lib/fmp4streamer/cert.pem") + "\n")
    return path


def answers(when):
    """Plain and over TLS, with a certificate that is checked against the machine's own."""
    authority = certificate()

    def page(base):
        status, got = curl("-f", "--cacert", authority, base + "/")
        ok(status == 0 and b"<video" in got, f"{when}: {base.split(':')[0]}: the page ({status})")

    def stream(base, name):
        status, got = curl("--cacert", authority, f"{base}/{name}/stream.mp4", seconds=10)
        ok(status == CURL_TIME_OUT and got[4:8] == b"ftyp" and got.count(b"moof") > 20,
           f"{when}: {base.split(':')[0]}: {name}: a stream that goes on ({status}, {got.count(b'moof')} fragments)")

    bases = f"http://127.0.0.1:{ports[HTTP]}", f"https://localhost:{ports[HTTPS]}"
    run_all(*[lambda base=base: page(base) for base in bases],
            *[lambda base=base, name=name: stream(base, name) for base in bases for name in ("cam0", "garden")])


def plays(when):
    """Both cameras in one page in a real browser, over TLS: the counters in the pictures run until the end."""
    program = next(filter(None, map(shutil.which, play.BROWSERS["chromium"][0])), None)
    if not program:
        return skip(f"{when}: a browser", "chromium is not installed")
    url = f"https://127.0.0.1:{ports[HTTPS]}/watch.html?src=/cam0/stream.mp4&src=/garden/stream.mp4"
    report = play.run(program, play.BROWSERS["chromium"][1], url, WATCH, collector, certificate())
    if not ok(report, f"{when}: chromium reports"):
        return False
    for player in report["players"]:
        counters = [row[player["columns"].index("counter")] for row in player["frames"]]
        times = [row[player["columns"].index("clock")] for row in player["frames"]]
        late = [b > a for a, b, at in zip(counters, counters[1:], times[1:]) if at > player["stopped"] - WATCH / 2 * 1000]
        errors = [event for event in player["events"] if event[1] in ("error", "ended", "emptied")]
        ok(sum(late) > WATCH and not errors, f"{when}: {player['src']}: {len(counters)} frames, {sum(late)} in the second half,"
           f" each with a higher number {errors or ''}")
    return True


def records(when):
    """What the unit leaves the recorder."""
    def day():
        _, page = curl(f"http://127.0.0.1:{ports[HTTP]}/recordings/garden/")
        found = re.search(rb"\d{4}-\d\d-\d\d\.m3u8", page)
        return found and curl(f"http://127.0.0.1:{ports[HTTP]}/recordings/garden/{found[0].decode()}")[1].count(b"#EXTINF") > 1
    ok(wait_for(day, 60), f"{when}: a camera is recorded")
    did("systemd-run -q --wait -p SystemCallErrorNumber=EPERM -p SystemCallFilter=\"$(systemctl show -P SystemCallFilter "
        "fmp4streamer)\" busybox adjtimex", f"{when}: the recorder may ask whether the clock is right")


def all_is_well(when):
    state_is_sound(when)
    records(when)
    users_are_right(when)
    keys_are_safe(when)
    answers(when)
    plays(when)


def traces():
    """All names of files, users, groups, and programs that run."""
    text = said_by(r"""find / /run /dev/shm /tmp -xdev -printf 'file %p\n'
        sed 's/:.*//; s/^/user /' /etc/passwd
        sed 's/:.*//; s/^/group /' /etc/group
        for exe in /proc/[0-9]*/exe; do program=$(readlink $exe) && echo "process $program"; done""", 120)
    found = {line for line in text.splitlines() if not OTHERS.match(line.partition(" ")[2])}
    return found - {"user stunnel4", "group stunnel4"}  # which that package leaves


def installs():
    did("apt-get update", "apt has a list of packages")
    before = traces()
    start = time.monotonic()
    said = did("apt-get install -y /mnt/fmp4streamer_*.deb", "apt installs it", INSTALL)
    print(f"# in {time.monotonic() - start:.0f} s")
    ok("dpkg: warning" not in said and not re.search("^(E|W): ", said, re.M), "and has nothing to say against it")
    ok(wait_for(lambda: curl(f"http://127.0.0.1:{ports[HTTP]}/raw.mp4", seconds=6)[1].count(b"moof") > 5, 60),
       "the camera that is plugged in is on the network, without a further command")
    return before


def configures():
    shared = os.path.join(BUILD, "guest-debian/share")
    for name in "watch.html", "watch.js":
        shutil.copy(os.path.join(ROOT, "tests/browser", name), shared)
    did(f"mkdir -p /srv/watch && cp /mnt/watch.* /srv/watch && cat >{CONF} <<'END'\n{CONFIGURATION}\nEND",
        "a configuration of two cameras, with HTTPS")
    did("fmp4streamer check", "it has no mistake")
    did(f"systemctl restart fmp4streamer && exec 3<>/dev/tcp/127.0.0.1/{HTTP}", "when it has started, it answers")


def starts_again(boot):
    ok(guest.reboot(BOOT) != boot, "the machine starts again")


def lasting():
    """What stays when viewers come and go."""
    return {(p.name, p.pid) for p in processes() if p.name not in ("v4l2cap", "testcard", "h264fmp4")}


def reloads():
    viewer = subprocess.Popen(["curl", "-sN", f"http://127.0.0.1:{ports[HTTP]}/cam0/raw.mp4"], stdout=subprocess.DEVNULL)
    try:
        before = lasting()
        did(f"sed -i 's/-r 10/-r 5/' {CONF} && systemctl reload fmp4streamer", "a changed file, and reload")
        ok(wait_for(lambda: lasting() != before, 20), "something starts anew")
        time.sleep(3)
        gone, come = before - lasting(), lasting() - before
        ok({n for n, _ in gone} == {n for n, _ in come} == {"ondemand"} and len(gone) == 1,
           f"one camera's program, and nothing else: {sorted(gone)} {sorted(come)}")
        ok(viewer.poll() is None, "the other camera's viewers do not notice")
        before = lasting()
        status, said = guest.ask(f"cp {CONF} /tmp/good && echo 'port = x' >>{CONF} && systemctl reload fmp4streamer")
        ok(status != 0 and "failed" in said, "with a mistake in the file, reload fails")
        said_by(f"cp /tmp/good {CONF} && rm /tmp/good")
        ok(lasting() == before and viewer.poll() is None, "and nothing changes")
    finally:
        viewer.kill()
        viewer.wait()


def survives():
    """What systemd does when all of it is killed at once."""
    did("systemctl kill -s KILL --kill-who=main fmp4streamer", "killed hard")
    ok(wait_for(lambda: said_by("systemctl show fmp4streamer -p NRestarts,ActiveState") == "NRestarts=1\nActiveState=active",
                60), "systemd starts it again")
    status, got = curl(f"http://127.0.0.1:{ports[HTTP]}/cam0/raw.mp4", seconds=10)
    ok(status == CURL_TIME_OUT and got.count(b"moof") > 20, f"and there are pictures ({status}, {got.count(b'moof')})")


def purges(before):
    did("apt-get purge -y fmp4streamer", "apt purges it", INSTALL)
    # By itself apt keeps what any package that is installed only suggests: perl, for adduser's sake.
    did("apt-get autoremove --purge -y -o APT::AutoRemove::RecommendsImportant=false"
        " -o APT::AutoRemove::SuggestsImportant=false", "and what came with it", INSTALL)
    said_by("rm -r /srv/watch; systemctl reset-failed")
    # The system's own programs come and go.
    ok(wait_for(lambda: traces() <= before, 30), "nothing is left")
    after = traces()
    gone = {line for line in before - after if not line.startswith("process ")}
    ok(not gone, "and all that was there before is there")
    for line in [*sorted(f"left: {what}" for what in after - before)[:60], *sorted(f"gone: {what}" for what in gone)[:60]]:
        explain(line)
    ok(said_by("systemctl is-system-running") == "running", "the system runs without a failed unit")


def whole_life():
    """From the first boot to the purge."""
    boot = guest.booted(BOOT)
    explain(f"booted in {time.monotonic() - began:.0f} s")
    ok(said_by("systemctl is-system-running --wait", 120) == "running", "a bare Debian runs")
    before = installs()
    configures()
    all_is_well("installed")
    starts_again(boot)
    ok(said_by("systemctl is-system-running --wait", 120) == "running", "all its units run")
    all_is_well("started again")
    reloads()
    survives()
    purges(before)


play, collector = play_module(), collect.Collector()
began = time.monotonic()
ports = {HTTP: free_port(), HTTPS: free_port()}
guest = machine.Machine(BUILD, ports)
try:
    whole_life()
except machine.Gone as why:
    ok(False, "the machine answers")
    explain(str(why))
finally:
    guest.end()
explain(f"{time.monotonic() - began:.0f} s")
sys.exit(finish())
