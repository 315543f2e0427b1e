"""The test card's cells in a picture of grey bytes (testcard(1)), and a line for every picture read."""
import sys
import time

CELL = 16
BITS = 32 + 64 + 8


def crc8(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 & 0xff ^ (0x07 if crc & 0x80 else 0)
    return crc


def read(picture, width, stride=None, base=0):
    """(counter, capture time in us) of the picture whose first byte is at `base`, or None when its CRC is wrong."""
    stride, per_row, value = stride or width, width // CELL, 0
    for bit in range(BITS):
        row, column = divmod(bit, per_row)
        at = base + (row * CELL + CELL // 2) * stride + column * CELL + CELL // 2
        value = value << 1 | (picture[at] > 127)
    data = value.to_bytes(BITS // 8, "big")
    if crc8(data) or not any(data):  # all black has a right CRC
        return None
    return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:12], "big")


def tell(card, width, height):
    """What was shown now, for `run`: ms since 1970, counter, capture time, size."""
    clock = time.time() * 1000
    sys.stdout.write(f"{clock:.1f} {card[0]} {card[1]} {width}x{height}\n" if card else f"{clock:.1f} unreadable\n")
    sys.stdout.flush()
