"""The comparisons of converter.py; needs tensorflow, numpy, onnx and ai-edge-litert."""
import os
import time

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from codes import MODELS, as_int8, command, compare_tensors, first_axis_last, fraction, litert, reference_codes, top1
from onnx import numpy_helper

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf  # noqa: E402 (the level has to be set first)

tf.get_logger().setLevel("ERROR")


def same_padding(x, kernel, strides, pads):
    """Whether TensorFlow's SAME is the padding [top, left, bottom, right]."""
    wanted = []
    for size, k, s in zip(x.shape[1:3], kernel, strides):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        wanted.append((total // 2, total - total // 2))
    return list(pads) == [wanted[0][0], wanted[1][0], wanted[0][1], wanted[1][1]]


def convolution(x, weights, bias, attributes):
    """An ONNX convolution, dense or depthwise, of NHWC values."""
    kernel, strides = weights.shape[2:], list(attributes.get("strides", [1, 1]))
    pads = list(attributes.get("pads", [0, 0, 0, 0]))
    padding = "VALID"
    if same_padding(x, kernel, strides, pads):
        padding = "SAME"
    elif any(pads):
        x = tf.pad(x, [[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]])
    if attributes.get("group", 1) == 1:
        y = tf.nn.conv2d(x, weights.transpose(2, 3, 1, 0), strides, padding)
    else:
        y = tf.nn.depthwise_conv2d(x, weights.transpose(2, 3, 0, 1), [1, *strides, 1], padding)
    return y if bias is None else tf.nn.bias_add(y, bias)


def in_tensorflow(path):
    """A function of NHWC values that computes an ONNX network of the data folder."""
    graph = onnx.load(path).graph
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}

    def compute(x):
        values = {graph.input[0].name: x}
        for node in graph.node:
            attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            given = [values.get(name) for name in node.input]
            known = [constants.get(name) for name in node.input]
            first = given[0]
            if node.op_type == "Conv":
                y = convolution(first, known[1], known[2] if len(known) > 2 else None, attributes)
            elif node.op_type == "BatchNormalization":
                y = tf.compat.v1.nn.fused_batch_norm(first, *known[1:5], epsilon=attributes["epsilon"], is_training=False)[0]
            elif node.op_type == "Gemm":
                y = tf.nn.bias_add(tf.matmul(first, known[1].T if attributes.get("transB") else known[1]), known[2])
            elif node.op_type == "Flatten":
                y = tf.reshape(first, [1, first.shape[-1]])
            elif node.op_type == "GlobalAveragePool":
                y = tf.reduce_mean(first, [1, 2], keepdims=True)
            else:
                y = {"Clip": tf.nn.relu6, "Relu": tf.nn.relu, "Softmax": tf.nn.softmax, "Add": tf.add}[node.op_type](*[v for v in given if v is not None])
            values[node.output[0]] = y
        return values[graph.output[0].name]

    return compute


def further_operators(x, constants_alone=False):
    """A network of operators that the others lack, or one that ends with adding a constant; weights by chance. x [1, 32, 32, 3] in 0..255."""
    random = np.random.default_rng(7)

    def weights(*shape):
        return (random.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[:-1]))).astype(np.float32)

    def conv(value, channels, size=3, stride=1, padding="SAME"):
        y = tf.nn.conv2d(value, weights(size, size, value.shape[-1], channels), [stride, stride], padding)
        return tf.nn.bias_add(y, (0.1 * random.standard_normal(channels)).astype(np.float32))

    def hard_swish(value):
        return value * tf.nn.relu6(value + np.float32(3)) * np.float32(1 / 6)

    x = (x - np.float32(127.5)) * np.float32(1 / 64)
    if constants_alone:
        return tf.nn.relu(tf.nn.max_pool2d(conv(x, 16), 2, 2, "SAME") + weights(16))
    a = hard_swish(conv(x, 16, stride=2))
    b = tf.nn.bias_add(tf.nn.depthwise_conv2d(a, weights(5, 5, 16, 1) * 5, [1, 1, 1, 1], "SAME"), np.zeros(16, np.float32))
    squeezed = tf.reduce_mean(b, [1, 2], keepdims=True)
    b = b * tf.nn.sigmoid(conv(tf.nn.relu(conv(squeezed, 8, 1)), 16, 1))
    pooled = tf.concat([tf.nn.avg_pool2d(a, 3, 1, "SAME"), tf.nn.max_pool2d(a * weights(16), 3, 1, "SAME"), b], axis=-1)
    c = tf.nn.relu(conv(tf.pad(pooled, [[0, 0], [1, 2], [2, 1], [0, 0]]), 24, 3, 2, "VALID"))
    c = tf.compat.v1.image.resize_bilinear(c, [16, 16], half_pixel_centers=True) + conv(a, 24, 1)
    c = tf.compat.v1.image.resize_nearest_neighbor(tf.nn.relu6(conv(c, 32, 3, 2)), [16, 16], half_pixel_centers=True)
    d = tf.nn.sigmoid(conv(c, 16, 1)) * conv(c, 16, 1)
    d = tf.reshape(tf.nn.max_pool2d(d, 4, 4, "VALID"), [1, 4 * 4 * 16])
    return tf.nn.softmax(tf.matmul(d, weights(256, 10)) + np.float32(0.1))


def adding_constants(x):
    return further_operators(x, constants_alone=True)


OWN_NETWORKS = {"further operators": further_operators, "an added constant": adding_constants}


def convert(compute, images, per_channel, kind):
    """The bytes of the quantized file; `kind` is the type of the inputs and outputs."""
    module = tf.Module()
    module.compute = tf.function(compute, input_signature=[tf.TensorSpec([1, *images.shape[1:]], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.compute.get_concrete_function()], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([images[i : i + 1]] for i in range(len(images)))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = kind
    converter._experimental_disable_per_channel = not per_channel
    return converter.convert()


def compare(options, folder, failures, label, compute, images, per_channel, kind):
    path, inputs, result = folder / "converted.tflite", folder / "in.npy", folder / "out.npy"
    path.write_bytes(convert(compute, images, per_channel, kind))
    given = images[: options.images]
    details = Interpreter(str(path)).get_input_details()[0]
    taken = given
    if kind != tf.float32:  # values on the grid, so that nobody rounds them
        step, zero = details["quantization"]
        limits = np.iinfo(details["dtype"])
        taken = np.clip(np.rint(given / step) + zero, limits.min, limits.max).astype(details["dtype"])
        given = ((taken.astype(np.float32) - zero) * np.float32(step)).astype(np.float32)
    np.save(inputs, given)
    tensors, codes, differing, largest = compare_tensors(litert(path, taken, OpResolverType.BUILTIN_REF, True),
                                                         reference_codes(options, path, inputs, "litert", folder / "reference.npz"))
    # A constant is added as the bias of a convolution, whose sums are rounded twice earlier: codes may differ by one.
    allowed = codes // 100 if compute is adding_constants else 0
    failures.expect(differing <= allowed and largest <= 1 and tensors > 2, f"{label}: {differing} codes differ from LiteRT's reference kernels")

    def engine(*words):
        command(options.build / "fat", "run", path, "--input", inputs, *(["--codes"] if kind != tf.float32 else []), "-o", result, *words)
        return np.load(result)

    # A .tflite file that says nothing is rounded as LiteRT's reference kernels do it, the whole network.
    followed = litert(path, taken, OpResolverType.BUILTIN_REF, False)[""]
    same = (engine().reshape(-1) == followed.reshape(-1)).all()
    failures.expect(same or allowed != 0, f"{label}: the integer engine's outputs are not those of LiteRT's reference kernels")
    ours, theirs = engine("--requantize", "half-up"), litert(path, taken, OpResolverType.BUILTIN, False)[""]
    if kind != tf.float32:
        ours, theirs = as_int8(ours), as_int8(theirs)
        share, largest = fraction(ours, theirs)
        text = f"{100 * share:.2f} % differ, by at most {largest}"
    else:
        text = f"largest difference {np.abs(ours.reshape(-1) - theirs.reshape(-1)).max():.3g}"
    same = top1(ours, theirs)
    failures.expect(same == 1.0, f"{label}: top-1 differs from LiteRT with XNNPACK")
    return (f"{label}: {differing} of {codes} codes differ from LiteRT's reference kernels ({tensors} tensors); the integer engine, halves up, beside LiteRT "
            f"with XNNPACK, outputs: {text}; top-1 equal {100 * same:.0f} %")


def compare_all(options, folder, failures):
    print(f"tensorflow {tf.__version__}", flush=True)
    cases = [(name, per_channel, tf.int8) for name in MODELS for per_channel in (True, False)]
    cases += [("resnet8", True, tf.uint8), ("resnet8", True, tf.float32), ("further operators", True, tf.int8), ("further operators", False, tf.uint8), ("an added constant", True, tf.int8)]
    text = [f"### Models quantized by TensorFlow {tf.__version__}", ""]
    for name, per_channel, kind in cases:
        start = time.monotonic()
        source, _, reference, _ = MODELS["resnet8" if name in OWN_NETWORKS else name]
        images = first_axis_last(np.load(options.data / reference).astype(np.float32))
        compute = OWN_NETWORKS.get(name) or in_tensorflow(options.data / source)
        label = f"{name}, weights per {'channel' if per_channel else 'tensor'}, {kind.name} inputs and outputs"
        line = compare(options, folder, failures, label, compute, images, per_channel, kind)
        print(f"  {line} ({time.monotonic() - start:.0f} s)", flush=True)
        text.append(f"* {line}")
    return [*text, ""]
