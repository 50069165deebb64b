#!/usr/bin/env python3
"""Stands for `vllm serve`: the same command line, /health and chat completions. It notes how it was started.

A model named "broken" ends at once, as vLLM does when a model cannot be loaded.
"""
import argparse
import http.server
import json
import os
import sys


def parse():
    parser = argparse.ArgumentParser(prog="vllm")
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", allow_abbrev=False)
    serve.add_argument("model")
    serve.add_argument("--host", default="")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--tensor-parallel-size", type=int, default=1)
    serve.add_argument("--max-model-len", type=int)
    return parser.parse_args()


FLAGS = parse()
KEY = os.environ.get("VLLM_API_KEY")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(200 if self.path == "/health" else 404, {})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if KEY and self.headers.get("Authorization") != f"Bearer {KEY}":
            self.reply(401, {"error": {"message": "Unauthorized", "type": "invalid_request_error"}})
        elif self.path != "/v1/chat/completions" or request["model"] != FLAGS.model:
            self.reply(404, {"error": {"message": f"The model `{request['model']}` does not exist.", "type": "NotFoundError"}})
        else:
            self.reply(200, {
                "id": "chatcmpl-1", "object": "chat.completion", "model": FLAGS.model,
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Lima"}}],
                "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}})


if FLAGS.model == "broken":
    sys.exit("ValueError: the model cannot be loaded")
print(json.dumps({**vars(FLAGS), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}), flush=True)
http.server.ThreadingHTTPServer((FLAGS.host, FLAGS.port), Handler).serve_forever()
