#!/usr/bin/env python3
"""The appliance over HTTPS, with certificates that change, users, and a user of its own for each part.

VIEWERS: how many watch while the certificate is renewed (default 50). SECONDS: how long each browser watches (default 15).
"""
import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import live
from appliance import FMP4STREAMER, Appliance, memory, name_of, watch_data
from live import BUILD, ROOT, SLOW, captured, finish, free_port, head, moofs, ok, read_head, skip, wait_for

SECONDS = os.environ.get("SECONDS", "15")
NO_BROWSER = 69
VIEWERS = int(os.environ.get("VIEWERS", "50"))
CAMERA = "[/dev/a]\ncommand = testcard -g 15\n"


def run(*args, timeout=60, **more):
    return subprocess.run(args, capture_output=True, text=True, timeout=timeout, check=False, **more)


class Secure(Appliance):
    """With HTTPS. own_users: each part becomes its own user, who has to be able to read what this is made of."""
    def __init__(self, server="", cameras=CAMERA, own_users=False, **more):
        self.own_users, self.expected = own_users, True
        self.https, self.proxy = free_port(), free_port()
        super().__init__(f"https_port = {self.https}\nproxy_port = {self.proxy}\n{server}{cameras}", **more)

    def start(self):
        if self.own_users:
            self.env.pop("FMP4STREAMER_ONE_USER", None)
            os.chmod(self.dir, 0o755)
        super().start()
        if self.expected:
            wait_for(self.pair, 10)

    def say(self, *verb):
        r = run(FMP4STREAMER, "-c", self.conf, *verb, env=self.env)
        return r.returncode, r.stderr.replace(self.conf, "CONF")

    def tls(self, version=None, window=None):
        """A connection over TLS, whoever is at its other end."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version:
            context.minimum_version = context.maximum_version = version
        s = socket.socket()
        if window:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        s.settimeout(10 * SLOW)
        s.connect(("127.0.0.1", self.https))
        return context.wrap_socket(s, server_hostname="localhost")

    def pair(self):
        """The fingerprint of the certificate that a handshake shows now, or None."""
        try:
            with self.tls() as s:
                return hashlib.sha256(s.getpeercert(True)).hexdigest()
        except OSError:
            return None

    def get(self, target, *headers):
        with self.tls() as s:
            s.sendall(head(target, "Connection: close", *headers))
            return live.answer(s)


def make_pair(directory, name):
    """A certificate and its key, and the certificate's fingerprint."""
    key, cert = (os.path.join(directory, f"{name}.{kind}") for kind in ("key", "crt"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
                    "-subj", f"/CN={name}", "-keyout", key, "-out", cert], check=True, capture_output=True)
    der = subprocess.run(["openssl", "x509", "-in", cert, "-outform", "DER"], check=True, capture_output=True).stdout
    return key, cert, hashlib.sha256(der).hexdigest()


def make_chain(directory):
    """An authority, and a certificate of its for localhost, with its key: (key, chain, authority)."""
    key, chain, request, extensions = (os.path.join(directory, name) for name in ("key", "chain", "request", "extensions"))
    ca_key, ca, _ = make_pair(directory, "authority")
    subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", request], check=True, capture_output=True)
    with open(extensions, "w", encoding="ascii") as f:
        f.write("subjectAltName = DNS:localhost\nbasicConstraints = critical, CA:FALSE\n")
    leaf = subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "9",
                           "-extfile", extensions], check=True, capture_output=True, text=True).stdout
    with open(ca, encoding="ascii") as f, open(chain, "w", encoding="ascii") as out:
        out.write(leaf + f.read())
    return key, chain, ca


def self_signed():
    """HTTPS with nothing given: a certificate is made once."""
    a = Secure("redirect = yes\n")
    shown = next((line for line in a.printed if "SHA-256" in line), "")
    fingerprint = shown.rpartition(" ")[2].strip().replace(":", "").lower()
    ok(fingerprint == a.pair(), f"its fingerprint is printed, and is what a handshake shows: {shown.strip()}")
    state = a.env["FMP4STREAMER_STATE"]
    modes = {f: oct(os.stat(os.path.join(state, f)).st_mode)[-3:] for f in os.listdir(state)}
    ok(modes == {"key.pem": "600", "cert.pem": "600"}, f"kept for whoever started this alone: {modes}")
    status, headers, body = a.get("/")
    ok(status == 200 and b"<video" in body and headers["content-type"] == "text/html;charset=utf-8", "the page")
    status, _, body = a.get("/cam0/")
    ok(status == 200 and b'src="stream.mp4"' in body, "the camera's own page")
    with a.tls() as s:
        s.sendall(head("/stream.mp4"))
        status, _, data = read_head(s)
        while len(list(moofs(data))) < 20:
            data += s.recv(1 << 16)
    ok(status == 200, "the stream")
    status, _, body = a.get("/status.json")
    ok(json.loads(body)["version"], "the status page")
    s, (status, headers, _) = a.request("/a/b?c=%20d")
    s.close()
    ok(status == 302 and headers["location"] == "https://test:%d/a/b?c=%%20d" % a.https, f"redirect: {headers['location']}")
    for version, good in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
        try:
            a.tls(version).close()
            spoke = True
        except (OSError, ValueError):
            spoke = False
        ok(spoke == good, f"{version.name}: {'spoken' if good else 'refused'}")
    os.kill(a.pid("stunnel"), signal.SIGKILL)
    began = time.monotonic()
    ok(wait_for(lambda: a.pair() == fingerprint, 10), "stunnel killed: it answers again")
    ok(time.monotonic() - began < 1 * SLOW, f"after {1000 * (time.monotonic() - began):.0f} ms")
    a.stop()
    a.start()
    ok(a.pair() == fingerprint, "the same certificate after another start")
    ok(a.stop() == 0 and not a.pids() and os.listdir(a.run) == ["lock"], "nothing is left")
    a.remove()


def certificates():
    """Pairs that stunnel would not read, or only with a passphrase, are refused in one line, and nothing is written."""
    directory = tempfile.mkdtemp(dir=memory)
    script, pair = os.path.join(ROOT, "service/certificate"), os.path.join(directory, "pair")
    key, cert, _ = make_pair(directory, "good")
    other_key, other, _ = make_pair(directory, "other")

    def at(name, text=None):
        path = os.path.join(directory, name)
        if text is not None:
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
        return path

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True)

    def read(path):
        with open(path, encoding="ascii") as f:
            return f.read()
    openssl("x509", "-in", cert, "-outform", "DER", "-out", at("der.crt"))
    openssl("pkey", "-in", key, "-outform", "DER", "-out", at("der.key"))
    openssl("pkcs12", "-export", "-in", cert, "-inkey", key, "-passout", "pass:", "-out", at("p12"))
    openssl("pkey", "-in", key, "-aes128", "-passout", "pass:x", "-out", at("locked.key"))
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=x", "-keyout", at("short.key"), "-out", at("short.crt"))
    broken = read(cert).replace("-----END", "A\n-----END")
    os.mkfifo(at("fifo"))
    with open(at("huge"), "wb") as f:
        f.truncate(1 << 31)
    for what, k, c, why in (
            ("DER", at("der.key"), at("der.crt"), "der.crt: not a certificate in PEM"),
            ("a key in DER", at("der.key"), cert, "der.key: not a private key in PEM without a passphrase"),
            ("PKCS #12", at("p12"), at("p12"), "p12: not a certificate in PEM"),
            ("a passphrase", at("locked.key"), cert, "locked.key: not a private key in PEM without a passphrase"),
            ("an RSA key that is too short", at("short.key"), at("short.crt"), "short.key: an RSA key of 1024 bits"),
            ("another's key", other_key, cert, "other.key: not the key of the certificate in"),
            ("another's key in front of the certificate", key, at("front", read(other_key) + read(cert)), "good.key: not the key of"),
            ("a chain that is damaged", key, at("chain", read(cert) + broken), "chain: a certificate in it is damaged"),
            ("a fifo", at("fifo"), cert, "fifo: not a file"),
            ("2 GiB", at("huge"), cert, "huge: larger than"),
            ("nothing", at("nothing"), cert, "nothing: no such file"),
            ("the two swapped", cert, key, "good.key: not a certificate in PEM")):
        began = time.monotonic()
        r = run(script, "install", k, c, pair, "")
        ok(r.returncode == 100 and r.stderr.count("\n") == 1 and r.stderr.startswith(f"certificate: {directory}/{why}") and
           time.monotonic() - began < 5 * SLOW, f"{what}: {r.stderr.strip()}")
    ok(not [f for f in os.listdir(directory) if f.startswith("pair")], "nothing is written")
    good = run(script, "install", key, at("two", read(cert) + read(other)), pair, "")
    ok(good.returncode == 0 and read(pair).count("BEGIN") == 3 and oct(os.stat(pair).st_mode)[-3:] == "600", "a chain is taken")
    state = at("state")
    run(script, "own", state, pair, "")
    first = read(os.path.join(state, "cert.pem"))
    run(script, "own", state, pair, "")
    ok(read(os.path.join(state, "cert.pem")) == first, "our own is kept")
    openssl("req", "-x509", "-key", os.path.join(state, "key.pem"), "-subj", "/CN=x", "-days", "1", "-out", os.path.join(state, "cert.pem"))
    for text in (None, ""):
        if text is not None:
            with open(os.path.join(state, "cert.pem"), "w", encoding="ascii") as f:
                f.write(text)
        r = run(script, "own", state, pair, "")
        ok(r.returncode == 0 and "SHA-256" in r.stdout and not r.stderr, f"but not {'an empty one' if text == '' else 'one that expires'}")
    shutil.rmtree(directory)


class Watcher:
    """One who watches over TLS for as long as it lasts."""
    def __init__(self, a, path):
        self.path = path
        self.process = subprocess.Popen(["curl", "-sNko", path, f"https://127.0.0.1:{a.https}/raw.mp4"], stdin=subprocess.DEVNULL)

    def size(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def stop(self):
        """Whether it watched until now, and the numbers of the fragments that came."""
        lasted = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        with open(self.path, "rb") as f:
            return lasted, [fragment["sequence"] for fragment in moofs(f.read())]


def renewal():
    """Another certificate while many watch: nobody is dropped, and who comes next gets the new one."""
    directory = tempfile.mkdtemp(dir=memory)
    key, cert, first = make_pair(directory, "first")
    new_key, new_cert, second = make_pair(directory, "second")
    a = Secure(f"keyfile = {key}\ncertfile = {cert}\n")
    ok(a.pair() == first, "the certificate that was given")
    crowd = [Watcher(a, os.path.join(directory, str(n))) for n in range(VIEWERS)]
    ok(wait_for(lambda: all(w.size() > 100000 for w in crowd), 20), f"{VIEWERS} watch")
    stunnel = a.pid("stunnel")
    shutil.copy(new_cert, cert)
    status, said = a.say("reload")
    ok(status == 100 and said == f"certificate: {key}: not the key of the certificate in {cert}\n",
       f"the new one without its key: {said.strip()}")
    time.sleep(0.5)
    ok(a.pair() == first, "the old pair stays")
    shutil.copy(new_key, key)
    ok(a.say("reload") == (0, ""), "with its key, the same command certbot gives")
    ok(wait_for(lambda: a.pair() == second), "the next handshake has the new one")
    sizes = [w.size() for w in crowd]
    ok(wait_for(lambda: all(w.size() > size + 100000 for w, size in zip(crowd, sizes)), 20) and a.pid("stunnel") == stunnel,
       "all of them go on")
    ends = [w.stop() for w in crowd]
    ok(all(lasted for lasted, _ in ends), "on the same connection")
    gaps = sum(y != x + 1 for _, numbers in ends for x, y in zip(numbers, numbers[1:]))
    ok(gaps == 0 and all(len(numbers) > 20 for _, numbers in ends), f"and nobody missed a fragment: {gaps}")
    os.unlink(key)
    status, said = a.say("check")
    ok(status == 100 and said == f"certificate: {key}: no such file\n", f"check: {said.strip()}")
    a.stop()
    a.expected = False
    a.start()
    s, (status, _, _) = a.request("/raw.mp4")
    ok(status == 200 and a.pair() is None and f"certificate: {key}: no such file" in a.said(),
       "started without: it says so, and what can run runs")
    s.close()
    a.stop()
    a.remove()
    shutil.rmtree(directory)


def basic(name, password):
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def line(name, password):
    return run(os.path.join(BUILD, "checkpassword"), "-m", name, input=password + "\n").stdout


def users():
    """Only who is in the file may look, at anything, on either port."""
    directory = tempfile.mkdtemp(dir=memory)
    file = os.path.join(directory, "users")
    with open(file, "w", encoding="utf-8") as f:
        f.write(line("alice", "a secret") + line("bob", "other"))
    a = Secure(f"users = {file}\n")
    alice, bob = basic("alice", "a secret"), basic("bob", "other")
    for target in ("/", "/stream.mp4", "/raw.mp4", "/still.mp4", "/status.json", "/cam0/", "/cam0/still.mp4", "/nothing"):
        status, headers, _ = a.get(target)
        ok(status == 401 and headers["www-authenticate"].startswith("Basic realm="), f"{target}: 401 without a password")
    for target, want in (("/", 200), ("/still.mp4", 200), ("/status.json", 200), ("/cam0/", 200), ("/nothing", 404)):
        ok(a.get(target, alice)[0] == want, f"{target}: {want} with it")
    ok(a.get("/", basic("alice", "other"))[0] == 401 and a.get("/", basic("eve", "a secret"))[0] == 401,
       "neither another's password nor another's name")
    ok(wait_for(lambda: "web: fanout: 127.0.0.1: wrong name or password\n" in a.said()), "which is logged, with the address")
    with a.tls() as s:
        found = []
        for header in (alice, bob, None, basic("bob", "wrong"), alice):
            s.sendall(head("/status.json", *([header] if header else [])))
            found.append(live.answer(s)[0])
        ok(found == [200, 200, 401, 401, 200], f"each request of a connection is asked about: {found}")
    with a.tls() as s:
        s.sendall(head("/raw.mp4", bob))
        ok(read_head(s)[0] == 200, "bob watches")
        with open(file + ".new", "w", encoding="utf-8") as f:
            f.write(line("alice", "a secret"))
        os.rename(file + ".new", file)
        ok(wait_for(lambda: a.get("/", bob)[0] == 401), "bob is taken out of the file: the next request is refused")
        ok(a.get("/", alice)[0] == 200, "alice may go on")
    with open(file, "w", encoding="utf-8") as f:
        f.write("alice:$apr1$x$y\n:\n")
    status, said = a.say("check")
    ok(status == 100 and said.count("\n") == 2 and said.startswith("fmp4streamer: CONF:") and "line 1" in said,
       f"check: {said.strip()}")
    ok(a.get("/", alice)[0] == 200, "what was good before the mistake still is")
    os.unlink(file)
    status, said = a.say("check")
    ok(status == 100 and said.count("\n") == 1 and "No such file" in said, f"check: {said.strip()}")
    a.stop()
    a.remove()
    shutil.rmtree(directory)


def files():
    """The user's own files beside the page."""
    www = tempfile.mkdtemp()
    os.chmod(www, 0o755)
    with open(os.path.join(www, "mine.txt"), "w", encoding="ascii") as f:
        f.write("mine\n")
    a = Secure(f"www = {www}\n", CAMERA + "[/dev/b]\nname = garden\ncommand = testcard\n")
    status, headers, body = a.get("/mine.txt")
    ok(status == 200 and body == b"mine\n" and headers["content-type"].startswith("text/plain"), "a file of the user's")
    body = a.get("/")[2]
    ok(b'src="cam0/stream.mp4"' in body and b'src="garden/stream.mp4"' in body, "the page of all cameras")
    ok(b'src="stream.mp4"' in a.get("/garden/")[2], "the page of one")
    with open(os.path.join(www, "index.html"), "w", encoding="ascii") as f:
        f.write("my own\n")
    ok(a.get("/")[2] == b"my own\n", "a page of the user's takes its place")
    with open(a.conf, encoding="utf-8") as f:
        text = f.read()
    with open(a.conf, "w", encoding="utf-8") as f:
        f.write(text + "[/dev/c]\nname = roof\ncommand = testcard\n")
    os.unlink(os.path.join(www, "index.html"))
    a.process.send_signal(signal.SIGHUP)
    def on_the_page():
        try:
            return b'src="roof/stream.mp4"' in a.get("/")[2]
        except OSError:  # the web server starts anew
            return False
    ok(wait_for(on_the_page, 10), "a camera more is on the page")
    a.stop()
    a.remove()
    shutil.rmtree(www)


def browsers():
    """One plain <video> over HTTPS in real browsers."""
    data, directory = watch_data(), tempfile.mkdtemp(dir=memory)
    key, chain, authority = make_chain(directory)
    a = Secure(f"keyfile = {key}\ncertfile = {chain}\n", cameras="[/dev/a]\nauto_sleep = no\ncommand = testcard\n", data=data)
    time.sleep(5)  # a past of some seconds
    for browser in ("chromium", "firefox"):
        r = run(os.path.join(ROOT, "tests/browser/play"), "-t", authority, browser, f"https://localhost:{a.https}/watch.html",
                SECONDS, timeout=120)
        if r.returncode == NO_BROWSER:
            skip(browser, "not installed")
            continue
        print(f"# {r.stdout.strip()} {r.stderr.strip()}")
        found = json.loads(r.stdout) if r.returncode == 0 else {}
        ok(found.get("frames", 0) > 0 and not found["errors"] and not found["crc_failures"], f"{browser}: plays")
        ok(found and 29.1 <= found["advance_per_s"] <= 30.9, f"{browser}: 30 pictures a second")
        ok(found and found["first_picture_ms"] < 1500 * SLOW and 0 < found["delay_ms"] < 1200 * SLOW,
           f"{browser}: first picture after {found and found['first_picture_ms']} ms, {found and found['delay_ms']} ms late")
    a.stop()
    a.remove()
    shutil.rmtree(data)
    shutil.rmtree(directory)


def slow():
    """One who reads too slowly has pictures that are not much older for HTTPS; one who does not read is closed; the others
    do not notice."""
    directory = tempfile.mkdtemp(dir=memory)
    a = Secure()
    others = [Watcher(a, os.path.join(directory, str(n))) for n in range(10)]
    s = a.tls(window=32768)
    s.sendall(head("/stream.mp4"))
    idle = [a.tls(window=4096) for _ in range(5)]
    for one in idle:
        one.sendall(head("/stream.mp4"))
    data, delays, end = b"", [], time.monotonic() + 25
    while time.monotonic() < end:
        data += s.recv(6000)
        found = [f for f in moofs(data.partition(b"\r\n\r\n")[2]) if b"MISPmicrosectime" in f["payload"]]
        if found:
            delays.append(time.time() - captured(found[-1]["payload"]) / 1e6)
        time.sleep(0.12)
    ok(max(delays[-40:]) < 15 * SLOW, f"at 50 kB/s the last picture is {delays[-1]:.1f} s old, {max(delays[-40:]):.1f} at most")
    status = json.loads(a.get("/status.json")[2])
    ok(status["closed_slow_total"] >= len(idle), f"{status['closed_slow_total']} of those who read nothing are closed")
    ends = [w.stop() for w in others]
    gaps = sum(y != x + 1 for _, numbers in ends for x, y in zip(numbers, numbers[1:]))
    ok(gaps == 0 and all(lasted and len(numbers) > 600 for lasted, numbers in ends), f"{len(ends)} others: {gaps} gaps")
    for one in (s, *idle):
        one.close()
    a.stop()
    a.remove()
    shutil.rmtree(directory)


def wrong():
    """What cannot work is said in one line; what can runs."""
    directory = tempfile.mkdtemp(dir=memory)
    other = os.path.join(directory, "conf")
    env = {**os.environ, "FMP4STREAMER_RUN": directory, "FMP4STREAMER_ONE_USER": "1"}

    def check(text, want_status, want):
        with open(other, "w", encoding="utf-8") as f:
            f.write(text)
        r = run(FMP4STREAMER, "-c", other, "check", env=env)
        said = r.stderr.replace(other, "CONF").replace(directory, "RUN")
        ok(r.returncode == want_status and said == want, f"{said.strip()}")
    camera = "[/a]\ncommand = true\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check(f"[server]\nlisten = 127.0.0.1\nport = {port}\n{camera}", 111,
              f"fmp4streamer: CONF:3: port = {port}: Address already in use\n")
    check(f"[server]\nlisten = 192.0.2.1\nport = 8000\n{camera}", 111,
          "fmp4streamer: CONF:2: listen = 192.0.2.1: Cannot assign requested address\n")
    check(f"[server]\nwww = /nonexistent\n{camera}", 100,
          "fmp4streamer: CONF:2: www = /nonexistent: No such file or directory\n")
    check("[/dev/null]\n[/etc/passwd]\n[/dev/nosuchcamera]\n", 100,
          "fmp4streamer: CONF:2: [/etc/passwd]: not a device\n"
          "fmp4streamer: CONF:3: [/dev/nosuchcamera]: No such file or directory: it is waited for\n")
    bin_dir = os.path.join(directory, "bin")
    os.mkdir(bin_dir)
    for tool in ("true", "sh", "openssl"):
        os.symlink(shutil.which(tool), os.path.join(bin_dir, tool))
    env["PATH"] = bin_dir
    check(f"[server]\nhttps_port = 8443\n{camera}", 100, "".join(
        f"fmp4streamer: CONF: {what}\n" for what in (
            "s6-svscan: not installed; it supervises all: install s6",
            "busybox: not installed; it serves the page: install busybox",
            "stunnel: not installed; it makes HTTPS: install stunnel4")))
    env["PATH"] = os.environ["PATH"]
    run_dir = os.path.join(directory, "run")
    os.mkdir(run_dir)
    env["FMP4STREAMER_RUN"] = run_dir
    if os.geteuid() == 0 and run("mount", "-t", "tmpfs", "-o", "size=256k", "none", run_dir).returncode == 0:
        check(camera, 111, "fmp4streamer: CONF: RUN/run: No space left on device\n")
        subprocess.run(["mount", "-o", "remount,ro", run_dir], check=True)
        check(camera, 111, "fmp4streamer: CONF: RUN/run: Read-only file system\n")
        r = run(FMP4STREAMER, "-c", other, env=env)
        ok(r.returncode == 111 and r.stderr.count("\n") == 1, f"run: {r.stderr.strip()}")
        subprocess.run(["umount", run_dir], check=True)
    else:
        skip("a run directory without room, and one that is read-only", "cannot mount here")
    shutil.rmtree(directory)


def port_taken():
    """Another has the port of the web server: the cameras run, and recordings could."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        a = Secure()
        ok(a.say("check") == (0, "") and a.say("reload") == (0, ""), "check, while it runs: its own ports are not in its way")
        with open(a.conf, encoding="utf-8") as f:
            text = f.read()
        with open(a.conf, "w", encoding="utf-8") as f:
            f.write(text.replace(str(a.port), str(taken.getsockname()[1])))
        status, said = a.say("check")
        ok(status == 111 and said.endswith(": Address already in use\n"), f"but another's is: {said.strip()}")
        with open(a.conf, "w", encoding="utf-8") as f:
            f.write(text.replace("listen = 127.0.0.1", "listen ="))
        ok(a.say("check") == (0, ""), "the same ports on another address are its own, too")
        with open(a.conf + ".other", "w", encoding="utf-8") as f:
            f.write(text)
        r = run(FMP4STREAMER, "-c", a.conf + ".other", "stop", env=a.env)
        ok(r.returncode == 111 and r.stderr.count("\n") == 1 and a.process.poll() is None, f"stop, of another file's: {r.stderr.strip()}")
        with open(a.conf, "w", encoding="utf-8") as f:
            f.write(text)
        a.stop(signal.SIGKILL)
        wait_for(lambda: not a.pids(), 15)
        with socket.create_server(("127.0.0.1", a.port)):
            status, said = a.say("check")
        ok(status == 111 and said.endswith(": Address already in use\n"), f"what a killed one left holds no port: {said.strip()}")
        a.remove()
        a = Appliance("[/dev/a]\nname = a\nauto_sleep = no\ncommand = testcard\n", port=taken.getsockname()[1], wait=False)
        ok(wait_for(lambda: "Address already in use" in a.said(), 10) and wait_for(lambda: "testcard" in a.names(), 10),
           "the port is taken: it says so, and the camera runs")
        ok(wait_for(lambda: os.path.exists(os.path.join(a.rings, "a.ring")), 10), "into its ring")
    ok(wait_for(lambda: a.process.stdout.readline().startswith(b"fmp4streamer: http:"), 10), "and serves once the port is free")
    a.stop()
    a.remove()


def as_users():
    """Root's appliance in a file system of its own, where the users exist: this script again, see main."""
    if os.geteuid() != 0 or run("unshare", "-m", "true").returncode:
        return skip("a user for each part", "needs root and a mount namespace")
    r = run("unshare", "-m", sys.executable, sys.argv[0], "in_namespace", env=os.environ)
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
    users_tool = os.path.join(ROOT, "service/users")
    subprocess.run([users_tool, "add"], check=True)
    subprocess.run([users_tool, "add"], check=True)
    key_directory = tempfile.mkdtemp(dir=memory)
    key, cert, first = make_pair(key_directory, "cam")
    a = Secure(f"keyfile = {key}\ncertfile = {cert}\n", own_users=True)
    s, (status, _, _) = a.request("/raw.mp4")
    ok(status == 200 and wait_for(a.pair, 10) == first, "it serves, with a key that only root may read")
    users_of = {}
    for pid, name in a.pids().items():
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        uid = int(fields["Uid"].split()[0])
        user = run("getent", "passwd", str(uid)).stdout.partition(":")[0]
        users_of.setdefault(name.split()[0], set()).add((user, fields["NoNewPrivs"], int(fields["CapEff"], 16) != 0))
    mine = {name: found for name, found in users_of.items() if not name.startswith(("s6-", "fmp4streamer"))}
    want = {"ondemand": "fmp4s-capture", "testcard": "fmp4s-capture", "ringput": "fmp4s-mux", "h264fmp4": "fmp4s-mux",
            "fanout": "fmp4s-web", "stunnel": "fmp4s-tls"}
    ok(mine == {name: {(user, "1", False)} for name, user in want.items()}, f"each part its user, no privilege left: {mine}")
    groups = {f: (os.stat(os.path.join(a.rings, f)).st_mode & 0o777, os.stat(os.path.join(a.rings, f)).st_uid != 0)
              for f in os.listdir(a.rings)}
    ok(groups == {"cam0.ring": (0o640, True), "cam0.ctl": (0o660, True)}, f"the ring: {groups}")
    pair = os.stat(os.path.join(a.run, "tls/pair.pem"))
    ok(pair.st_mode & 0o777 == 0o640 and pair.st_uid == 0 and pair.st_gid != 0, "the pair: root's, read by stunnel's group")
    ok(os.stat(key).st_mode & 0o777 == 0o600, "the original key: root's alone")
    for name in ("ringput", "fanout", "ondemand", "stunnel"):
        os.kill(a.pid(name), signal.SIGKILL)
        ok(wait_for(lambda n=name: a.pid(n), 10), f"{name} killed: there again")
    supervisor = a.pid("s6-supervise web")
    fanout = a.pid("fanout")
    os.kill(supervisor, signal.SIGKILL)
    ok(wait_for(lambda: name_of(fanout) is None, 10), "its supervisor killed: it goes too, whoever's it is")
    ok(wait_for(lambda: a.pid("fanout"), 10), "and comes again")
    s.close()
    with open(a.conf, encoding="utf-8") as f:
        text = f.read()
    low = next(port for port in range(700, 900) if subprocess.run(
        ["ss", "-Hltn", f"sport = :{port}"], capture_output=True, check=True).stdout == b"")
    with open(a.conf, "w", encoding="utf-8") as f:
        f.write(text.replace(f"https_port = {a.https}", f"https_port = {low}"))
    a.process.send_signal(signal.SIGHUP)
    a.https = low
    ok(wait_for(a.pair, 10) == first, f"port {low}, without root")
    for pid in (a.pid("fanout"), a.pid("stunnel")):
        with open(f"/proc/{pid}/environ", encoding="utf-8") as f:
            names = {entry.partition("=")[0] for entry in f.read().split("\0") if entry}
        ok("HOME" in names and not [n for n in names if n not in ("HOME", "PATH", "GLIBC_TUNABLES", "LANG", "TZ") and
                                    not n.startswith(("FMP4STREAMER_", "LC_"))], f"its environment: {' '.join(sorted(names))}")
    a.stop()
    planted = os.path.join(a.rings, "cam0.ring")
    os.chown(planted, 65534, 65534)
    spy = open(planted, "rb")
    os.symlink("/etc/passwd", os.path.join(a.rings, "x.ring"))
    a.start()
    a.request("/raw.mp4")[0].close()
    ok(os.fstat(spy.fileno()).st_nlink == 0 and os.stat(planted).st_uid not in (0, 65534) and
       not os.path.lexists(os.path.join(a.rings, "x.ring")) and os.stat("/etc/passwd").st_uid == 0,
       "what others put among the rings before is not written to")
    spy.close()
    file = os.path.join(key_directory, "users")
    with open(file, "w", encoding="utf-8") as f:
        f.write(line("alice", "x"))
    os.chmod(file, 0o600)
    with open(a.conf, "w", encoding="utf-8") as f:
        f.write(text.replace("keyfile", f"users = {file}\nkeyfile"))
    said = a.say("check")
    ok(said[0] == 100 and "fmp4s-web may not read it" in said[1], f"check: {said[1].strip()}")
    a.stop()
    ok(not a.pids(), "all ends")
    a.remove()
    shutil.rmtree(key_directory)
    subprocess.run(["umount", "/etc"], check=True)
    shutil.rmtree(upper)


parts = [self_signed, certificates, renewal, users, files, wrong, port_taken, as_users, slow, browsers]
for needed in ("s6-svscan", "stunnel", "openssl"):
    if not shutil.which(needed):
        sys.exit(f"{needed} is not installed")
if sys.argv[1:] == ["in_namespace"]:
    live.run_all(in_namespace)
    sys.exit(finish())
for part in parts:
    if len(sys.argv) < 2 or part.__name__ in sys.argv[1:]:
        live.run_all(part)
sys.exit(finish())
