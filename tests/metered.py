"""A process that meters the fake NVML's two GPUs in real time: `python metered.py LIBRARY ROUNDS`.

It prints one JSON line a window: the joules, what they should be, and the reason if there are none.
"""

import json
import sys
import time

from fake_nvml import FakeNvml

from jouleforge._core import CounterMeter, SparedCore

LASTS_S = 7.0
"""Two seconds of it are the window, at least."""


def main() -> None:
    fake = FakeNvml(sys.argv[1])
    # A read of the first is free, as it is on some boards; of the second it takes 4 ms.
    for gpu, cost_ns in enumerate((0, 4_000_000)):
        fake.sensor(gpu=gpu, lag_ns=30_000_000, read_cost_ns=cost_ns)
    meters = [CounterMeter(gpu, library=fake.path) for gpu in range(2)]
    for _ in range(int(sys.argv[2])):
        begin_ns = time.monotonic_ns()
        end_ns = begin_ns + int(LASTS_S * 1e9)
        core = SparedCore()
        for gpu, meter in enumerate(meters):
            fake.batches(begin_ns, end_ns, busy_ns=4_000_000, idle_ns=1_000_000, gpu=gpu)
            meter.start(lasts_s=LASTS_S, cpu=core.cpu)
        time.sleep(LASTS_S)
        for gpu, meter in enumerate(meters):
            found = meter.stop()
            truth = fake.truth(found.begin_ns, found.end_ns, gpu=gpu)
            line = {"gpu": gpu, "joules": found.joules, "truth": truth, "reason": found.reason}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
