/* What a USB camera says of itself and how it is told what to send: USB Device Class Definition for
 * Video Devices 1.1, with one H.264 stream (Frame Based Payload) over a bulk endpoint. Requests in,
 * answers out; no I/O. */
#ifndef TESTS_GUEST_UVC_H
#define TESTS_GUEST_UVC_H

#include <stdint.h>
#include <string.h>

enum {
    UVC_SIZES_MAX = 4,
    UVC_RATES = 3,
    UVC_FRAME_MAX = 1 << 20, /* bytes; what the driver makes its buffers of */
    /* The largest bulk URB that uvcvideo submits, so that a URB is a payload. */
    UVC_PAYLOAD_MAX = 32 * 512,
    UVC_ENDPOINT = 0x81,
    UVC_PROBE_LEN = 34,
    UVC_ANSWER_MAX = 512,
    UVC_STALL = -1,
    UVC_CLOCK = 48000000, /* Hz */

    CONTROL_INTERFACE = 0,
    STREAM_INTERFACE = 1,
    CAMERA_TERMINAL = 1,
    PROCESSING_UNIT = 2,
    OUTPUT_TERMINAL = 3,

    CLASS_VIDEO = 0x0e,
    CS_INTERFACE = 0x24,
    BRIGHTNESS = 2, /* UVC 1.5, A.9.5 */
    CONTRAST = 3,
    GAIN = 4,
    SATURATION = 7,
    SHARPNESS = 8,
    UVC_CONTROLS = 9, /* selectors are below this */
    BRIGHTNESS_MIN = -64,
    CONTROL_MAX = 64,
};

/* Frame intervals every size is offered at, in units of 100 ns: 30, 15 and 5 a second. */
static const uint32_t uvc_interval[UVC_RATES] = {333333, 666666, 2000000};

struct uvc {
    unsigned sizes;
    struct {
        unsigned width, height;
    } size[UVC_SIZES_MAX];

    unsigned chosen;   /* index of the size to send */
    uint32_t interval; /* and at what pace, in units of 100 ns */
    int committed;     /* set by the request that begins a stream; for the caller to clear */
    int halted;        /* set by the request that ends one; for the caller to clear */
    uint8_t probe[UVC_PROBE_LEN];
    int16_t control[UVC_CONTROLS];
};

/* --- Descriptors --- */

struct uvc_out {
    uint8_t *p;
    size_t len;
};

static inline void uvc_put(struct uvc_out *o, unsigned bytes, uint32_t value)
{
    for (; bytes && o->len < UVC_ANSWER_MAX; bytes--, value >>= 8)
        o->p[o->len++] = (uint8_t)value;
}

static inline void uvc_put_bytes(struct uvc_out *o, const uint8_t *p, size_t len)
{
    while (len--)
        uvc_put(o, 1, *p++);
}

/* Writes how much came since `from` into the 16 bits at `at`. */
static inline void uvc_put_total(struct uvc_out *o, size_t from, size_t at)
{
    size_t total = o->len - from;
    o->p[at] = (uint8_t)total;
    o->p[at + 1] = (uint8_t)(total >> 8);
}

static inline void uvc_put_device(struct uvc_out *o)
{
    static const uint8_t device[] = {18,   1,    0x00, 0x02, 0xef, 2, 1, 64, 0x6b,
                                     0x1d, 0x02, 0x01, 0x00, 0x01, 1, 2, 3,  1};
    uvc_put_bytes(o, device, sizeof device);
}

/* Camera terminal -> processing unit (with five controls) -> output terminal. */
static inline void uvc_put_control_interface(struct uvc_out *o)
{
    static const uint8_t interface[] = {9, 4, CONTROL_INTERFACE, 0, 0, CLASS_VIDEO, 1, 0, 2};
    static const uint8_t header[] = {13, CS_INTERFACE, 1, 0x10, 0x01};
    static const uint8_t camera[] = {
        18, CS_INTERFACE, 2, CAMERA_TERMINAL, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0};
    static const uint8_t processing[] = {
        12, CS_INTERFACE, 5, PROCESSING_UNIT, CAMERA_TERMINAL, 0, 0, 3, 0x1b, 0x02, 0, 0};
    static const uint8_t output[] = {9, CS_INTERFACE,    3, OUTPUT_TERMINAL, 0x01, 0x01,
                                     0, PROCESSING_UNIT, 0};
    uvc_put_bytes(o, interface, sizeof interface);
    size_t start = o->len;
    uvc_put_bytes(o, header, sizeof header);
    uvc_put(o, 2, 0); /* the total */
    uvc_put(o, 4, UVC_CLOCK);
    uvc_put(o, 1, 1); /* streaming interface */
    uvc_put(o, 1, STREAM_INTERFACE);
    uvc_put_bytes(o, camera, sizeof camera);
    uvc_put_bytes(o, processing, sizeof processing);
    uvc_put_bytes(o, output, sizeof output);
    uvc_put_total(o, start, start + 5);
}

static inline void uvc_put_size(struct uvc_out *o, const struct uvc *u, unsigned i)
{
    uvc_put(o, 1, 26 + 4 * UVC_RATES);
    uvc_put(o, 1, CS_INTERFACE);
    uvc_put(o, 1, 0x11); /* VS_FRAME_FRAME_BASED */
    uvc_put(o, 1, i + 1);
    uvc_put(o, 1, 0); /* no stills */
    uvc_put(o, 2, u->size[i].width);
    uvc_put(o, 2, u->size[i].height);
    uvc_put(o, 4, 500000);  /* bits a second, at least */
    uvc_put(o, 4, 8000000); /* and at most */
    uvc_put(o, 4, uvc_interval[0]);
    uvc_put(o, 1, UVC_RATES);
    uvc_put(o, 4, 0); /* bytes a line */
    for (unsigned k = 0; k < UVC_RATES; k++)
        uvc_put(o, 4, uvc_interval[k]);
}

static inline void uvc_put_stream_interface(struct uvc_out *o, const struct uvc *u)
{
    static const uint8_t interface[] = {9, 4, STREAM_INTERFACE, 0, 1, CLASS_VIDEO, 2, 0, 0};
    static const uint8_t header[] = {14, CS_INTERFACE, 1, 1};
    static const uint8_t links[] = {UVC_ENDPOINT, 0, OUTPUT_TERMINAL, 0, 0, 0, 1, 0};
    static const uint8_t h264[] = {'H',  '2',  '6',  '4',  0x00, 0x00, 0x10, 0x00,
                                   0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71};
    static const uint8_t colour[] = {6, CS_INTERFACE, 0x0d, 1, 1, 4};
    static const uint8_t endpoint[] = {7, 5, UVC_ENDPOINT, 2, 0x00, 0x02, 0};
    uvc_put_bytes(o, interface, sizeof interface);
    size_t start = o->len;
    uvc_put_bytes(o, header, sizeof header);
    uvc_put(o, 2, 0); /* the total */
    uvc_put_bytes(o, links, sizeof links);
    uvc_put(o, 1, 28);
    uvc_put(o, 1, CS_INTERFACE);
    uvc_put(o, 1, 0x10); /* VS_FORMAT_FRAME_BASED */
    uvc_put(o, 1, 1);
    uvc_put(o, 1, u->sizes);
    uvc_put_bytes(o, h264, sizeof h264);
    uvc_put(o, 1, 16); /* bits a pixel */
    uvc_put(o, 1, 1);  /* the default size */
    uvc_put(o, 4, 0);  /* aspect ratio, interlacing, copying: nothing to say */
    uvc_put(o, 1, 1);  /* frames vary in size */
    for (unsigned i = 0; i < u->sizes; i++)
        uvc_put_size(o, u, i);
    uvc_put_bytes(o, colour, sizeof colour);
    uvc_put_total(o, start, start + 4);
    uvc_put_bytes(o, endpoint, sizeof endpoint);
}

static inline void uvc_put_configuration(struct uvc_out *o, const struct uvc *u)
{
    static const uint8_t configuration[] = {9, 2, 0, 0, 2, 1, 0, 0x80, 250};
    static const uint8_t association[] = {8, 11, CONTROL_INTERFACE, 2, CLASS_VIDEO, 3, 0, 2};
    uvc_put_bytes(o, configuration, sizeof configuration);
    uvc_put_bytes(o, association, sizeof association);
    uvc_put_control_interface(o);
    uvc_put_stream_interface(o, u);
    uvc_put_total(o, 0, 2);
}

static inline int uvc_put_string(struct uvc_out *o, unsigned index)
{
    static const char *const text[] = {"", "fmp4streamer", "H.264 test camera", "0001"};
    if (index >= sizeof text / sizeof *text)
        return UVC_STALL;
    uvc_put(o, 1, index ? 2 + 2 * (uint32_t)strlen(text[index]) : 4);
    uvc_put(o, 1, 3);
    if (!index)
        uvc_put(o, 2, 0x0409); /* the language of the others */
    for (const char *c = text[index]; *c; c++)
        uvc_put(o, 2, (uint8_t)*c);
    return 0;
}

/* --- Requests --- */

enum uvc_request {
    SET_CUR = 1,
    GET_CUR = 0x81,
    GET_MIN,
    GET_MAX,
    GET_RES,
    GET_LEN,
    GET_INFO,
    GET_DEF
};

/* What is proposed, as far as it can be had: another size or interval becomes the first. */
static inline void uvc_negotiate(struct uvc *u, const uint8_t *wanted, size_t len)
{
    unsigned frame = len > 3 ? wanted[3] : 1;
    uint32_t interval = 0;
    for (unsigned i = 0; len >= 8 && i < 4; i++)
        interval |= (uint32_t)wanted[4 + i] << (8 * i);
    unsigned rate = UVC_RATES - 1;
    while (rate && uvc_interval[rate] != interval)
        rate--;
    if (frame < 1 || frame > u->sizes)
        frame = 1;

    struct uvc_out o = {u->probe, 0};
    memset(u->probe, 0, sizeof u->probe);
    uvc_put(&o, 2, 1); /* the interval is kept fixed */
    uvc_put(&o, 1, 1);
    uvc_put(&o, 1, frame);
    uvc_put(&o, 4, uvc_interval[rate]);
    o.len = 18;
    uvc_put(&o, 4, UVC_FRAME_MAX);
    uvc_put(&o, 4, UVC_PAYLOAD_MAX);
    uvc_put(&o, 4, UVC_CLOCK);
    uvc_put(&o, 1, 3); /* frames are told apart by FID and EOF */
    u->chosen = frame - 1;
    u->interval = uvc_interval[rate];
}

static inline int uvc_stream_request(struct uvc *u, uint8_t request, unsigned selector,
                                     const uint8_t *data, size_t len, struct uvc_out *o)
{
    enum { PROBE = 1, COMMIT = 2 };
    struct uvc first = *u;
    if (selector != PROBE && selector != COMMIT)
        return UVC_STALL;
    switch (request) {
    case SET_CUR:
        uvc_negotiate(u, data, len);
        u->committed |= selector == COMMIT;
        return 0;
    case GET_CUR:
        uvc_put_bytes(o, u->probe, UVC_PROBE_LEN);
        return 0;
    case GET_MIN:
    case GET_MAX:
    case GET_DEF:
        uvc_negotiate(&first, NULL, 0);
        uvc_put_bytes(o, first.probe, UVC_PROBE_LEN);
        return 0;
    case GET_LEN:
        uvc_put(o, 2, UVC_PROBE_LEN);
        return 0;
    case GET_INFO:
        uvc_put(o, 1, 3); /* can be read and set */
        return 0;
    default:
        return UVC_STALL;
    }
}

static inline int uvc_has_control(unsigned selector)
{
    return selector == BRIGHTNESS || selector == CONTRAST || selector == GAIN ||
           selector == SATURATION || selector == SHARPNESS;
}

static inline int uvc_control_request(struct uvc *u, unsigned selector, uint8_t request,
                                      const uint8_t *data, size_t len, struct uvc_out *o)
{
    int value;
    switch (request) {
    case SET_CUR:
        value = len == 2 ? data[0] | data[1] << 8 : 0;
        u->control[selector] = (int16_t)(value < 0x8000 ? value : value - 0x10000);
        return 0;
    case GET_INFO:
        uvc_put(o, 1, 3);
        return 0;
    case GET_CUR:
        value = u->control[selector];
        break;
    case GET_MIN:
        value = selector == BRIGHTNESS ? BRIGHTNESS_MIN : 0;
        break;
    case GET_MAX:
        value = CONTROL_MAX;
        break;
    case GET_DEF:
        value = 0;
        break;
    case GET_RES:
        value = 1;
        break;
    case GET_LEN:
        value = 2;
        break;
    default:
        return UVC_STALL;
    }
    uvc_put(o, 2, (uint32_t)value);
    return 0;
}

static inline int uvc_descriptor_request(const struct uvc *u, unsigned type, unsigned index,
                                         struct uvc_out *o)
{
    enum { DEVICE = 1, CONFIGURATION = 2, STRING = 3 };
    switch (type) {
    case DEVICE:
        uvc_put_device(o);
        return 0;
    case CONFIGURATION:
        uvc_put_configuration(o, u);
        return 0;
    case STRING:
        return uvc_put_string(o, index);
    default:
        return UVC_STALL;
    }
}

/* Takes a request to the control endpoint: its setup packet (USB 2.0 9.3) and, where it brings
 * some, data[0, len). Returns how many bytes to answer with, written to answer[0, UVC_ANSWER_MAX),
 * or UVC_STALL for what the camera doesn't know. */
static inline int uvc_request(struct uvc *u, const uint8_t setup[8], const uint8_t *data,
                              size_t len, uint8_t *answer)
{
    enum { TO_INTERFACE = 0x21, FROM_DEVICE = 0x80, TO_ENDPOINT = 0x02 };
    enum { CLEAR_FEATURE = 1, GET_DESCRIPTOR = 6 };
    unsigned wants = setup[6] | (unsigned)setup[7] << 8;
    struct uvc_out o = {answer, 0};
    int result = 0;

    if (setup[0] == FROM_DEVICE && setup[1] == GET_DESCRIPTOR) {
        result = uvc_descriptor_request(u, setup[3], setup[2], &o);
    } else if ((setup[0] & 0x7f) == TO_INTERFACE && setup[4] == STREAM_INTERFACE) {
        result = uvc_stream_request(u, setup[1], setup[3], data, len, &o);
    } else if ((setup[0] & 0x7f) == TO_INTERFACE) {
        result = setup[5] == PROCESSING_UNIT && uvc_has_control(setup[3])
                     ? uvc_control_request(u, setup[3], setup[1], data, len, &o)
                     : UVC_STALL;
    } else if (setup[0] & FROM_DEVICE) {
        uvc_put(&o, wants < 2 ? wants : 2, 0); /* a status, the configuration */
    } else {
        u->halted |= setup[0] == TO_ENDPOINT && setup[1] == CLEAR_FEATURE;
    }
    if (result < 0)
        return result;
    return (int)(o.len < wants ? o.len : wants);
}

#endif
