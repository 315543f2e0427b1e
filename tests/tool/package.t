#!/usr/bin/env python3
"""What is installed, by `make install` and by the package: files, units, completion, users.

PACKAGE_ROOT=1: also on a bare Debian in a chroot, as root; debroot.py says how.
"""
import glob
import os
import pty
import re
import select
import shutil
import stat
import subprocess
import sys
import tempfile
import time

from live import BUILD, ROOT, SLOW, finish, free_port, ok, skip

COMPLETION = "/usr/share/bash-completion/bash_completion"
work = tempfile.mkdtemp()
prefix = os.path.join(work, "opt")
DEBS = os.path.join(BUILD, "deb")


def run(*args, **options):
    return subprocess.run(args, capture_output=True, text=True, check=False, cwd=ROOT, **options)


def listing(top):
    """Every path under a directory, with its type and mode."""
    found = {}
    for directory, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, top)] = stat.filemode(os.lstat(path).st_mode)
    return found


def content(path):
    with open(path, "rb") as f:
        return f.read()


def install():
    """As root would with a umask of 077; then the same again for a packager."""
    at = ["umask 077; exec make -s install \"$@\"", "sh", f"BUILD={BUILD}", f"PREFIX={prefix}"]
    done = run("sh", "-c", *at)
    if not ok(done.returncode == 0, f"make install PREFIX=...: {done.stderr.strip()}"):
        return
    found = listing(prefix)
    wrong = [f"{mode} {path}" for path, mode in found.items()
             if mode != ("drwxr-xr-x" if mode[0] == "d" else
                         "-rwxr-xr-x" if content(os.path.join(prefix, path))[:4] in (b"#!/b", b"\x7fELF") else
                         "-rw-r--r--")]
    ok(not wrong, f"everybody may read all of it and execute what is a program, whatever the umask: {wrong}")
    files = [path for path, mode in found.items() if mode[0] != "d"]
    places = {"bin", "libexec/fmp4streamer", "lib/systemd/system", "lib/systemd/user", "share/fmp4streamer",
              "share/fmp4streamer/www", "share/fmp4streamer/examples", "share/man/man1", "share/man/man5",
              "share/man/man8", "share/bash-completion/completions"}
    odd = [path for path in files if os.path.dirname(path) not in places]
    ok(not odd, f"{len(files)} files, none in another place: {odd}")
    tools = [os.path.basename(tool) for tool in run("make", "-s", "tools").stdout.split()] + ["fmp4streamer-user", "fmp4streamer-clip"]
    want = [f"bin/{tool}" for tool in tools] + [f"share/man/man1/{tool}.1" for tool in tools] + [
        "libexec/fmp4streamer/stage", "libexec/fmp4streamer/checkpassword", "share/fmp4streamer/run",
        "share/fmp4streamer/finish", "share/fmp4streamer/users", "share/fmp4streamer/certificate",
        "share/fmp4streamer/httpd.conf", "share/fmp4streamer/www/index.html", "share/man/man5/fmp4streamer.conf.5"]
    ok(len(tools) > 8 and set(want) <= set(files), f"each tool with its page, and what the appliance needs: "
       f"{sorted(set(want) - set(files))}")

    dest = os.path.join(work, "dest")
    done = run("sh", "-c", *at, f"DESTDIR={dest}")
    ok(done.returncode == 0 and os.listdir(dest) == [prefix.split("/")[1]], "DESTDIR: all of it is there")
    ok(listing(dest + prefix) == found and all(content(f"{dest}{prefix}/{f}") == content(f"{prefix}/{f}") for f in files),
       "the same files as without, and no word of DESTDIR in them")
    shutil.rmtree(dest)


def at_home():
    """For one user alone: systemd finds the unit where it is put."""
    home = os.path.join(work, "home")
    env = {**os.environ, "HOME": home, "XDG_RUNTIME_DIR": work}
    env.pop("XDG_DATA_HOME", None)
    done = run("make", "-s", "install", f"BUILD={BUILD}", f"PREFIX={home}/.local", env=env)
    found = [os.path.dirname(path) for path in listing(home) if path.endswith("/user/fmp4streamer.service")]
    ok(done.returncode == 0 and len(found) == 1, f"make install PREFIX=~/.local: {done.stderr.strip()} {found}")
    if not shutil.which("systemd-analyze"):
        skip("the user's unit is found", "systemd-analyze is not installed")
        return
    looks = run("systemd-analyze", "--user", "unit-paths", env=env).stdout.split()
    ok(found and os.path.join(home, found[0]) in looks, "systemd looks for the unit there")


def unit(which, *options):
    path = os.path.join(prefix, "lib/systemd", which, "fmp4streamer.service")
    text = content(path).decode()
    ok(f"ExecStart={prefix}/bin/fmp4streamer " in text and "/usr/local" not in text, f"{which} unit: PREFIX is in it")
    if not shutil.which("systemd-analyze"):
        skip(f"{which} unit: systemd-analyze", "not installed")
        return
    broken = os.path.join(work, "fmp4streamer.service")
    with open(broken, "w", encoding="utf-8") as f:
        f.write(text.replace("[Service]", "[Service]\nRestrt=always"))
    verify = ["systemd-analyze", *options, "--man=no", "verify"]
    env = {**os.environ, "XDG_RUNTIME_DIR": work}
    done, bad = run(*verify, path, env=env), run(*verify, broken, env=env)
    ok(done.returncode == 0 and not done.stderr and bad.stderr, f"{which} unit: systemd-analyze has nothing against "
       f"it, and would have: {done.stderr.strip()} / {bad.stderr.strip()}")


def sample():
    """The configuration as it is installed, and with everything in it made to hold."""
    tool, path = os.path.join(prefix, "bin/fmp4streamer"), os.path.join(prefix, "share/fmp4streamer/fmp4streamer.conf.dist")
    text = content(path).decode()
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    ok(lines == ["[server]", "port = 8000", "[/dev/video0]"], f"the sample configuration says {lines}")
    missing = re.compile("no such|not installed|may not|waited for|in use|denied|not a device", re.I)
    env = {**os.environ, "FMP4STREAMER_RUN": os.path.join(work, "run"), "FMP4STREAMER_RINGS": work,
           "FMP4STREAMER_ONE_USER": "1"}

    def mistakes(changed):
        conf = os.path.join(work, "sample.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(changed)
        said = run(tool, "-c", conf, "check", env=env).stderr.splitlines()
        return [line for line in said if not missing.search(line)]
    everything = re.sub(r"^#(?=[a-z\[])", "", text, flags=re.M)
    ok(everything.count("\n[") == 4 and not mistakes(text), f"it holds: {mistakes(text)}")
    ok(not mistakes(everything), f"so does each of its examples: {mistakes(everything)}")
    ok(mistakes(everything.replace("https_port", "htps_port")), "which would be said")


def appliance():
    """What was installed runs from there."""
    bin_dir = os.path.join(prefix, "bin")
    film = subprocess.run(f"{bin_dir}/testcard -x -n 30 | {bin_dir}/h264fmp4", shell=True, capture_output=True,
                          check=False)
    ok(film.returncode == 0 and film.stdout[4:8] == b"ftyp" and film.stdout.count(b"moof") == 30, "testcard | h264fmp4")
    port = free_port()
    conf = os.path.join(work, "a.conf")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"[server]\nlisten = 127.0.0.1\nport = {port}\n[/dev/video0]\ncommand = testcard\n")
    env = {"PATH": "/usr/bin:/bin", "FMP4STREAMER_RINGS": os.path.join(work, "rings"), "XDG_RUNTIME_DIR": work,
           "FMP4STREAMER_RUN": os.path.join(work, "run"), "FMP4STREAMER_ONE_USER": "1"}
    os.mkdir(env["FMP4STREAMER_RINGS"])
    with open(os.path.join(work, "said"), "w", encoding="utf-8") as said:
        a = subprocess.Popen([f"{bin_dir}/fmp4streamer", "-c", conf], env=env, stdout=subprocess.PIPE, stderr=said)
    told = a.stdout.readline().decode()
    page, picture = (subprocess.run(["curl", "-sf", "-m", "10", f"http://127.0.0.1:{port}/{path}"], capture_output=True,
                                    check=False).stdout for path in ("", "still.mp4"))
    ok(told == f"fmp4streamer: http://127.0.0.1:{port}/\n" and b"<video" in page, f"the appliance: {told.strip()}")
    ok(b"mdat" in picture, "its camera has a picture")
    done = run(f"{bin_dir}/fmp4streamer", "stop", env=env)
    ok(done.returncode == 0 and a.wait(20 * SLOW) == 0, f"stopped: {content(os.path.join(work, 'said'))}")
    a.stdout.close()


def typed(master, text, want, seconds=10):
    """What a terminal shows after these keys until that is there, or for so long."""
    os.write(master, text.encode())
    shown, end = b"", time.monotonic() + seconds * SLOW
    while time.monotonic() < end and want.encode() not in shown:
        if select.select([master], [], [], 0.2)[0]:
            shown += os.read(master, 4096)
    return shown.decode(errors="replace")


def completion():
    """Bash on a terminal, with the completion loaded as bash-completion does it: when it is wanted."""
    if not os.path.exists(COMPLETION):
        skip("completion", "bash-completion is not installed")
        return
    open(os.path.join(work, "garden.conf"), "w", encoding="utf-8").close()
    master, slave = pty.openpty()
    env = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "XDG_DATA_DIRS": f"{prefix}/share", "TERM": "dumb", "PS1": "$ ",
           "HOME": work, "INPUTRC": "/dev/null"}
    shell = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave, cwd=work,
                             env=env, start_new_session=True)
    os.close(slave)
    typed(master, f"bind 'set bell-style none'; . {COMPLETION}; echo lo''aded\n", "loaded\r\n")
    for keys, want in (("fmp4streamer rel\t", "reload "), ("fmp4streamer -c gar\t", "-c garden.conf "),
                       ("fmp4streamer -c garden.conf che\t", "check "), ("fmp4streamer r\t\t", "reload  run")):
        shown = typed(master, keys, want)
        ok(want in shown, f"completion: {keys!r}: {shown!r}")
        typed(master, "\x15", "nothing", 0.3)  # the line is deleted
    shown = typed(master, "fmp4streamer stop r\t\t\t", "run", 1)
    ok("run" not in shown, f"completion: nothing after a verb: {shown!r}")
    shell.kill()
    shell.wait()
    os.close(master)


def users():
    script = os.path.join(prefix, "share/fmp4streamer/users")
    usage = run(script, "-h")
    ok(usage.returncode == 0 and usage.stdout == "usage: users add|remove\n", "users -h")
    wrong = [run(script, *args) for args in ((), ("ad",), ("add", "all"))]
    ok(all(w.returncode == 100 and w.stderr == "users: usage: users add|remove\n" for w in wrong),
       "users: wrong usage: 100")
    os.chmod(work, 0o755)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    done = run(*as_nobody, script, "add")
    ok(done.returncode == 111 and done.stderr == "users: add: must be root\n", f"users add: only root: {done.stderr.strip()}")


def members(deb):
    """The files of a package, as make install calls them."""
    paths = [line.split(None, 5)[5] for line in run("dpkg-deb", "-c", deb).stdout.splitlines() if line[0] == "-"]
    return {re.sub(r"^\./(usr|(?=lib/))/?", "", re.sub(r"(/man/.*)\.gz$", r"\1", path)) for path in paths}


def package():
    """Returns the package's path."""
    if not all(map(shutil.which, ("dpkg-buildpackage", "dh", "lintian"))):
        skip("the package", "debhelper and lintian are not installed")
        return None
    done = run("make", "deb", f"BUILD={BUILD}")
    debs = glob.glob(os.path.join(DEBS, "fmp4streamer_*.deb"))
    if not ok(done.returncode == 0 and len(debs) == 1, f"make deb: {debs}"):
        print("\n".join(f"# {line}" for line in (done.stdout + done.stderr).splitlines()[-15:]))
        return None
    deb = debs[0]
    said = run("lintian", "--display-info", "--fail-on", "error,warning", "--allow-root", deb)
    ok(said.returncode == 0 and not said.stderr, f"lintian: {(said.stdout + said.stderr).splitlines()}")
    ok("hardening" not in said.stdout, "lintian: the programs are built with all of Debian's hardening")
    installed = {path for path, mode in listing(prefix).items() if mode[0] != "d"}
    have = {path for path in members(deb) if not path.startswith("share/doc/")}
    ok(have - installed == {"./etc/fmp4streamer/fmp4streamer.conf"} and installed <= have,
       f"it has what make install installs, and its configuration: {sorted(have ^ installed)}")
    control = run("dpkg-deb", "-e", deb, os.path.join(work, "control"))
    marked = content(os.path.join(work, "control/conffiles")).decode().split() if control.returncode == 0 else None
    ok(marked == ["/etc/fmp4streamer/fmp4streamer.conf"], f"which is a conffile: {marked}")
    needs = run("dpkg-deb", "-f", deb, "Depends").stdout
    ok(all(name in needs for name in ("s6", "busybox", "adduser", "libc6")) and "stunnel" not in needs,
       f"it depends on {needs.strip()}")
    return deb


def main():
    install()
    if os.path.exists(os.path.join(prefix, "bin/fmp4streamer")):
        at_home()
        unit("system")
        unit("user", "--user")
        sample()
        appliance()
        completion()
        users()
    deb = package()
    if os.environ.get("PACKAGE_ROOT"):
        import debroot
        debroot.test(deb)
    shutil.rmtree(work)
    return finish()


sys.exit(main())
