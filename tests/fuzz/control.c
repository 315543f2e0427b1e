/* Any text as a value for any kind of control: what is taken is in range, and written again it is
 * taken as the same. */
#include "capture/control.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct control_item items[] = {{0, 5, "One"}, {1, 7, "7"}, {9, -1, "T. wo, 3"}};
    struct control c = {.item = items, .items = 3};
    struct control_value v, again;
    char text[1024], why[CONTROL_WHY], said[CONTROL_TEXT], name[CONTROL_NAME];

    if (size < 8 || size > 1000)
        return 0;
    c.query = (struct v4l2_query_ext_ctrl){.type = data[0] % 10,
                                           .minimum = (int8_t)data[1],
                                           .maximum = (int8_t)data[2] * (int64_t)data[3],
                                           .step = data[4] % 8,
                                           .elems = 1};
    memcpy(text, data + 5, size - 5);
    text[size - 5] = 0;
    control_name(text, name);
    assert(strlen(name) < CONTROL_NAME && control_distance(name, name) == 0);
    control_distance(text, name);
    if (control_parse(&c, text, &v, why)) {
        assert(memchr(why, 0, sizeof why));
        return 0;
    }
    if (c.query.type == V4L2_CTRL_TYPE_INTEGER)
        assert(v.number >= c.query.minimum && v.number <= c.query.maximum);
    control_format(&c, &v, said, sizeof said);
    assert(!control_parse(&c, said, &again, why));
    assert(again.number == v.number && !strcmp(again.text, v.text));
    return 0;
}
