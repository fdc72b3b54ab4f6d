"""The CUDA runner and our use of the driver on a real GPU."""

import numpy as np
import pytest
import torch

from jouleforge import cuda
from jouleforge._core import CudaGraphRunner

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(cuda.problem() is not None, reason=f"no GPU: {cuda.problem()}"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this PyTorch is built without CUDA"),
]


def test_graph_that_pytorch_captured_answers_as_it_does() -> None:
    weight = torch.randn(64, 3, device="cuda")
    held = torch.zeros(8, 64, device="cuda")
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.tanh(held @ weight)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        output = torch.tanh(held @ weight)
    given = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    found = np.full((8, 3), np.nan, np.float32)
    runner = CudaGraphRunner(stream=stream.cuda_stream)
    runner.prepare(
        [(graph.raw_cuda_graph_exec(), [(held.data_ptr(), given)], [(output.data_ptr(), found)])],
        owner=(graph, held, weight, output),
    )
    for factor in (1, 2):
        runner.run(0)
        wanted = torch.tanh(torch.from_numpy(given).cuda() @ weight).cpu().numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
        given *= -factor


def test_stream_of_ours_captures_what_others_queue_on_it() -> None:
    device = cuda.Device()
    stream = device.stream()
    held = torch.zeros(5, dtype=torch.float32, device="cuda")
    doubled = torch.zeros_like(held)

    def double() -> None:
        torch.mul(held, 2, out=doubled)

    with torch.cuda.stream(torch.cuda.ExternalStream(stream.handle)):
        double()
        stream.synchronize()
        graph = stream.captured(double)
    given, found = np.arange(5, dtype=np.float32), np.full(5, np.nan, np.float32)
    runner = CudaGraphRunner(stream=stream.handle)
    runner.prepare(
        [(graph.handle, [(held.data_ptr(), given)], [(doubled.data_ptr(), found)])],
        owner=(graph, held, doubled),
    )
    runner.run(0)
    np.testing.assert_array_equal(found, given * 2)


def test_memory_of_ours_keeps_what_was_copied_in() -> None:
    device = cuda.Device()
    stream = device.stream()
    sent = np.random.default_rng(0).integers(0, 1 << 60, 1_000_000)
    received = np.zeros_like(sent)
    memory = device.allocate(sent.nbytes)
    stream.copy_in(memory, sent)
    stream.copy_out(received, memory)
    stream.synchronize()
    np.testing.assert_array_equal(received, sent)
