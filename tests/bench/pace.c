/* A camera's pace: writes an Annex-B file with access unit delimiters to stdout, over and over, one
 * access unit and the next one's delimiter a write.
 *
 *   pace [-r units-per-second] [-n units] file */
#include "tests/bench/bench.h"

enum { DELIMITER = 6 /* start code, header, primary_pic_type */ };

int main(int argc, char **argv)
{
    int option, rate = 30, units = 0;
    while ((option = getopt(argc, argv, "r:n:")) != -1) {
        if (option == 'r')
            rate = number(option, optarg, 1, 1000);
        else if (option == 'n')
            units = number(option, optarg, 1, 100000000);
        else
            exit(BENCH_USAGE);
    }
    if (optind + 1 != argc)
        die(BENCH_USAGE, "usage: pace [-r rate] [-n units] file");
    struct span file = map_file(argv[optind]);
    double start = now();
    size_t at = 0;
    for (int n = 0; !units || n < units; n++) {
        size_t end = unit_end(file, at);
        int last = end == file.len; /* the next delimiter is the file's first */
        size_t next = last ? DELIMITER : end + DELIMITER;
        sleep_until(start + (double)n / rate);
        if (write_all(1, file.p + at, last ? end - at : next - at) < 0 ||
            (last && write_all(1, file.p, DELIMITER) < 0))
            return BENCH_FAILED;
        at = next;
    }
    return 0;
}
