"""Running statistics and parameters after three training steps equal PyTorch's.

Each kind of block with batch norm is written out in PyTorch with the same weights, and both are
trained by plain gradient descent on the same batches.
"""

from functools import partial

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from jaxpose.models.csp import CSPLayer
from jaxpose.models.hrnet import ExchangeModule
from jaxpose.models.litehrnet import LiteModule
from jaxpose.models.resnet import ResNet

torch = pytest.importorskip("torch")
F = torch.nn.functional

STEPS = 3
RATE = 0.02
# Of the largest value of the array: sums of some thousand float32 in another order.
TOLERANCE = 1e-5


class Twin(torch.nn.Module):
    """The layers of a model's variables in PyTorch, by path."""

    def __init__(self, variables):
        super().__init__()
        self.layers = torch.nn.ModuleDict()
        params = flatten_dict(variables["params"], sep="/")
        for path, value in params.items():
            name, leaf = path.rsplit("/", 1)
            if leaf == "kernel" and value.ndim == 4:
                size, _, inputs, outputs = value.shape
                groups = outputs if inputs == 1 else 1
                layer = torch.nn.Conv2d(
                    groups * inputs, outputs, size, groups=groups, bias=f"{name}/bias" in params
                )
            elif leaf == "kernel":
                layer = torch.nn.Linear(*value.shape)
            elif leaf == "scale":
                layer = torch.nn.BatchNorm2d(len(value))
            else:
                continue
            self.layers[name.replace("/", ":")] = layer
        for layer, ours, theirs in self.pairs():
            theirs.data = torch.tensor(as_torch(layer, flatten_dict(variables, sep="/")[ours]))

    def pairs(self):
        """(layer, path of our array, its tensor)."""
        names = {"weight": "kernel", "running_mean": "mean", "running_var": "var"}
        for name, layer in self.layers.items():
            tensors = dict(layer.named_parameters()) | dict(layer.named_buffers())
            tensors.pop("num_batches_tracked", None)
            for kind, tensor in tensors.items():
                leaf = names.get(kind, kind)
                if leaf == "kernel" and isinstance(layer, torch.nn.BatchNorm2d):
                    leaf = "scale"
                tree = "batch_stats" if "running" in kind else "params"
                yield layer, f"{tree}/{name.replace(':', '/')}/{leaf}", tensor

    def __getitem__(self, path):
        return self.layers[path.replace("/", ":")]

    def conv(self, x, path, stride=1, activation=F.relu):
        """Convolution, norm, activation."""
        layer = self[f"{path}/conv"]
        half = layer.kernel_size[0] // 2
        x = F.conv2d(x, layer.weight, layer.bias, stride, half, groups=layer.groups)
        return activation(self[f"{path}/norm"](x))


def as_torch(layer, array):
    """Our array in the layout of PyTorch's layer."""
    array = np.asarray(array)
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1).copy()
    return array.T.copy() if array.ndim == 2 else array.copy()


def same(x):
    return x


def resnet(twin, images):
    """A 7x7 stem, pooling, two stages of one bottleneck."""
    x = F.max_pool2d(twin.conv(images, "stem_0", 2), 3, 2, 1)
    for s, stride in ((0, 1), (1, 2)):
        block = f"stage_{s}_block_0"
        y = twin.conv(x, f"{block}/conv_0")
        y = twin.conv(y, f"{block}/conv_1", stride)
        y = twin.conv(y, f"{block}/conv_2", activation=same)
        x = F.relu(y + twin.conv(x, f"{block}/shortcut", stride, same))
    return (x,)


def exchange(twin, *branches):
    """A basic block on each of three branches, then every branch to every other."""
    processed = []
    for b, x in enumerate(branches):
        block = f"branch_{b}_block_0"
        y = twin.conv(twin.conv(x, f"{block}/conv_0"), f"{block}/conv_1", activation=same)
        processed.append(F.relu(x + y))
    fused = []
    for i in range(3):
        total = 0
        for j, x in enumerate(processed):
            name = f"fusion/to_{i}_from_{j}"
            if j > i:
                x = twin.conv(x, name, activation=same)
                x = F.interpolate(x, scale_factor=2 ** (j - i), mode="nearest")
            for k in range(i - j):
                x = twin.conv(x, f"{name}_{k}", 2, same if k == i - j - 1 else F.relu)
            total = total + x
        fused.append(F.relu(total))
    return tuple(fused)


def csp(twin, x):
    """CSPNeXt's layer with one block, which adds its input, and channel attention."""
    short, main = (twin.conv(x, name, activation=F.silu) for name in ("short", "main"))
    y = main
    for name in ("conv", "depthwise", "pointwise"):
        y = twin.conv(y, f"block_0/{name}", activation=F.silu)
    x = torch.cat([main + y, short], 1)
    x = x * F.hardsigmoid(twin["attention/fc"](x.mean((2, 3), keepdim=True)))
    return (twin.conv(x, "final", activation=F.silu),)


def shuffled(a, b):
    return torch.stack([a, b], 2).flatten(1, 2)


def lite(twin, *branches):
    """One block of conditional channel weighting on two branches, then the fusion.

    As in the published code the first branch is brought to the second twice, each time through
    batch norm, and is doubled in place.
    """
    kept, halves = zip(*(x.chunk(2, 1) for x in branches), strict=True)
    weights = torch.cat([F.adaptive_avg_pool2d(halves[0], halves[1].shape[2:]), halves[1]], 1)
    block = "block_0/cross_resolution"
    weights = twin.conv(twin.conv(weights, f"{block}/squeeze"), f"{block}/excite", 1, torch.sigmoid)
    split = weights.split([x.shape[1] for x in halves], 1)
    out = []
    for b, (a, x, w) in enumerate(zip(kept, halves, split, strict=True)):
        x = x * F.interpolate(w, size=x.shape[2:], mode="nearest")
        x = twin.conv(x, f"block_0/depthwise_{b}", activation=same)
        w = F.relu(twin[f"block_0/spatial_{b}/squeeze"](x.mean((2, 3))))
        w = torch.sigmoid(twin[f"block_0/spatial_{b}/excite"](w))
        out.append(shuffled(a, x * w[:, :, None, None]))

    def down(x):
        x = twin.conv(x, "fusion/to_1_from_0_0/depthwise", 2, same)
        return twin.conv(x, "fusion/to_1_from_0_0/pointwise", activation=same)

    up = F.interpolate(twin.conv(out[1], "fusion/to_0_from_1", activation=same), scale_factor=2)
    first = out[0] + out[0] + up
    second = down(first) + down(first) + out[1]
    return F.relu(first), F.relu(second)


# Our module, PyTorch's form of it, shapes of the inputs.
CASES = {
    "resnet": (ResNet((1, 1), width=8), resnet, ((4, 32, 32, 3),)),
    "hrnet": (
        ExchangeModule(blocks=1, outputs=3, enlargement="nearest", remat="none", dtype="float32"),
        exchange,
        ((4, 16, 16, 4), (4, 8, 8, 8), (4, 4, 4, 16)),
    ),
    "cspnext": (CSPLayer(16, 1), csp, ((4, 8, 8, 12),)),
    "litehrnet": (LiteModule(1, "weighting", 2, "float32"), lite, ((4, 16, 16, 8), (4, 8, 8, 16))),
}


@pytest.mark.parametrize("name", CASES)
def test_three_steps_leave_what_pytorch_leaves(name, record_property):
    module, written_out, shapes = CASES[name]
    rng = np.random.default_rng(0)
    batches = [
        [rng.normal(0.5, 2.0, shape).astype(np.float32) for shape in shapes] for _ in range(STEPS)
    ]
    # Backbones take one map, modules a tuple of branches.
    joined = (lambda maps: maps[0]) if name in ("resnet", "cspnext") else tuple
    variables = drawn.init(module, joined(batches[0]), True)
    twin = Twin(variables).train()
    answer = jax.eval_shape(lambda: module.apply(variables, joined(batches[0]), False))
    wanted = [rng.normal(size=leaf.shape).astype(np.float32) for leaf in jax.tree.leaves(answer)]

    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def step(variables, maps):
        def objective(params):
            outputs, updated = module.apply(
                {**variables, "params": params}, joined(maps), True, mutable=["batch_stats"]
            )
            pairs = zip(jax.tree.leaves(outputs), wanted, strict=True)
            return sum(jnp.mean((a - b) ** 2) for a, b in pairs), updated["batch_stats"]

        gradients, stats = jax.grad(objective, has_aux=True)(variables["params"])
        params = jax.tree.map(lambda p, g: p - RATE * g, variables["params"], gradients)
        return {"params": params, "batch_stats": stats}

    optimizer = torch.optim.SGD(twin.parameters(), RATE)
    for maps in batches:
        variables = step(variables, maps)
        outputs = written_out(twin, *(torch.tensor(m.transpose(0, 3, 1, 2).copy()) for m in maps))
        loss = sum(
            F.mse_loss(a, torch.tensor(b.transpose(0, 3, 1, 2).copy()))
            for a, b in zip(outputs, wanted, strict=True)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    ours, differences = flatten_dict(variables, sep="/"), {}
    for layer, path, tensor in twin.pairs():
        given, expected = as_torch(layer, ours.pop(path)), tensor.detach().numpy()
        # A norm after a norm has mean zero, to which nothing is relative.
        differences[path] = np.abs(given - expected).max() / max(np.abs(expected).max(), 0.1)
    assert not ours
    for tree in ("batch_stats", "params"):
        worst = max(value for path, value in differences.items() if path.startswith(tree))
        record_property(tree, float(worst))
        print(f"{name} {tree}: {worst:.1e}")
    assert max(differences.values()) <= TOLERANCE, differences
