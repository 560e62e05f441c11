"""The remote engine against a stub that answers in vLLM's shape, and against a real `transformers serve`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from merf.core.sampling import Sampling
from merf.policy.load import ModelError
from merf.policy.policy import Policy
from merf.policy.remote import RemoteEngine, ServerError


@pytest.fixture
def policy(saved_models):
    return Policy.load(saved_models["qwen2"])


def engine_for(policy, url, **changes) -> RemoteEngine:
    options = {
        "encode": policy.chat.encode,
        "decode": policy.chat.decode,
        "score": lambda prompts, responses: [row.tolist() for row in policy.token_logprobs(prompts, responses)],
        "end": policy.tokenizer.eos_token_id,
        **changes,
    }
    return RemoteEngine(url, "served", **options)


@pytest.fixture
def stub(policy):
    """A server that samples with our own engine and answers as vLLM does."""
    seen: list[dict] = []
    lock = threading.Lock()
    spoil: dict[str, object] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append({"path": self.path, **body})
            if spoil.get("status"):
                self.send_error(int(spoil["status"]), "overloaded")
                return
            how = Sampling(max_tokens=body["max_tokens"], temperature=body["temperature"])
            with lock:
                sample = policy.sample([body["prompt"]], how, [body["seed"]])[0]
            choice = {
                "text": policy.chat.decode(sample.tokens),
                "token_ids": sample.tokens,
                "finish_reason": "stop" if sample.finished else "length",
                "logprobs": {"token_logprobs": sample.logprobs},
            }
            choice.update(spoil.get("choice", {}))
            data = json.dumps({"choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", seen, spoil
    server.shutdown()


PROMPTS = [[40 + i, 50, 60 + i] for i in range(5)]


def test_token_ids_travel_both_ways_untouched(policy, stub):
    url, seen, _ = stub
    how = Sampling(max_tokens=12)
    remote = engine_for(policy, url)(PROMPTS, how, list(range(5)))
    local = policy.sample(PROMPTS, how, list(range(5)))
    assert [s.tokens for s in remote] == [s.tokens for s in local]
    assert np.allclose(
        np.concatenate([s.logprobs for s in remote]), np.concatenate([s.logprobs for s in local]), atol=1e-5
    )
    assert [s.finished for s in remote] == [s.finished for s in local]
    assert sorted(body["prompt"] for body in seen) == PROMPTS
    assert all(body["return_token_ids"] for body in seen)


def test_missing_logprobs_are_computed_by_the_local_model(policy, stub):
    url, _, spoil = stub
    spoil["choice"] = {"logprobs": None}
    samples = engine_for(policy, url)(PROMPTS, Sampling(max_tokens=8), list(range(5)))
    expected = policy.token_logprobs(PROMPTS, [s.tokens for s in samples])
    for sample, row in zip(samples, expected, strict=True):
        assert np.allclose(sample.logprobs, row, atol=1e-6)


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        ({"choice": {"token_ids": None}}, 'speaks="text"'),
        ({"choice": {"token_ids": [1, 2, 3], "logprobs": {"token_logprobs": [-1.0]}}}, "3 tokens but 1 log-probs"),
        ({"status": 503}, "answered 503"),
    ],
)
def test_answers_that_break_the_protocol_are_explained(policy, stub, spoiled, message):
    url, _, spoil = stub
    spoil.update(spoiled)
    with pytest.raises(ServerError, match=message):
        engine_for(policy, url)(PROMPTS[:1], Sampling(max_tokens=4), [0])


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_a_server_that_is_not_there_is_named(policy):
    with pytest.raises(ServerError, match="is the server running"):
        engine_for(policy, f"http://127.0.0.1:{free_port()}/v1")(PROMPTS[:1], Sampling(max_tokens=4), [0])


def test_what_a_server_cannot_do_is_refused_before_asking(policy):
    engine = engine_for(policy, "http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="logits processors"):
        engine(PROMPTS, Sampling(processors=(lambda logits, so_far: logits,)), [0] * 5)
    with pytest.raises(ModelError, match="top_p"):
        engine(PROMPTS, Sampling(top_p=0.9), [0] * 5)


@pytest.mark.slow
def test_against_a_real_transformers_serve(policy, saved_models, tmp_path):
    """It speaks only text and reports no log-probs: ids come from the text, log-probs from the local model.
    Greedy text is the local model's own."""
    port = free_port()
    log = (tmp_path / "serve.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "transformers.cli.transformers", "serve", "--host", "127.0.0.1", "--port", str(port)],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_for(server, f"http://127.0.0.1:{port}/health")
        engine = engine_for(policy, url, speaks="text", at_once=1)
        engine.load(str(saved_models["qwen2"]))
        prompts = [policy.encode(({"role": "user", "content": f"Ann meets {name}."},)).ids for name in ("Bob", "Cid")]
        samples = engine(prompts, Sampling(max_tokens=10, temperature=0.0), [0, 1])
        local = policy.sample(prompts, Sampling(max_tokens=10, temperature=0.0), [0, 1])
        for ours, theirs in zip(samples, local, strict=True):
            assert policy.chat.decode(ours.tokens, policy.stops) == policy.chat.decode(theirs.tokens, policy.stops)
            assert len(ours.logprobs) == len(ours.tokens)
            assert max(ours.logprobs) <= 0
        train_two_steps(policy, url, tmp_path)
    finally:
        server.kill()
        server.wait()
        log.close()


def train_two_steps(policy: Policy, url: str, folder) -> None:
    """The server samples, this process learns, and the server goes on with the new weights."""
    from tests.train.conftest import BOOK

    from merf.core.recipe import AdamW
    from merf.tasks.knights_knaves import KnightsKnaves
    from merf.train import records
    from merf.train.build import build_recipe
    from merf.train.loop import train
    from merf.train.options import TrainOptions
    from merf.train.run import Run

    options = TrainOptions(steps=2, problems=1, group_size=4, max_tokens=8, optimizer=AdamW(lr=1e-2))
    policy.use_server(url, "served", "text", folder / "served")
    policy.engine.at_once = 1
    train(build_recipe(options, KnightsKnaves(people=(2, 2)), BOOK), policy, Run(folder / "run"))
    assert len(list(records.read(folder / "run/metrics.jsonl"))) == 2
    assert [path.name for path in (folder / "served").iterdir()] == ["step-1"]


def wait_for(server: subprocess.Popen, address: str) -> None:
    """Until the server answers; its death or two minutes of silence fail the test."""
    import time

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None, "transformers serve ended by itself"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            continue
    raise AssertionError("transformers serve did not answer within two minutes")
