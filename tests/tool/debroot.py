"""The package on a bare Debian: debootstrap's smallest, in a chroot with a process table of its own, without systemd.

The system is in $BUILD/debroot, made from a tar file that is kept beside it, as are packages that were fetched.
The network is the machine's, so that what the appliance serves is asked for from outside; on loopback only.
"""
import os
import pwd
import re
import shutil
import subprocess

from live import BUILD, ROOT, SLOW, free_port, ok, skip, wait_for

TOP = os.path.join(BUILD, "debroot")
TAR, FETCHED = TOP + ".tar", TOP + ".debs"
RELEASE = "bookworm"
USERS = ["fmp4s-capture", "fmp4s-mux", "fmp4s-web", "fmp4s-tls", "fmp4s-record"]
CURL = ["curl", "--silent", "--insecure"]
# What apt, dpkg and ld.so write down of everything that was ever installed.
BOOKS = re.compile(r"^(var/(cache|log|lib/apt|lib/dpkg|backups)|run|proc|dev|tmp|root)(/|$)|^etc/\w+-$|\.cache$")

# Bash collects the orphans of this process table.
FIRST = """
set -e
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
mount -t tmpfs tmpfs "$1/run"
mount --bind "$2" "$1/var/cache/apt/archives"
exec chroot "$1" bash -c 'echo ready; while :; do sleep 1000 & wait $!; done'
"""


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, check=False)


class System:
    """It runs until close(); everything in it ends then."""
    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child",
                                        "bash", "-c", FIRST, "bash", TOP, FETCHED], stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n", "unshare, mount and chroot"
        with open(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children", encoding="ascii") as f:
            self.first = int(f.read().split()[0])
        self.table = os.readlink(f"/proc/{self.first}/ns/pid")
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
                    **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}}

    def start(self, *command, **options):
        return subprocess.Popen(["nsenter", "-t", str(self.first), "-m", "-p", "-r", "-w", *command], env=self.env,
                                text=True, stdin=subprocess.DEVNULL, **options)

    def run(self, *command):
        p = self.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, error = p.communicate()
        return subprocess.CompletedProcess(command, p.returncode, out, error)

    def apt(self, *words):
        done = self.run("apt-get", "-q", "-y", *words)
        if done.returncode:
            print("\n".join(f"# {line}" for line in (done.stdout + done.stderr).splitlines()[-20:]))
        return done

    def processes(self):
        """What runs in it, as the machine sees it: name, user, whether it may gain privileges, its capabilities."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/pid") != self.table:
                    continue
                with open(f"/proc/{pid}/status", encoding="ascii") as f:
                    status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
                with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
                    name = os.path.basename(f.read().split("\0")[0])
            except OSError:
                continue
            if name and name not in ("bash", "sleep"):
                uid, caps = status["Uid"].split()[1], status["CapEff"]
                found.append((name, int(uid), int(status["NoNewPrivs"]), int(caps, 16)))
        return found

    def text(self, path):
        with open(f"/proc/{self.first}/root/{path}", encoding="utf-8") as f:
            return f.read()

    def users(self):
        """Name: number, groups of each of ours that there is."""
        found = {}
        for name in USERS:
            done = self.run("id", "-u", name)
            if done.returncode == 0:
                found[name] = (int(done.stdout), self.run("id", "-Gn", name).stdout.split())
        return found

    def files(self):
        done = self.run("find", "/", "-xdev", "-printf", "%P\n")
        return {path for path in done.stdout.splitlines() if not BOOKS.search(path)}

    def close(self):
        self.holder.kill()  # and with it all that it holds
        self.holder.wait()
        self.holder.stdout.close()


def make():
    """The system as debootstrap makes it, and its lists of packages up to date."""
    os.makedirs(os.path.join(FETCHED, "partial"), exist_ok=True)
    shutil.rmtree(TOP, ignore_errors=True)
    if not os.path.exists(TAR):
        done = run("debootstrap", "--variant=minbase", RELEASE, TOP)
        if done.returncode:
            return done.stdout.splitlines()[-1:] + done.stderr.splitlines()[-1:]
        subprocess.run(["tar", "-C", TOP, "--numeric-owner", "-cf", TAR + ".new", "."], check=True)
        os.rename(TAR + ".new", TAR)
    else:
        os.mkdir(TOP)
        subprocess.run(["tar", "-C", TOP, "--numeric-owner", "-xpf", TAR], check=True)
    shutil.copy("/etc/resolv.conf", os.path.join(TOP, "etc/resolv.conf"))
    for name in os.listdir("/etc/apt/apt.conf.d"):
        if "proxy" in name:
            shutil.copy(os.path.join("/etc/apt/apt.conf.d", name), os.path.join(TOP, "etc/apt/apt.conf.d"))
    return None


def accounts(s):
    return [s.text(f"etc/{name}") for name in ("passwd", "group", "shadow", "gshadow")]


def users_are_right(s, what):
    found = s.users()
    groups = {name: sorted(of) for name, (_, of) in found.items()}
    rendering = ["render"] if re.search("^render:", s.text("etc/group"), re.M) else []
    ok(groups == {"fmp4s-capture": sorted(["fmp4streamer", "video"] + rendering), "fmp4s-mux": ["fmp4streamer"],
                  "fmp4s-web": ["fmp4streamer"], "fmp4s-tls": ["fmp4s-tls"], "fmp4s-record": ["fmp4streamer"]},
       f"{what}: {groups}")
    entries = [line.split(":") for line in s.text("etc/passwd").splitlines() if line.startswith("fmp4s-")]
    locked = [line.split(":")[1][:1] for line in s.text("etc/shadow").splitlines() if line.startswith("fmp4s-")]
    ok(all(e[5] == "/nonexistent" and e[6].endswith("nologin") for e in entries) and set(locked) <= {"!", "*"},
       "without a home, a shell or a password")


def without_recommends(s, deb):
    before, names = s.files(), accounts(s)
    size = run(os.path.join(ROOT, "scripts/installed-size"), deb)
    had = set(s.run("dpkg-query", "-W", "-f", "${Package}\n").stdout.split())
    done = s.apt("install", "--no-install-recommends", f"/root/{os.path.basename(deb)}")
    ok(done.returncode == 0, "apt install --no-install-recommends")
    ok(not s.processes(), f"nothing was started: {s.processes()}")
    users_are_right(s, "the users")
    sizes = s.run("dpkg-query", "-W", "-f", "${Package} ${Installed-Size}\n").stdout
    got = dict(line.split() for line in sizes.splitlines())
    mib = f"{sum(int(kib) for name, kib in got.items() if name not in had) / 1024:.1f}"
    said = re.search(r"^fmp4streamer +([\d.]+)", size.stdout, re.M)
    ok(said and said[1] == mib, f"{sorted(set(got) - had)}: {mib} MiB, as scripts/installed-size says: {said and said[1]}")
    configure(s, 8000, 8443)
    check = s.run("fmp4streamer", "check")
    ok(check.returncode == 100 and "stunnel: not installed" in check.stderr,
       f"HTTPS without stunnel: {check.stderr.splitlines()}")

    ok(s.apt("remove", "fmp4streamer").returncode == 0 and "testcard" in s.text("etc/fmp4streamer/fmp4streamer.conf"),
       "removed: the configuration stays")
    ok(s.apt("purge", "--autoremove", "fmp4streamer").returncode == 0, "purged")
    left = s.files() ^ before
    ok(not left, f"all files are as before: {sorted(left)}")
    ok(accounts(s) == names, "so are users and groups")


def users_by_hand(s):
    """As after make install, where there is no adduser."""
    names = accounts(s)
    shutil.copy(os.path.join(ROOT, "service/users"), os.path.join(TOP, "root/users"))
    s.run("mount", "--bind", "/bin/false", "/usr/sbin/adduser")
    done = [s.run("/root/users", "add").returncode for _ in range(2)]
    ok(done == [0, 0], "users add without adduser, twice")
    users_are_right(s, "the users")
    s.run("umount", "/usr/sbin/adduser")
    done = [s.run("/root/users", "remove").returncode for _ in range(2)]
    ok(done == [0, 0] and accounts(s) == names, "users remove, twice: users and groups are as before")


def configure(s, port, https_port):
    with open(os.path.join(f"/proc/{s.first}/root/etc/fmp4streamer/fmp4streamer.conf"), "w", encoding="utf-8") as f:
        f.write(f"[server]\nlisten = 127.0.0.1\nport = {port}\nhttps_port = {https_port}\nproxy_port = {free_port()}\n"
                "[/dev/video0]\ncommand = testcard -s 320x240\n"
                "[/dev/video1]\ncommand = testcard -s 320x240\nname = garden\n"
                "[record]\ncameras = garden\nsegment = 1\n")


def fetch(port, path, seconds=2):
    return subprocess.run([*CURL, "-m", str(seconds * SLOW), f"https://127.0.0.1:{port}{path}"], capture_output=True,
                          check=False).stdout


def who_runs(s):
    """Each program under its own user, which can gain nothing; the supervision is root's."""
    number = {name: n for name, (n, _) in s.users().items()}
    want = {"fmp4streamer": 0, "s6-svscan": 0, "s6-supervise": 0, "ondemand": number["fmp4s-capture"],
            "testcard": number["fmp4s-capture"], "ringput": number["fmp4s-mux"], "h264fmp4": number["fmp4s-mux"],
            "fanout": number["fmp4s-web"], "stunnel": number["fmp4s-tls"], "ringcat": number["fmp4s-record"],
            "fmp4hls": number["fmp4s-record"]}
    found = s.processes()
    ok({f[0] for f in found} == set(want) and len(found) > 12, f"{len(found)} processes run: {sorted({f[0] for f in found})}")
    ok(all(f[1] == want.get(f[0]) for f in found), f"each as its own user: {sorted({f[:2] for f in found})}")
    ok(all(uid == 0 or (new == 1 and caps == 0) for _, uid, new, caps in found), "without any privilege, and no way to one")


def as_it_comes(s, deb):
    done = s.apt("install", f"/root/{os.path.basename(deb)}")
    ok(done.returncode == 0 and s.run("which", "stunnel", "openssl").returncode == 0, "apt install, with what it recommends")
    ok(not s.processes(), f"nothing was started, nor by stunnel4: {s.processes()}")
    port = free_port()
    configure(s, free_port(), port)
    changed = s.text("etc/fmp4streamer/fmp4streamer.conf")
    ok(s.apt("install", "--reinstall", f"/root/{os.path.basename(deb)}").returncode == 0 and
       s.text("etc/fmp4streamer/fmp4streamer.conf") == changed, "installed again: the configuration stays as it is")
    with open(os.path.join(BUILD, "debroot.said"), "w+", encoding="utf-8") as said:
        appliance = s.start("fmp4streamer", stdout=said, stderr=said)
        ok(wait_for(lambda: b"<a " in fetch(port, "/"), 15), "fmp4streamer: the page of both cameras over HTTPS, from outside")
        for path in ("/cam0/stream.mp4", "/garden/stream.mp4"):
            stream = fetch(port, path, 4)
            ok(stream.count(b"moof") > 30, f"{path}: {len(stream)} bytes, {stream.count(b'moof')} fragments")
        watching = subprocess.Popen([*CURL, "-o", "/dev/null", f"https://127.0.0.1:{port}/stream.mp4"])
        wait_for(lambda: any(p[0] == "testcard" for p in s.processes()))
        who_runs(s)
        watching.kill()
        watching.wait()
        keys = s.run("stat", "-c", "%A %U:%G", "/var/lib/fmp4streamer/key.pem", "/run/fmp4streamer/tls/pair.pem")
        keys = keys.stdout.splitlines()
        ok(keys == ["-rw------- root:root", "-rw-r----- root:fmp4s-tls"], f"the certificate's key: {keys}")
        day = wait_for(lambda: re.search(rb"\d{4}-\d\d-\d\d\.m3u8", fetch(port, "/recordings/garden/")), 15)
        listed = fetch(port, f"/recordings/garden/{day[0].decode()}") if day else b""
        modes = s.run("stat", "-c", "%A %U:%G", "/var/lib/fmp4streamer/recordings/garden").stdout.strip()
        ok(b"#EXTINF" in listed and modes == "drwxr-x--- fmp4s-record:fmp4streamer",
           f"a recording, which the web server may read: {modes}")
        status = s.run("fmp4streamer", "status")
        ok(status.returncode == 0 and len(re.findall(" up ", status.stdout)) == 7, "fmp4streamer status")
        ok(s.run("fmp4streamer", "stop").returncode == 0 and appliance.wait() == 0, "fmp4streamer stop")
        ok(not s.processes(), f"nothing runs any more: {s.processes()}")
        again(s, said, port)
        said.seek(0)
        ok("\n" in said.read(), "what it said is in debroot.said")


def again(s, said, port):
    """Purged while it runs."""
    others = s.run("bash", "-c", "cat $(ls /var/lib/dpkg/info/*.list | grep -v /fmp4streamer.list)").stdout
    owned = sorted(set(s.run("dpkg", "-L", "fmp4streamer").stdout.splitlines()) - set(others.splitlines()))
    ok(len(owned) > 30, f"the package owns {len(owned)} paths")
    appliance = s.start("fmp4streamer", stdout=said, stderr=said)
    ok(wait_for(lambda: b"<a " in fetch(port, "/"), 15), "it runs again")
    ok(s.apt("purge", "fmp4streamer").returncode == 0 and appliance.wait() == 0, "purged while it runs: it ends before")
    ok(not s.processes(), f"nothing runs any more: {s.processes()}")
    here = f"/proc/{s.first}/root"
    made = ["/var/lib/fmp4streamer", "/run/fmp4streamer", "/dev/shm/fmp4streamer"]
    left = [path for path in owned + made if os.path.lexists(here + path)]
    ok(not left and not s.users(), f"nothing is left of what it owned, nor its directories and users: {left}")
    names = [path for path in s.files() if "fmp4s" in path]
    words = [text for text in accounts(s) if "fmp4s" in text]
    ok(not names and not words, f"nor anything with its name: {names} {words}")


def test(deb):
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        skip("on a bare Debian", "needs root and debootstrap")
        return
    if not ok(deb is not None, "there is a package to install"):
        return
    if not ok(not (failed := make()), f"debootstrap {RELEASE}: {failed}"):
        return
    s = System()
    try:
        shutil.copy(deb, os.path.join(TOP, "root"))
        ok(s.apt("update").returncode == 0, "apt update")
        without_recommends(s, deb)
        users_by_hand(s)
        as_it_comes(s, deb)
    finally:
        s.close()
        shutil.rmtree(TOP)
