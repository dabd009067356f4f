"""Object windows, their placement, and the merge of a group: `ptychopinn.physics.patches` and `merge` in TensorFlow.

Canvases of a batch differ in size from batch to batch, so that their shape is a tensor. Windows must lie on the
canvas; those of `ptychopinn.data.dataset.ScanTensors.gather` do.
"""

import tensorflow as tf

from ptychopinn.physics.merge import EPSILON, WeightKind, central_window
from ptychopinn.tensorflow.physics import as_complex

Size = tuple[int, int]


def extract_patches(canvas: tf.Tensor, positions_px: tf.Tensor, size: Size) -> tf.Tensor:
    """Windows (B, G, H, W) of canvases (B, Y, X) at positions (B, G, 2): whole (integers), or bilinear."""
    shape = tf.shape(canvas)[-2:]
    flat = tf.reshape(canvas, [-1])
    if positions_px.dtype.is_integer:
        return tf.gather(flat, _flat_index(positions_px, size, shape))
    whole, rest_y, rest_x = _split(positions_px, size, canvas.dtype)
    window = tf.gather(flat, _flat_index(whole, _grown(size), shape))
    window = (1 - rest_y) * window[..., :-1, :] + rest_y * window[..., 1:, :]
    return (1 - rest_x) * window[..., :-1] + rest_x * window[..., 1:]


def place_patches(patches: tf.Tensor, positions_px: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Windows (B, G, H, W) summed onto empty canvases (B, Y, X) of `shape`: the adjoint of `extract_patches`."""
    size = (patches.shape[-2], patches.shape[-1])
    if not positions_px.dtype.is_integer:
        positions_px, rest_y, rest_x = _split(positions_px, size, patches.dtype)
        patches = _beside((1 - rest_x) * patches, rest_x * patches, -1)
        patches = _beside((1 - rest_y) * patches, rest_y * patches, -2)
        size = _grown(size)
    count = tf.shape(patches)[0] * shape[0] * shape[1]
    index = tf.reshape(_flat_index(positions_px, size, shape), [-1])
    placed = tf.math.unsorted_segment_sum(tf.reshape(patches, [-1]), index, count)
    return tf.reshape(placed, [-1, shape[0], shape[1]])


def merge_group(patches: tf.Tensor, weight: tf.Tensor, positions_px: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Weighted average (B, Y, X) of the patches of each group, drawn to 1 where there is no weight."""
    placed = place_patches(as_complex(weight) * patches, positions_px, shape)
    return (placed + EPSILON) / as_complex(place_patches(weight, positions_px, shape) + EPSILON)


def power_weight(kind: WeightKind, power: tf.Tensor) -> tf.Tensor:
    """Weights (..., H, W) of a patch's pixels from the summed intensity of the modes, largest value 1."""
    if kind == "probe":
        return power / tf.reduce_max(power, axis=(-2, -1), keepdims=True)
    if kind == "central":
        window = central_window((power.shape[-2], power.shape[-1])).numpy()
        return tf.broadcast_to(tf.constant(window, power.dtype), tf.shape(power))
    return tf.ones_like(power)


def _flat_index(positions_px: tf.Tensor, size: Size, shape: tf.Tensor) -> tf.Tensor:
    """Index (B, G, H, W) of every window element in the flattened canvases."""
    rows, columns = (
        tf.minimum(positions_px[..., axis, None] - size[axis] // 2 + tf.range(size[axis]), shape[axis] - 1)
        for axis in (0, 1)
    )
    index = rows[..., :, None] * shape[1] + columns[..., None, :]
    return index + tf.range(tf.shape(positions_px)[0])[:, None, None, None] * (shape[0] * shape[1])


def _grown(size: Size) -> Size:
    return size[0] + 1, size[1] + 1


def _split(positions_px: tf.Tensor, size: Size, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Whole positions of windows one pixel larger, and how far beyond them the patches lie in y and x."""
    floor = tf.floor(positions_px)
    rest = tf.cast(positions_px - floor, dtype)
    moved = [(side + 1) // 2 - side // 2 for side in size]
    return tf.cast(floor, tf.int32) + moved, rest[..., 0, None, None], rest[..., 1, None, None]


def _beside(first: tf.Tensor, second: tf.Tensor, axis: int) -> tf.Tensor:
    """Both summed, the second one element further along the axis, which gains an element."""
    edge = tf.zeros_like(first[..., :1] if axis == -1 else first[..., :1, :])
    return tf.concat((first, edge), axis) + tf.concat((edge, second), axis)
