"""Stands in for the program `hq`, which the Python package does not bring: `hq submit --array 0-N … -- COMMAND`, through the package's client.

    hq.py serve FOLDER      a server with two workers of one core each, until its input ends; says "ready"
    hq.py submit …          as HyperQueue's `hq submit`; the server is the one in $HQ_SERVER_DIR, as there
"""

import argparse
import os
import sys

from hyperqueue import Client, Job
from hyperqueue.cluster import LocalCluster, WorkerConfig


def serve(folder):
    with LocalCluster(folder) as cluster:
        for _ in range(2):
            cluster.start_worker(WorkerConfig(cores=1))
        print(f"ready {cluster.cluster.server_dir}", flush=True)
        sys.stdin.read()


def submit(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--array", required=True)
    parser.add_argument("--cpus", required=True, choices=["1"])
    parser.add_argument("--stdout", required=True, choices=["none"])
    parser.add_argument("--stderr", required=True, choices=["none"])
    cut = arguments.index("--")
    options, command = parser.parse_args(arguments[:cut]), arguments[cut + 1 :]
    first, last = map(int, options.array.split("-"))
    job = Job(name=options.name, max_fails=None)
    for task in range(first, last + 1):
        # the server numbers the tasks as they come
        job.program(command, stdout=None, stderr=None, name=str(task))
    Client(os.environ["HQ_SERVER_DIR"]).submit(job)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    elif sys.argv[1] == "submit":
        submit(sys.argv[2:])
    else:
        sys.exit(f"hq: {sys.argv[1]}?")
