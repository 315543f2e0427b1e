#!/usr/bin/python3
"""/metrics, read by Prometheus' own client library, which is Debian's python's."""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from prometheus_client.parser import text_string_to_metric_families

from live import Server, body_of, finish, head, moofs, ok, read_head, wait_for


def metrics(server):
    """{(name, labels): value}; the parser's own checks come first."""
    status, headers, body = server.get("/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4"), (status, headers)
    families = list(text_string_to_metric_families(body.decode()))
    found = {}
    for family in families:
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
        for sample in family.samples:
            key = sample.name.removeprefix("fmp4streamer_"), *(v for k, v in sorted(sample.labels.items()))
            assert sample.name.startswith("fmp4streamer_") and key not in found, key
            found[key] = sample.value
    return found


def one():
    server = Server(camera=("-g", "15"))
    before = metrics(server)
    ok(before["build_info", "0.1.0"] == 1 and before["uptime_seconds",] > 0, "it is read, and says which version it is")
    body = body_of(server, "/raw.mp4", 2)[1]
    s = server.connect()
    s.sendall(head("/stream.mp4"))
    read_head(s)
    time.sleep(1)
    during = metrics(server)
    server.get("/still.mp4")
    wait_for(lambda: server.get("/live.m3u8")[0] == 200, 10)
    s.close()
    wait_for(lambda: metrics(server)["viewers", "stdin", "stream"] == 0)
    after = metrics(server)
    ok(during["viewers", "stdin", "stream"] == 1 and during["joins_total", "stdin", "stream"] == 1 and
       during["joins_total", "stdin", "raw"] == 1 and after["joins_total", "stdin", "still"] == 1, "viewers that came and are there")
    ok(after["closes_total", "stdin", "client"] == 2 and after["closes_total", "stdin", "stuck"] == 0, "and that went")
    ok(after["sent_bytes_total", "stdin"] > len(body) and after["requests_total",] >= 5 and
       after["connections_total",] >= after["requests_total",] - 1, "bytes, requests, connections")
    ok(after["hls_playlists_total", "stdin"] >= 1 and after["hls_watched", "stdin"] == 1, "HLS")
    sent = after["send_delay_seconds_count", "stdin"]
    ok(sent >= len(moofs(body)) and after["send_delay_seconds_bucket", "stdin", "+Inf"] == sent, f"{sent:.0f} fragments sent")
    buckets = sorted((float(k[2]), v) for k, v in after.items() if k[0] == "send_delay_seconds_bucket")
    ok([v for le, v in buckets] == sorted(v for le, v in buckets) and buckets[-1][1] == sent and
       0 < after["send_delay_seconds_sum", "stdin"] < 60, "how late they were: " +
       ", ".join(f"{le:g}: {v:.0f}" for le, v in buckets))
    ok(0 <= after["ring_age_seconds", "stdin"] < 1 and after["fragments_total", "stdin"] > before["fragments_total", "stdin"] and
       after["ring_bytes", "stdin"] == 32 << 20, "the ring")
    server.stop()


def stuck():
    server = Server(camera=("-g", "5", "-s", "1280x720"))
    s = server.connect(window=4096)
    s.sendall(head("/stream.mp4"))
    ok(wait_for(lambda: metrics(server)["closes_total", "stdin", "stuck"] == 1, 40), "one that takes nothing is counted")
    s.close()
    server.stop()


def many():
    names = [f"camera-of-a-very-long-name-{i:05d}" for i in range(16)]
    with tempfile.TemporaryDirectory() as directory:
        server = Server(*names, source=subprocess.DEVNULL, env={**os.environ, "FMP4STREAMER_RINGS": directory})
        found = metrics(server)
        ok(all(found["ring_bytes", name] == 0 and ("send_delay_seconds_count", name) in found for name in names),
           "16 cameras of long names")
        server.stop()


one()
stuck()
many()
sys.exit(finish())
