// Gives every <video> that is told to play a playlist to hls.js, with its defaults, so that watch.js need not know.
// A fatal error of hls.js becomes the element's error event.
'use strict';

const plain = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, 'src');
Object.defineProperty(HTMLMediaElement.prototype, 'src', { ...plain, set(url) {
    if (!url.endsWith('.m3u8')) return plain.set.call(this, url);
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, data) => {
        console.log(`hls.js: ${data.type} ${data.details}${data.fatal ? ', fatal' : ''}`);
        if (data.fatal) this.dispatchEvent(new Event('error'));
    });
    hls.loadSource(url);
    hls.attachMedia(this);
} });
