/* What a device is, by its driver's name and capabilities; four-character codes as text. */
#include "capture/device.h"
#include "tests/tap.h"

#include <string.h>

static void kind(const char *driver, uint32_t caps, enum device_kind wanted, const char *what)
{
    enum device_kind got = device_kind(driver, caps);
    ok(got == wanted, "%s: %s", driver, what);
}

static void text(const char *code, const char *wanted)
{
    char out[DEVICE_FOURCC];
    const uint8_t *c = (const uint8_t *)code;
    device_fourcc_text(v4l2_fourcc((uint32_t)c[0], (uint32_t)c[1], (uint32_t)c[2], (uint32_t)c[3]),
                       out);
    ok(!strcmp(out, wanted), "%s", wanted);
}

int main(void)
{
    const uint32_t video = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;

    kind("uvcvideo", video, DEVICE_CAMERA, "a camera");
    kind("uvcvideo", V4L2_CAP_META_CAPTURE | V4L2_CAP_STREAMING, DEVICE_NO_VIDEO, "its metadata");
    kind("hdmi", V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_STREAMING, DEVICE_CAMERA, "multi-planar");
    kind("old", V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_READWRITE, DEVICE_NO_STREAMING, "read() only");
    kind("bcm2835-codec", V4L2_CAP_VIDEO_M2M_MPLANE | V4L2_CAP_STREAMING, DEVICE_CODEC,
         "an encoder");
    kind("unicam", video, DEVICE_LIBCAMERA, "a sensor");
    kind("bcm2835-isp", V4L2_CAP_VIDEO_OUTPUT, DEVICE_LIBCAMERA, "an image processor's node");
    kind("rp1-cfe", video, DEVICE_LIBCAMERA, "a sensor on a Pi 5");
    kind("v4l2 loopback", V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_STREAMING, DEVICE_UNFED, "no writer");
    kind("v4l2 loopback", video, DEVICE_CAMERA, "a writer");
    kind("radio", V4L2_CAP_RADIO, DEVICE_NO_VIDEO, "a radio");
    text("H264", "H264");
    text("Y16 ", "Y16");
    text("Y16\xa0", "Y16");
    text("\1AB\n", ".AB");
    return done();
}
