"""Logs of other programs hold no start, whatever words they share with engines."""

import pytest

from glowplug.profiling.logfile import LogError
from tests.engines.logs.reading import read

NGINX = """\
2026/03/01 10:00:00 [notice] 1#1: nginx/1.27.0
2026/03/01 10:00:00 [notice] 1#1: start worker processes
10.0.0.1 - - [01/Mar/2026:10:00:05 +0000] "GET /health HTTP/1.1" 200 15 "-" "kube-probe/1.31"
10.0.0.1 - - [01/Mar/2026:10:00:06 +0000] "POST /v1/chat/completions HTTP/1.1" 502 157 "-" "python"
2026/03/01 10:00:06 [error] 29#29: *2 connect() failed (111: Connection refused) while connecting to upstream
"""

WEB_APPLICATION = """\
2026-03-01 10:00:00,000 - app - INFO - Starting up, model_id: "sentiment-v2", dtype: float32
2026-03-01 10:00:01,000 - app - INFO - Connected
2026-03-01 10:00:01,500 - app - INFO - build: 17 (release)
INFO:     Started server process [12]
INFO:     Waiting for application startup.
INFO:     Application startup complete.
INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)
2026-03-01 10:05:00,000 - app - ERROR - ValueError: bad request
Traceback (most recent call last):
ConnectionError: peer went away
"""

TRAINING = """\
Fetching 12 files: 100%|##########| 12/12 [00:31<00:00,  2.50s/it]
Loading checkpoint shards: 100%|##########| 3/3 [00:09<00:00,  3.00s/it]
Loading weights: 100%|##########| 272/272 [00:04<00:00, 68.00it/s]
[transformers] `torch_dtype` is deprecated! Use `dtype` instead!
Loading dataset@main from disk is slow
{'loss': 1.25, 'epoch': 0.5}
Engine warmup completed in 3.50 seconds.
Warming up model. This may take a while.
torch.OutOfMemoryError: CUDA out of memory.
"""

GPU_PROGRAM = """\
ggml_cuda_init: found 1 CUDA devices:
  Device 0: Tesla T4, compute capability 7.5, VMM: yes
whisper_model_load: loading model
whisper_model_load: model size    =  147.37 MB
server is listening on http://127.0.0.1:9000
model loaded
"""

RUST_SERVICE = """\
2026-03-01T10:00:00.000000Z  INFO my_service: Starting Webserver
2026-03-01T10:00:00.100000Z  INFO my_service::db: Connected
2026-03-01T10:00:00.200000Z  INFO my_service: Args { port: 80 }
{"timestamp":"2026-03-01T10:00:01.000000Z","level":"INFO","fields":{"message":"listening"},"target":"my_service"}
"""


@pytest.mark.parametrize("text", [NGINX, WEB_APPLICATION, TRAINING, GPU_PROGRAM, RUST_SERVICE])
def test_no_start_is_found(text: str) -> None:
    with pytest.raises(LogError, match="no start of an engine was found"):
        read(text)


def test_every_engine_is_named_to_whoever_gives_another_log() -> None:
    with pytest.raises(LogError, match=r"known are vllm, sglang, lmdeploy, tgi, llama\.cpp, transformers"):
        read(NGINX)
