#!/usr/bin/env python3
"""Serves a GGUF file over the OpenAI protocol on this machine, with llama.cpp's server (the package xllamacpp).

  .venv/bin/python launch/llama_server.py --gguf FILE --name NAME [--threads N] [--slots N] [--context TOKENS]

Prints its address ("http://127.0.0.1:41234") and serves until it gets TERM or INT. The server's log is stderr.
"""

import argparse
import os
import signal
import sys


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", required=True, help="the model's file")
    parser.add_argument("--name", required=True, help="what the model is called, served_model of a config")
    # Its threads spin while they wait for one another: more than the free cores make it far slower.
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    parser.add_argument("--slots", type=int, default=4, help="requests at once (default 4)")
    parser.add_argument("--context", type=int, default=2048, help="tokens of one request (default 2048)")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if not os.path.isfile(arguments.gguf):
        sys.exit(f"llama_server.py: there is no file {arguments.gguf}")
    try:
        import xllamacpp
    except ImportError:
        sys.exit("llama_server.py: xllamacpp is not installed: .venv/bin/pip install --no-deps xllamacpp")
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before the server's threads are there, which inherit it

    parameters = xllamacpp.CommonParams()
    parameters.model.path = arguments.gguf
    parameters.model_alias = {arguments.name}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel = arguments.slots
    parameters.n_ctx = arguments.slots * arguments.context
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = arguments.threads
    parameters.cpuparams_batch.n_threads = arguments.threads
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError as error:
        sys.exit(f"llama_server.py: llama.cpp cannot serve {arguments.gguf}: {error}")
    print(server.listening_address, flush=True)
    signal.sigwait(signals)


if __name__ == "__main__":
    main()
