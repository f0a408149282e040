"""Depth of a face's landmarks: the same as PyTorch's, from a small network written from the paper.

The layers' names and sizes are those of face-alignment's published `depth` weights: ResNet names,
3 + 68 channels into the first convolution, a mean over 7 x 7 cells, 68 outputs.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.convert import rules
from jaxpose.errors import InputError
from jaxpose.models.face_depth import FaceDepth, landmark_maps
from jaxpose.models.published.fan import face_depth_rules

SMALL = FaceDepth(blocks=(1, 1, 1, 1))
IMAGES = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
POINTS = jax.ShapeDtypeStruct((1, 68, 2), jnp.float32)


def expected(model):
    return rules.flatten(jax.eval_shape(model.init, jax.random.key(0), IMAGES, POINTS))


def published_maps(points, size=256):
    """The Gaussians pixel by pixel, in places that count from 1."""
    maps = np.zeros((len(points), size, size))
    for drawn, point in zip(maps, points + 0.5, strict=True):
        low, high = np.floor(point - 6).astype(int), np.floor(point + 6).astype(int)
        if point[0] <= 0 or (low > size).any() or (high < 1).any():
            continue
        for y in range(max(1, low[1]), min(high[1], size) + 1):
            for x in range(max(1, low[0]), min(high[0], size) + 1):
                cells = [p - max(1, lo) + max(1, -lo) for p, lo in zip((x, y), low, strict=True)]
                distance = sum(((cell - 7) / 3.25) ** 2 for cell in cells)
                drawn[y - 1, x - 1] = np.exp(-distance / 2)
    return maps.transpose(1, 2, 0)


def test_gaussians_are_drawn_as_published():
    points = np.array([[100.5, 60.2], [3.0, 250.9], [254.7, 1.2], [-1.0, 40], [-9, -9], [300, 9]])
    found = np.asarray(jax.jit(landmark_maps)(points[None]))[0]
    np.testing.assert_allclose(found, published_maps(points), atol=1e-6)
    assert found[..., 0].max() == 1 and not found[..., 3:].any()
    assert np.unravel_index(found[..., 0].argmax(), (256, 256)) == (59, 100)


def test_depths_equal_pytorchs():
    torch = pytest.importorskip("torch")
    net = torch.nn

    class Bottleneck(net.Module):
        def __init__(self, inner, width, stride):
            super().__init__()
            outer = 4 * width
            self.conv1 = net.Conv2d(inner, width, 1, bias=False)
            self.conv2 = net.Conv2d(width, width, 3, stride, 1, bias=False)
            self.conv3 = net.Conv2d(width, outer, 1, bias=False)
            self.bn1, self.bn2, self.bn3 = map(net.BatchNorm2d, (width, width, outer))
            self.downsample = net.Sequential(
                net.Conv2d(inner, outer, 1, stride, bias=False), net.BatchNorm2d(outer)
            )

        def forward(self, x):
            y = self.bn1(self.conv1(x)).relu()
            y = self.bn2(self.conv2(y)).relu()
            return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()

    class Depth(net.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = net.Conv2d(3 + 68, 64, 7, 2, 3, bias=False)
            self.bn1 = net.BatchNorm2d(64)
            inner = 64
            for stage, width in enumerate((64, 128, 256, 512)):
                block = Bottleneck(inner, width, 1 if stage == 0 else 2)
                setattr(self, f"layer{stage + 1}", net.Sequential(block))
                inner = 4 * width
            self.fc = net.Linear(inner, 68)

        def forward(self, x):
            x = net.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
            for stage in range(4):
                x = getattr(self, f"layer{stage + 1}")(x)
            return self.fc(net.functional.avg_pool2d(x, 7).flatten(1))

    torch.manual_seed(0)
    theirs = Depth().eval()
    for name, value in theirs.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.1, 0.3)  # below that of the layers' outputs, so that signals grow
    state = {k: v.numpy() for k, v in theirs.state_dict().items() if "tracked" not in k}
    variables = rules.nest(rules.apply(face_depth_rules(SMALL), state, expected(SMALL)))
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (2, 256, 256, 3)).astype(np.float32)
    images[1, :, 90:] *= 0.1
    points = rng.uniform(-3, 258, (2, 68, 2)).astype(np.float32)
    points[1] = 60 + points[1] / 4
    maps = np.stack([published_maps(p) for p in points]).astype(np.float32)
    given = torch.from_numpy(np.concatenate([images, maps], axis=-1).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        truth = theirs(given).numpy()
    # The features, and not the biases alone, decide.
    assert truth.std(axis=0).mean() > 0.01 * truth.std()
    found = np.asarray(jax.jit(SMALL.apply)(variables, images, points))
    assert np.abs(found - truth).max() <= 1e-4 * truth.std(axis=0).mean()


def test_the_published_names_are_used_once():
    """The ResNet-152 of the published weights, in zeros without memory."""
    model = FaceDepth()
    leaves = expected(model)
    counted = sum(np.prod(leaf.shape) for path, leaf in leaves.items() if "params" in path)
    # torchvision's ResNet-152 has 60,192,808 for 3 channels and 1,000 classes.
    assert counted == 60_192_808 + 68 * 64 * 49 - 2049 * (1000 - 68)
    kernel = leaves["params/backbone/stem_0/conv/kernel"]
    assert kernel.shape == (7, 7, 71, 64)


def test_other_shapes_are_refused():
    with pytest.raises(InputError, match=r"FaceDepth needs images and keypoints"):
        jax.eval_shape(
            SMALL.init, jax.random.key(0), IMAGES, jax.ShapeDtypeStruct((1, 5, 2), float)
        )
