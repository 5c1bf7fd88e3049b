"""The floor: the library's own step loop in one process, and nothing else."""

import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as genai
from openvino_genai.py_openvino_genai import GenerationHandle

from loadtests.bench.workload import ANSWER_TOKENS, Answer, Load
from serving.engines.messages import EngineSettings
from serving.engines.openvino import build_pipeline


class RawClient:
    """One client of the loop: its next request starts when the one before has ended."""

    def __init__(
        self, pipeline: genai.ContinuousBatchingPipeline, prompts: list[list[int]]
    ) -> None:
        self._pipeline = pipeline
        self._prompts = prompts
        self._handle: GenerationHandle | None = None
        self.answers: list[Answer] = []

    def start_next(self, request_id: int) -> bool:
        """Start the next request; False when there is none left."""
        if not self._prompts:
            return False
        ids = np.array([self._prompts.pop()], dtype=np.int64)
        self._handle = self._pipeline.add_request(request_id, ov.Tensor(ids), _config())
        self._started_s = time.perf_counter()
        self.answers.append(Answer())
        return True

    def read(self) -> bool:
        """Take the tokens of the last step; True when the answer is complete."""
        assert self._handle is not None
        answer = self.answers[-1]
        while self._handle.can_read():
            for output in self._handle.read().values():
                answer.tokens += len(output.generated_ids)
                answer.at_s.append(time.perf_counter() - self._started_s)
        return answer.tokens >= ANSWER_TOKENS


def run(pipeline: genai.ContinuousBatchingPipeline, load: Load) -> list[Answer]:
    """Every answer of `load`."""
    clients = [RawClient(pipeline, load.prompts(client)) for client in range(load.clients)]
    request_id = 0
    for client in clients:
        client.start_next(request_id := request_id + 1)
    active = list(clients)
    while active:
        pipeline.step()
        for client in list(active):
            if client.read() and not client.start_next(request_id := request_id + 1):
                active.remove(client)
    return [answer for client in clients for answer in client.answers]


def _config() -> genai.GenerationConfig:
    config = genai.GenerationConfig()
    config.max_new_tokens = ANSWER_TOKENS
    config.ignore_eos = True
    return config


def main() -> None:
    """Child process: `python -m loadtests.bench.raw FD MODEL`; loads in, answers out."""
    connection = Connection(int(sys.argv[1]))
    settings = EngineSettings(Path(sys.argv[2]), 32768, 64, 512)
    pipeline = build_pipeline(settings)
    while True:
        try:
            load: Load = connection.recv()
        except EOFError:
            return
        started_s, cpu_s = time.perf_counter(), time.process_time()
        answers = run(pipeline, load)
        seconds = time.perf_counter() - started_s
        connection.send((answers, seconds, time.process_time() - cpu_s))


if __name__ == "__main__":
    main()
