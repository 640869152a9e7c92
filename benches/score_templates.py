#!/usr/bin/env python3
"""Scores `cas insight templates` on log files with ground truth: `make score`.

usage: score_templates.py CAS DATA SCORER
DATA/loghub/<System>/ holds <System>_2k.log and the truth as published and corrected; SCORER prints the table for a directory of predictions.
Speed and memory are those of one core over each file repeated to LINES lines, with `--csv`."""
import os
import subprocess
import sys
import tempfile
import time

LINES = 200_000


def run(command, out, one_core=False):
    """Wall seconds and peak memory in KiB."""
    core = max(os.sched_getaffinity(0))
    pin = (lambda: os.sched_setaffinity(0, {core})) if one_core else None
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=out, preexec_fn=pin)
    _, status, used = os.wait4(child.pid, 0)
    took = time.monotonic() - began
    if status != 0:
        sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return took, used.ru_maxrss


def main():
    cas, data, scorer = sys.argv[1:]
    loghub = os.path.join(data, "loghub")
    if not os.path.isdir(loghub) or not os.path.isfile(scorer):
        print(f"no data to score on: {loghub} or {scorer} is absent (make score DATA=… SCORE=…)")
        return
    logs = {system: os.path.join(loghub, system, f"{system}_2k.log") for system in sorted(os.listdir(loghub))}
    logs = {system: log for system, log in logs.items() if os.path.isfile(log)}
    with tempfile.TemporaryDirectory() as found:
        for system, log in logs.items():
            with open(os.path.join(found, f"{system}.csv"), "wb") as out:
                run([cas, "insight", "templates", log, "--csv"], out)
        for name, more in (("the truth as published", []), ("the corrected truth", ["--corrected"])):
            print(f"\n{name}:", flush=True)
            subprocess.run([sys.executable, scorer, "--data", loghub, "--pred", found, "--systems", ",".join(logs), *more], check=True)
        print(f"\none core, each file repeated to {LINES} lines:\n{'system':12s}  lines/s  MB/s  peak MB")
        total, peak = 0.0, 0
        for system, log in logs.items():
            with open(log, "rb") as file:
                text = file.read().rstrip(b"\r\n") + b"\n"
            large = os.path.join(found, "large.log")
            # Piece by piece: what is in memory here when a program is started counts as its own.
            with open(large, "wb") as file:
                for _ in range(LINES // text.count(b"\n")):
                    file.write(text)
            with open(os.devnull, "wb") as out:
                took, memory = min(run([cas, "insight", "templates", large, "--csv"], out, one_core=True) for _ in range(3))
            total, peak = total + took, max(peak, memory)
            print(f"{system:12s} {LINES / took:8.0f} {os.path.getsize(large) / took / 1e6:5.0f} {memory / 1024:8.1f}", flush=True)
        print(f"{'ALL':12s} {LINES * len(logs) / total:8.0f} {'':5s} {peak / 1024:8.1f}")


main()
