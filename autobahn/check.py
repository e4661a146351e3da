#!/usr/bin/env python
"""The helper of `autobahn/run`: knows the cases, writes specs, judges reports.

Runs under Python 2.7 and Python 3.

    check.py port                             a free TCP port
    check.py count quick|full                 how many cases that set has
    check.py spec RUN URL quick|full          the suite's spec for one run
    check.py report [options] RUN:SECONDS...  tables, failures and the sum;
                                              exits 1 if a case failed
"""

from __future__ import print_function

import argparse
import datetime
import io
import json
import os
import platform
import random
import socket
import subprocess
import sys

# Every case of autobahntestsuite 25.10.1. The list stands here, and is not
# taken from a report, so that a case which was never run is seen.
CASES = """
    1.1.1-8 1.2.1-8
    2.1-11
    3.1-7
    4.1.1-5 4.2.1-5
    5.1-20
    6.1.1-3 6.2.1-4 6.3.1-2 6.4.1-4 6.5.1-5 6.6.1-11 6.7.1-4 6.8.1-2 6.9.1-4
    6.10.1-3 6.11.1-5 6.12.1-8 6.13.1-5 6.14.1-10 6.15.1 6.16.1-3 6.17.1-5
    6.18.1-5 6.19.1-5 6.20.1-7 6.21.1-8 6.22.1-34 6.23.1-7
    7.1.1-6 7.3.1-6 7.5.1 7.7.1-13 7.9.1-9 7.13.1-2
    9.1.1-6 9.2.1-6 9.3.1-9 9.4.1-9 9.5.1-6 9.6.1-6 9.7.1-6 9.8.1-6
    10.1.1
    12.1.1-18 12.2.1-18 12.3.1-18 12.4.1-18 12.5.1-18
    13.1.1-18 13.2.1-18 13.3.1-18 13.4.1-18 13.5.1-18 13.6.1-18 13.7.1-18
"""
COUNT = 517

# The one size of each 12.* and 13.* group that `quick` runs: 1000 messages of
# 8192 octets, each sent in fragments of 256.
QUICK_SIZE = "11"

# The suite marks these INFORMATIONAL whatever the peer does: the RFC leaves
# the outcome open.
INFORMATIONAL = ("7.1.6", "7.13.1", "7.13.2")

# From best to worst; a case counts in the column of the worse of its fields.
VERDICTS = ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED",
            "WRONG CODE", "UNCLEAN", "FAILED", "missing")

HERE = os.path.dirname(os.path.abspath(__file__))
REPORTS = "autobahn/reports"


def cases(which):
    ids = []
    for item in CASES.split():
        prefix, last = item.rsplit(".", 1)
        low, _, high = last.partition("-")
        for n in range(int(low), int(high or low) + 1):
            ids.append("%s.%d" % (prefix, n))
    assert len(ids) == len(set(ids)) == COUNT
    if which == "quick":
        ids = [i for i in ids
               if group(i) not in ("12", "13") or i.endswith("." + QUICK_SIZE)]
    return ids


def group(case):
    return case.split(".")[0]


def order(case):
    return [int(n) for n in case.split(".")]


def agent(run):
    return "sockeye-" + run


def ephemeral_ports():
    try:
        with io.open("/proc/sys/net/ipv4/ip_local_port_range") as f:
            low, high = f.read().split()
            return int(low), int(high)
    except (IOError, ValueError):
        return 32768, 65535


def free_port():
    # Below those that the system gives to clients, and to servers that ask for
    # any: one of these may be somebody's before it is listened on.
    low, high = ephemeral_ports()
    ports = [port for port in range(10000, 32768) if not low <= port <= high]
    for port in random.sample(ports, min(100, len(ports))) + [0]:
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", port))
            return s.getsockname()[1]
        except socket.error:
            pass
        finally:
            s.close()
    raise SystemExit("there is no free port")


def spec(run, url, which):
    # The whole suite is asked for by pattern, so that cases which are not in
    # the list above show up too.
    result = {
        "outdir": "./" + run,
        "cases": ["*"] if which == "full" else cases(which),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    if run in ("client", "tls-client"):
        result["url"] = url
    else:
        result["servers"] = [{"agent": agent(run), "url": url}]
    return json.dumps(result, indent=1, sort_keys=True)


def verdict(field):
    return field if field in VERDICTS else "FAILED"


class Run(object):
    """What one run's report says about each expected case."""

    def __init__(self, name, seconds, which):
        self.name = name
        self.seconds = int(seconds)
        self.html = "%s/%s/index.html" % (REPORTS, name)
        self.columns = {}   # case -> verdict
        self.failures = []  # (case, text)
        found = self.load()
        for case in sorted(set(cases(which)) | set(found), key=order):
            self.judge(case, found.get(case), which)

    def load(self):
        path = os.path.join(HERE, "reports", self.name, "index.json")
        try:
            with io.open(path, encoding="utf-8") as f:
                return json.load(f).get(agent(self.name), {})
        except (IOError, ValueError):
            return {}

    def judge(self, case, result, which):
        if result is None:
            self.columns[case] = "missing"
            self.failures.append((case, "missing"))
            return
        fields = (result["behavior"], result["behaviorClose"])
        self.columns[case] = max((verdict(f) for f in fields),
                                 key=VERDICTS.index)
        allowed = ("OK",)
        if case in INFORMATIONAL:
            allowed = ("OK", "INFORMATIONAL")
        if case not in cases(which):
            why = "not in the list of expected cases"
        elif not all(f in allowed for f in fields):
            why = "behavior %s, close %s" % fields
        else:
            return
        page = os.path.splitext(result["reportfile"])[0] + ".html"
        self.failures.append(
            (case, "%s: %s/%s/%s" % (why, REPORTS, self.name, page)))

    def passed(self):
        return len(self.columns) - len(self.failures)

    def count(self, column, which=None):
        return sum(1 for case, c in self.columns.items()
                   if c == column and which in (None, group(case)))

    def print_table(self):
        print("\n%s (%d s)" % (self.name, self.seconds))
        widths = [max(4, len(v)) for v in VERDICTS]
        heads = [v.rjust(w) for v, w in zip(VERDICTS, widths)]
        print("  %-6s" % "cases", "  ".join(heads))
        groups = sorted(set(group(c) for c in self.columns), key=int)
        for g in groups + [None]:
            cells = [str(self.count(v, g)).rjust(w)
                     for v, w in zip(VERDICTS, widths)]
            print("  %-6s" % (g + ".*" if g else "all"), "  ".join(cells))
        print("  report: " + self.html)


def output_of(*command):
    try:
        return subprocess.check_output(command).decode("utf-8").strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cpu():
    try:
        with io.open("/proc/cpuinfo", encoding="utf-8") as f:
            for line in f:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except IOError:
        pass
    if platform.system() == "Darwin":
        return output_of("sysctl", "-n", "machdep.cpu.brand_string")
    return platform.processor() or platform.machine()


def markdown(runs, suite, command):
    lines = [
        "| | |",
        "|---|---|",
        "| date | %s |" % datetime.date.today().isoformat(),
        "| suite | %s |" % suite,
        "| code | %s |" % output_of("git", "describe", "--always", "--dirty"),
        "| compiler | %s |" % output_of("rustc", "--version"),
        "| system | %s %s, %s |" % (platform.system(), platform.machine(),
                                    cpu()),
        "| command | `%s` |" % command,
        "",
        "| run | passed | failed | %s | time |" % " | ".join(VERDICTS),
        "|---" + "|---:" * (len(VERDICTS) + 3) + "|",
    ]
    for run in runs:
        cells = [run.passed(), len(run.failures)]
        cells += [run.count(v) for v in VERDICTS]
        cells.append("%d s" % run.seconds)
        lines.append("| %s | %s |"
                     % (run.name, " | ".join(str(c) for c in cells)))
    for run in runs:
        if run.failures:
            lines += ["", "Failed in `%s`: %s."
                      % (run.name, ", ".join(c for c, _ in run.failures))]
    return "\n".join(lines) + "\n"


def report(args):
    runs = []
    for item in args.runs:
        name, _, seconds = item.partition(":")
        runs.append(Run(name, seconds, args.set))
    for run in runs:
        run.print_table()
    for run in runs:
        if run.failures:
            print("\nfailed in %s:" % run.name)
        for case, text in run.failures:
            print("  %-8s %s" % (case, text))
    if args.set == "full":
        block = markdown(runs, args.suite, args.command)
        print("\n" + block, end="")
        if args.record:
            path = os.path.join(HERE, "RESULTS.md")
            with io.open(path, "w", encoding="utf-8") as f:
                f.write(u"# Autobahn results\n\nWritten by `autobahn/run "
                        u"--full --record`.\n\n" + block)
            print("\nwritten to autobahn/RESULTS.md")
    passed = sum(run.passed() for run in runs)
    failed = sum(len(run.failures) for run in runs)
    print("\nautobahn: %d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description="helper of autobahn/run")
    commands = parser.add_subparsers(dest="action")
    sets = ("quick", "full")
    commands.add_parser("port")
    p = commands.add_parser("count")
    p.add_argument("set", choices=sets)
    p = commands.add_parser("spec")
    p.add_argument("run")
    p.add_argument("url")
    p.add_argument("set", choices=sets)
    p = commands.add_parser("report")
    p.add_argument("--set", choices=sets, default="quick")
    p.add_argument("--suite", default="unknown")
    p.add_argument("--command", default="unknown")
    p.add_argument("--record", action="store_true")
    p.add_argument("runs", nargs="+")
    args = parser.parse_args()
    if args.action == "port":
        print(free_port())
    elif args.action == "count":
        print(len(cases(args.set)))
    elif args.action == "spec":
        print(spec(args.run, args.url, args.set))
    elif args.action == "report":
        return report(args)
    else:
        parser.error("no action given")
    return 0


if __name__ == "__main__":
    sys.exit(main())
