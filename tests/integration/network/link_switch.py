"""A switch between TAP devices whose links have a rate and a delay, and go down and up.

  link_switch.py --mbit RATE --delay-ms DELAY NAME=FD…

Each NAME is a host, FD the open TAP device of it; host i (from 0) has the MAC address 02:00:00:00:00:0i. A frame waits for
its sender's link, then for its receiver's (each of RATE, both ways at once), and is DELAY under way besides. What would
wait for more than 100 ms is dropped, as is whatever passes between two hosts whose link is down.
Reads one command a line from standard input and answers each with a line: `cut A B`, `heal A B` (`*`: with every other
host) with `ok`, `carried A B` with the bytes from A to B so far. Ends with its input.
"""
import argparse
import heapq
import itertools
import os
import select
import sys
import time

LONGEST_QUEUE_S = 0.1
FRAMES_AT_ONCE = 64
BROADCAST = 1  # the lowest bit of a MAC address' first byte


class Switch:
    def __init__(self, names, devices, bits_per_s, delay_s):
        self.names, self.devices = names, devices
        self.bits_per_s, self.delay_s = bits_per_s, delay_s
        self.sends_until = [0.0] * len(names)
        self.receives_until = [0.0] * len(names)
        self.cut = set()
        self.carried = {}
        self.under_way = []  # heap of (when, number, from, to, frame)
        self.numbers = itertools.count()

    def command(self, line):
        verb, first, second = line.split()
        a = self.names.index(first)
        others = [i for i, name in enumerate(self.names) if second in (name, "*") and i != a]
        pairs = {frozenset((a, b)) for b in others}
        if verb == "carried":
            return str(sum(self.carried.get((a, b), 0) for b in others))
        self.cut = self.cut | pairs if verb == "cut" else self.cut - pairs
        return "ok"

    def take(self, sender):
        """Takes what has come from a host's device."""
        for _ in range(FRAMES_AT_ONCE):
            try:
                frame = os.read(self.devices[sender], 65536)
            except BlockingIOError:
                return
            now = time.monotonic()
            sent = self._pass(self.sends_until, sender, frame, now)
            if sent is None:
                continue
            receivers = range(len(self.names)) if frame[0] & BROADCAST else [frame[5]]
            for receiver in receivers:
                if receiver == sender or receiver >= len(self.names):
                    continue
                received = self._pass(self.receives_until, receiver, frame, sent)
                if received is not None:
                    heapq.heappush(self.under_way,
                                   (received + self.delay_s, next(self.numbers), sender, receiver, frame))

    def _pass(self, busy_until, host, frame, now):
        """When the frame has passed the host's link in one direction; None if too many wait there."""
        begin = max(now, busy_until[host])
        if begin - now > LONGEST_QUEUE_S:
            return None
        busy_until[host] = begin + len(frame) * 8 / self.bits_per_s
        return busy_until[host]

    def deliver(self):
        """Hands over what is due; returns the seconds until something is, None if nothing is under way."""
        while self.under_way:
            wait_s = self.under_way[0][0] - time.monotonic()
            if wait_s > 0:
                return wait_s
            _, _, sender, receiver, frame = heapq.heappop(self.under_way)
            if frozenset((sender, receiver)) in self.cut:
                continue
            try:
                os.write(self.devices[receiver], frame)
            except OSError:  # a full device drops, as a network card does
                continue
            self.carried[sender, receiver] = self.carried.get((sender, receiver), 0) + len(frame)
        return None

    def run(self):
        senders = {device: i for i, device in enumerate(self.devices)}
        while True:
            ready, _, _ = select.select([0, *self.devices], [], [], self.deliver())
            for descriptor in ready:
                if descriptor != 0:
                    self.take(senders[descriptor])
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                print(self.command(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mbit", type=float, required=True)
    parser.add_argument("--delay-ms", type=float, required=True)
    parser.add_argument("host", nargs="+")
    flags = parser.parse_args()
    names, devices = zip(*(host.split("=") for host in flags.host))
    devices = [int(device) for device in devices]
    for device in devices:
        os.set_blocking(device, False)
    Switch(names, devices, flags.mbit * 1e6, flags.delay_ms / 1e3).run()


if __name__ == "__main__":
    main()
