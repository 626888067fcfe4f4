"""Times in PyTorch eager what `cargo bench -p bench-runner --bench device` times, row by row.

Use: python scripts/torch_steps.py DEVICE [small]; needs torch, torchvision and transformers.
"""

import statistics
import sys
import time

import torch
from torch.nn import functional as F
from torchvision.models import resnet18
from transformers import GPT2Config, GPT2LMHeadModel

WARM_UP, RUNS = 3, 10
# f32 in all digits, as the suite computes it: PyTorch's convolutions would round to TF32.
torch.backends.cudnn.allow_tf32 = False
device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
small = "small" in sys.argv[2:]


def seconds(step):
    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    times = []
    for _ in range(WARM_UP + RUNS):
        wait()
        started = time.perf_counter()
        step()
        wait()
        times.append(time.perf_counter() - started)
    return statistics.median(times[WARM_UP:])


def row(name, measure):
    try:
        print(f"{name}\t{measure():.2f}", flush=True)
    except (RuntimeError, torch.OutOfMemoryError) as error:
        print(f"{name}\tfailed: {error}".splitlines()[0], flush=True)


def copy(elements):
    source = torch.ones(elements, device=device)
    return 8 * elements / seconds(lambda: source.clone()) / 1e9


def adam(elements):
    x = torch.nn.Parameter(torch.ones(elements, device=device))
    x.grad = torch.full_like(x, 0.1)
    step = torch.optim.Adam([x], fused=True).step
    return 28 * elements / seconds(step) / 1e9


def lbfgs(elements):
    x = torch.nn.Parameter(torch.ones(elements, device=device))
    optimizer = torch.optim.LBFGS(
        [x], max_iter=1, history_size=10, tolerance_grad=0, tolerance_change=0
    )

    def closure():
        optimizer.zero_grad()
        loss = x.square().square().sum()
        loss.backward()
        return loss

    return 1e3 * seconds(lambda: optimizer.step(closure))


def training(model, loss):
    adam = torch.optim.Adam(model.parameters())

    def step():
        adam.zero_grad()
        loss(model).backward()
        adam.step()

    return 1e3 * seconds(step)


def resnet(dtype, images, size):
    count = images * 3 * size * size
    values = (torch.arange(count, device=device) % 255) / 127 - 1
    values = values.reshape(images, 3, size, size).to(dtype)
    labels = torch.arange(images, device=device) % 1000
    return training(
        resnet18().to(device, dtype),
        lambda model: F.cross_entropy(model(values), labels),
    )


def gpt(dtype):
    config = GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    batch = 8
    if small:
        config = GPT2Config(
            vocab_size=256, n_positions=32, n_embd=32, n_layer=2, n_head=2,
            resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
        )
        batch = 2
    count = batch * config.n_positions
    tokens = torch.arange(count + 1, device=device) * 7919 % config.vocab_size
    input, labels = tokens[:-1].reshape(batch, -1), tokens[1:]
    return training(
        GPT2LMHeadModel(config).to(device, dtype),
        lambda model: F.cross_entropy(model(input).logits.flatten(0, 1), labels),
    )


elements = 1_000_000 if small else 100_000_000
images, size = (2, 32) if small else (256, 224)
row("copy, GB/s", lambda: copy(elements))
row("Adam step, GB/s", lambda: adam(elements))
row("L-BFGS step, ms", lambda: lbfgs(elements // 10))
for kind, dtype in [("f32", torch.float32), ("bf16", torch.bfloat16)]:
    row(f"ResNet-18 {kind}, ms", lambda: resnet(dtype, images, size))
    row(f"GPT-small {kind}, ms", lambda: gpt(dtype))
