// Plays streams as a page would, in plain <video> elements, and reports every frame of the test card they show.
//
// Query parameters:
//   src      the stream to play; once per player (default /stream.mp4)
//   seconds  how long to watch, from the request (default 15)
//   wait     seconds of calm before the request, so that the browser's own start is not measured (default 2)
//   seek     seconds of media time to go to then, one after the other, as often as it is given
//   patience seconds that a player may take to know its stream before that, and for each seek (default 10)
//   report   address the report is POSTed to
//
// The report:
//   { agent, players: [{ src, requested, stopped, skew, columns, frames, unreadable, events, duration, seekable,
//     sought }] }
//   requested, stopped   page clock, see clock()
//   skew                 ms the page clock has run away from the wall clock by the end
//   frames               one row per frame shown whose CRC is right, named by columns
//   unreadable           page clock of every look at a picture whose CRC was wrong
//   events               [page clock, name, currentTime, "WxH", error message or null]
//   duration             as the browser knows it; null for Infinity
//   seekable             up to which second it says it can seek, or null
//   sought               [ms it took, currentTime, capture_us of the picture shown then or null] of each seek
'use strict';

const CELL = 16;                                    // one cell is one macroblock
const CARD_BYTES = 13;                              // counter 4, capture time 8, CRC 1
const CARD_BITS = CARD_BYTES * 8;
const COLUMNS = ['clock', 'counter', 'capture_us', 'media_s', 'current_s', 'buffered_s', 'presented'];
const EVENTS = ['loadedmetadata', 'canplay', 'playing', 'waiting', 'stalled', 'pause', 'seeking', 'ended', 'emptied',
    'resize', 'durationchange', 'ratechange', 'error'];

// Milliseconds since 1970, to better than the millisecond of Date.now().
const clock = () => performance.timeOrigin + performance.now();
const sleep = seconds => new Promise(resolve => setTimeout(resolve, seconds * 1000));

// CRC-8, polynomial 0x07, initial value 0: zero over the bytes and their CRC together.
function crc8(bytes) {
    let crc = 0;
    for (const byte of bytes) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? (crc << 1 ^ 0x07) & 0xff : crc << 1;
    }
    return crc;
}

// A reader owns a canvas of just the macroblock rows that hold the cells: copying the whole picture would cost
// more than playing it. Returns { counter, capture } or null when the CRC is wrong.
function cardReader() {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d', { willReadFrequently: true });

    return video => {
        const perRow = Math.floor(video.videoWidth / CELL);
        if (perRow < 1) return null;
        const rows = Math.ceil(CARD_BITS / perRow), width = perRow * CELL, height = rows * CELL;
        if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
        context.drawImage(video, 0, 0, width, height, 0, 0, width, height);

        const bytes = new Uint8Array(CARD_BYTES);
        for (let bit = 0, line; bit < CARD_BITS; bit++) {
            const column = bit % perRow, row = (bit - column) / perRow;
            if (column === 0) line = context.getImageData(0, row * CELL + CELL / 2, width, 1).data;
            const green = line[(column * CELL + CELL / 2) * 4 + 1];
            if (green > 127) bytes[bit >> 3] |= 0x80 >> (bit & 7);
        }
        if (crc8(bytes) !== 0) return null;
        const view = new DataView(bytes.buffer);
        return { counter: view.getUint32(0), capture: Number(view.getBigUint64(4)) };
    };
}

// Calls look(metadata) at every refresh of the screen that has a picture, with what requestVideoFrameCallback said
// last. That callback alone is not enough: Firefox 153 calls it every 40 ms, though it shows 30 frames a second.
function eachRefresh(video, look) {
    let latest = {};
    const told = (_, metadata) => {
        latest = metadata;
        video.requestVideoFrameCallback(told);
    };
    const refreshed = () => {
        if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) look(latest);
        requestAnimationFrame(refreshed);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(told);
    requestAnimationFrame(refreshed);
}

// Sends a player to a time of its own. What it shows there is looked at once it has had time to be drawn.
async function seek(video, readCard, to, patience) {
    const began = clock();
    video.pause();
    const done = new Promise(resolve => video.addEventListener('seeked', resolve, { once: true }));
    video.currentTime = to;
    await Promise.race([done, sleep(patience)]);
    const took = clock() - began;
    await sleep(0.3);
    return [took, video.currentTime, readCard(video)?.capture ?? null];
}

// Starts one player; the record it returns fills while it plays.
function watch(src) {
    const video = document.createElement('video');
    video.autoplay = video.muted = video.playsInline = true;
    const record = { src, columns: COLUMNS, frames: [], unreadable: [], events: [] };
    const readCard = cardReader();

    for (const name of EVENTS) video.addEventListener(name, () => record.events.push([clock(), name,
        video.currentTime, `${video.videoWidth}x${video.videoHeight}`, video.error && video.error.message]));
    let last = null;
    eachRefresh(video, metadata => {
        const now = clock(), card = readCard(video), buffered = video.buffered;
        if (!card) return record.unreadable.push(now);
        if (card.capture === 0 || card.counter === last) return;  // all black, which has a right CRC: nothing shown yet
        last = card.counter;
        record.frames.push([now, card.counter, card.capture, metadata.mediaTime ?? null, video.currentTime,
            buffered.length ? buffered.end(buffered.length - 1) : null, metadata.presentedFrames ?? null]);
    });
    document.body.append(video);
    record.requested = clock();
    video.src = src;
    const known = new Promise(resolve => video.addEventListener('loadedmetadata', resolve, { once: true }));
    const seekable = () => video.seekable.length ? video.seekable.end(video.seekable.length - 1) : null;
    return { record, known, seek: (...to) => seek(video, readCard, ...to), duration: () => video.duration, seekable };
}

async function main() {
    const query = new URLSearchParams(location.search);
    const sources = query.has('src') ? query.getAll('src') : ['/stream.mp4'];

    await sleep(Number(query.get('wait') ?? 2));
    const players = sources.map(watch);
    await sleep(Number(query.get('seconds') ?? 15));
    for (const { record } of players) Object.assign(record, { stopped: clock(), skew: clock() - Date.now(), sought: [] });
    const patience = Number(query.get('patience') ?? 10), places = query.getAll('seek').map(Number);
    if (places.length) await Promise.race([Promise.all(players.map(player => player.known)), sleep(patience)]);
    for (const { record, duration, seekable } of players)
        Object.assign(record, { duration: duration(), seekable: seekable() });
    for (const to of places)
        for (const { record, seek } of players) record.sought.push(await seek(to, patience));

    // A plain string goes as text/plain, which needs no permission from the other origin.
    const body = JSON.stringify({ agent: navigator.userAgent, players: players.map(({ record }) => record) });
    await fetch(query.get('report'), { method: 'POST', mode: 'no-cors', body });
}

main();
