// Begins to play `src` so many times (`runs`), each time with a new element, and reports as watch.js does: a player for
// each, whose only frame is the first picture shown.
'use strict';

const WATCH_S = 2;      // an element plays for so long, or has failed by then
const PATIENCE_S = 6;   // before its first picture
const PHASE_MS = 2000;  // of segments: starts are spread over it

const clock = () => performance.timeOrigin + performance.now();
const sleep = seconds => new Promise(resolve => setTimeout(resolve, seconds * 1000));

async function start(src) {
    const video = document.createElement('video');
    video.autoplay = video.muted = true;
    const record = { src, skew: 0, columns: ['clock', 'counter', 'capture_us', 'presented'], frames: [], unreadable: [], events: [] };
    const over = new Promise(resolve => video.addEventListener('error', () => {
        record.events.push([clock(), 'error', video.currentTime, '', video.error.message]);
        resolve();
    }));
    const shown = new Promise(resolve => video.requestVideoFrameCallback((now, { presentedFrames }) => {
        record.frames.push([clock(), 0, clock() * 1000, presentedFrames]);
        resolve();
    }));
    document.body.append(video);
    record.requested = clock();
    video.src = src;
    await Promise.race([over, shown, sleep(PATIENCE_S)]);
    await Promise.race([over, sleep(WATCH_S)]);
    if (!record.events.length && video.currentTime < WATCH_S / 2) record.events.push([clock(), 'error', 0, '', 'stands still']);
    record.stopped = clock();
    video.remove();
    video.removeAttribute('src');
    video.load();
    return record;
}

async function main() {
    const query = new URLSearchParams(location.search), runs = Number(query.get('runs')), players = [];
    for (let n = 0; n < runs; n++) {
        await sleep(((PHASE_MS * n / runs - Date.now()) % PHASE_MS + PHASE_MS) % PHASE_MS / 1000);
        players.push(await start(query.get('src')));
    }
    const body = JSON.stringify({ agent: navigator.userAgent, players });
    await fetch(query.get('report'), { method: 'POST', mode: 'no-cors', body });
}

main();
