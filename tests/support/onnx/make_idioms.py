"""Makes the small ONNX files of this folder, one for each way exporters write a layer, and references.npz with an input and
ONNX Runtime's output for each. Run with numpy, onnx and onnxruntime installed; the result is committed."""
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
rng = np.random.default_rng(1)
references = {}


def weights(*shape):
    return rng.normal(size=shape).astype(np.float32)


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs, [output], name=f"{op}_{output}", **attributes)


def save(name, nodes, constants=None, shape=(3, 8, 8), opset=13, batch="N", kind=np.float32):
    """The graph reads `x` and makes `y`. Constants are arrays by name."""
    rank = len(shape) + 1
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), [batch, *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in (constants or {}).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path = HERE / f"{name}.onnx"
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    count = 1 if batch == 1 else 2
    x = (2 * rng.normal(size=(count, *shape))).astype(np.float32)
    if kind != np.float32:
        x = np.rint(60 * x).clip(np.iinfo(kind).min, np.iinfo(kind).max)
    references[name + ".input"] = x
    references[name + ".output"] = session.run(None, {"x": x.astype(kind)})[0]
    assert rank == x.ndim


f32 = np.float32
i64 = lambda *values: np.array(values, np.int64)

# Convolutions
save("conv", [node("Conv", ["x", "w", "b"], "y", pads=[0, 1, 2, 1], strides=[2, 1])], {"w": weights(5, 3, 3, 2), "b": weights(5)})
for kind in ("SAME_UPPER", "SAME_LOWER", "VALID"):
    save(f"conv_{kind.lower()}", [node("Conv", ["x", "w"], "y", auto_pad=kind, strides=[2, 2])], {"w": weights(4, 3, 3, 3)})
save("conv_dilated", [node("Conv", ["x", "w"], "y", dilations=[2, 1], pads=[2, 1, 2, 1])], {"w": weights(4, 3, 3, 3)})
save("conv_grouped", [node("Conv", ["x", "w", "b"], "y", group=2)], {"w": weights(6, 2, 3, 3), "b": weights(6)}, (4, 8, 8))
save("conv_depthwise", [node("Conv", ["x", "w", "b"], "y", group=4, pads=[0, 0, 1, 1], strides=[2, 2])],
     {"w": weights(4, 1, 3, 3), "b": weights(4)}, (4, 8, 8))
save("conv_multiplier", [node("Conv", ["x", "w"], "y", group=3)], {"w": weights(6, 1, 3, 3)})
save("conv_after_pad", [node("Pad", ["x", "p"], "h"), node("Conv", ["h", "w"], "y", strides=[2, 2])],
     {"w": weights(4, 3, 3, 3), "p": i64(0, 0, 0, 0, 0, 0, 1, 1)})
save("conv_weights_transposed", [node("Transpose", ["t"], "w", perm=[3, 2, 0, 1]), node("Conv", ["x", "w"], "y")],
     {"t": weights(3, 3, 3, 5)})
save("conv_half_weights", [node("Cast", ["h"], "w", to=TensorProto.FLOAT), node("Conv", ["x", "w"], "y")],
     {"h": weights(4, 3, 3, 3).astype(np.float16)})

# Batch normalization and clamps
norm = {"s": 1 + 0.1 * weights(3), "o": weights(3), "m": weights(3), "v": np.abs(weights(3)) + f32(0.1)}
save("batch_norm", [node("BatchNormalization", ["x", "s", "o", "m", "v"], "y", epsilon=1e-2)], norm)
save("batch_norm_7", [node("BatchNormalization", ["x", "s", "o", "m", "v"], "y", epsilon=1e-3)], norm, opset=7)
save("conv_norm_relu6", [node("Conv", ["x", "w"], "a"), node("BatchNormalization", ["a", "s", "o", "m", "v"], "b"),
                         node("Clip", ["b", "lo", "hi"], "y")], {**norm, "w": weights(3, 3, 3, 3), "lo": f32(0), "hi": f32(6)})
save("clip_attributes", [node("Clip", ["x"], "y", min=-0.5, max=1.5)], opset=7)
save("clip_open", [node("Clip", ["x", "", "hi"], "y")], {"hi": f32(1)}, opset=11)
save("clip_constant_nodes", [node("Constant", [], "lo", value_float=0.0), node("Constant", [], "hi", value_float=6.0),
                             node("Clip", ["x", "lo", "hi"], "y")])
save("relu_min_6", [node("Relu", ["x"], "h"), node("Min", ["h", "six"], "y")], {"six": f32(6)})
save("max_0", [node("Max", ["x", "zero"], "y")], {"zero": np.zeros(1, f32)})

# Other activations
save("hard_swish", [node("HardSwish", ["x"], "y")], opset=14)
save("hard_sigmoid", [node("HardSigmoid", ["x"], "y", alpha=0.3)])
save("hard_swish_sigmoid", [node("HardSigmoid", ["x"], "h", alpha=1 / 6), node("Mul", ["x", "h"], "y")])
save("hard_swish_pieces", [node("Add", ["x", "three"], "a"), node("Clip", ["a", "zero", "six"], "b"),
                           node("Mul", ["x", "b"], "c"), node("Div", ["c", "six"], "y")],
     {"three": f32(3), "zero": f32(0), "six": f32(6)})
save("hard_swish_divided_first", [node("Add", ["x", "three"], "a"), node("Clip", ["a", "zero", "six"], "b"),
                                  node("Div", ["b", "six"], "c"), node("Mul", ["c", "x"], "y")],
     {"three": f32(3), "zero": f32(0), "six": f32(6)})
save("swish", [node("Sigmoid", ["x"], "h"), node("Mul", ["x", "h"], "y")])
save("squeeze_excite", [node("GlobalAveragePool", ["x"], "p"), node("Conv", ["p", "w"], "c"), node("Relu", ["c"], "r"),
                        node("Conv", ["r", "v"], "e"), node("Add", ["e", "three"], "a"), node("Clip", ["a", "zero", "six"], "b"),
                        node("Div", ["b", "six"], "s"), node("Mul", ["s", "x"], "y")],
     {"w": weights(2, 3, 1, 1), "v": weights(3, 2, 1, 1), "three": f32(3), "zero": f32(0), "six": f32(6)})

# Arithmetic
save("arithmetic", [node("Sub", ["x", "mean"], "a"), node("Div", ["a", "std"], "b"), node("Mul", ["b", "two"], "c"),
                    node("Sub", ["one", "c"], "d"), node("Add", ["shift", "d"], "y")],
     {"mean": weights(1, 3, 1, 1), "std": np.abs(weights(3, 1, 1)) + f32(0.5), "two": f32(2), "one": f32(1), "shift": weights(3, 1, 1)})
save("residual", [node("Conv", ["x", "w"], "a"), node("Sub", ["a", "x"], "b"), node("Sum", ["b", "x"], "c"), node("Relu", ["c"], "y")],
     {"w": weights(3, 3, 1, 1)})
save("conv_add_constant", [node("Conv", ["x", "w"], "a"), node("Add", ["a", "b"], "y")], {"w": weights(4, 3, 3, 3), "b": weights(1, 4, 1, 1)})
save("concat", [node("Conv", ["x", "w"], "a"), node("Concat", ["a", "x"], "b", axis=1), node("Concat", ["b", "b"], "y", axis=-1)],
     {"w": weights(2, 3, 1, 1)})

# Pools
save("max_pool", [node("MaxPool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])])
save("max_pool_ceil", [node("MaxPool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)])
save("average_pool", [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0])])
save("average_pool_counted", [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)])
save("average_pool_ceil", [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)])
save("average_pool_same", [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")])
save("global_max_pool", [node("GlobalMaxPool", ["x"], "y")])
save("reduce_mean", [node("ReduceMean", ["x"], "y", axes=[2, 3], keepdims=0)])
save("reduce_mean_18", [node("ReduceMean", ["x", "axes"], "y", keepdims=1)], {"axes": i64(-1, -2)}, opset=18)
save("pad", [node("Pad", ["x", "p", "value"], "y")], {"p": i64(0, 0, 1, 2, 0, 0, 3, 0), "value": f32(0.5)}, opset=11)
save("pad_7", [node("Pad", ["x"], "y", pads=[0, 0, 1, 0, 0, 0, 0, 2], value=-1.0)], opset=7)
save("pad_axes", [node("Pad", ["x", "p", "", "axes"], "y")], {"p": i64(1, 2), "axes": i64(-2)}, opset=18)

# Classifiers
save("gemm", [node("Gemm", ["x", "w", "b"], "y", transB=1, alpha=0.5, beta=2.0)], {"w": weights(4, 6), "b": weights(4)}, (6,))
save("matmul_add", [node("MatMul", ["x", "w"], "h"), node("Add", ["h", "b"], "y")], {"w": weights(6, 4), "b": weights(4)}, (6,))
save("flatten_image", [node("Flatten", ["x"], "h"), node("Gemm", ["h", "w"], "y", transB=1)], {"w": weights(5, 3 * 4 * 2)}, (3, 4, 2))
save("flatten_output", [node("Relu", ["x"], "h"), node("Flatten", ["h"], "y", axis=-3)], shape=(3, 4, 2))
save("reshape_fixed_batch", [node("Reshape", ["x", "s"], "h"), node("MatMul", ["h", "w"], "y")],
     {"s": i64(1, -1), "w": weights(24, 5)}, (3, 4, 2), batch=1)
save("reshape_by_shape", [node("Shape", ["x"], "s"), node("Constant", [], "i", value=numpy_helper.from_array(np.array(0, np.int64))),
                          node("Gather", ["s", "i"], "n", axis=0), node("Unsqueeze", ["n"], "u", axes=[0]),
                          node("Concat", ["u", "rest"], "t", axis=0), node("Reshape", ["x", "t"], "h"),
                          node("Gemm", ["h", "w", "b"], "y")], {"rest": i64(-1), "w": weights(24, 5), "b": weights(1, 5)}, (3, 4, 2), 11)
save("squeeze", [node("GlobalAveragePool", ["x"], "p"), node("Squeeze", ["p", "axes"], "s"), node("Gemm", ["s", "w"], "y")],
     {"axes": i64(2, 3), "w": weights(3, 4)})
save("unsqueeze", [node("Relu", ["x"], "r"), node("Unsqueeze", ["r", "axes"], "u"), node("Conv", ["u", "w"], "c"), node("Flatten", ["c"], "y")],
     {"axes": i64(2, 3), "w": weights(4, 6, 1, 1)}, (6,))
save("vector_to_image", [node("Reshape", ["x", "s"], "h"), node("Conv", ["h", "w"], "y")], {"s": i64(-1, 2, 3, 4), "w": weights(3, 2, 2, 2)}, (24,))
save("softmax", [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w"], "g"), node("Dropout", ["g"], "d"), node("Identity", ["d"], "i"),
                 node("Cast", ["i"], "c", to=TensorProto.FLOAT), node("Softmax", ["c"], "y")], {"w": weights(192, 4)})
save("softmax_9", [node("Softmax", ["x"], "y", axis=1)], shape=(6,), opset=9)
save("softmax_pixels", [node("Softmax", ["x"], "y", axis=1)])

# Channels last, as converted from TensorFlow
save("nhwc", [node("Sub", ["x", "mean"], "n"), node("Transpose", ["n"], "t", perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], "c"),
              node("Transpose", ["c"], "l", perm=[0, 2, 3, 1]), node("Add", ["l", "b"], "a"), node("Relu", ["a"], "r"),
              node("ReduceMean", ["r"], "p", axes=[1, 2], keepdims=0), node("MatMul", ["p", "v"], "m"), node("Add", ["m", "d"], "y")],
     {"mean": weights(3), "w": weights(4, 3, 3, 3), "b": weights(4), "v": weights(4, 5), "d": weights(5)}, (8, 8, 3))
save("nhwc_flatten", [node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]), node("MaxPool", ["t"], "p", kernel_shape=[2, 2], strides=[2, 2]),
                      node("Transpose", ["p"], "l", perm=[0, 2, 3, 1]), node("Reshape", ["l", "s"], "f"), node("MatMul", ["f", "w"], "y")],
     {"s": i64(-1, 48), "w": weights(48, 5)}, (8, 8, 3))
save("nhwc_matmul", [node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]), node("Relu", ["t"], "r"), node("Transpose", ["r"], "l", perm=[0, 2, 3, 1]),
                     node("MatMul", ["l", "w"], "y")], {"w": weights(3, 5)}, (4, 4, 3))

# Resizing
save("upsample_7", [node("Upsample", ["x"], "y", mode="nearest", scales=[1.0, 1.0, 2.0, 3.0])], opset=7)
save("resize_10", [node("Resize", ["x", "s"], "y", mode="linear")], {"s": np.array([1, 1, 2, 2], f32)}, opset=10)
for where in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
    save(f"resize_{where}", [node("Resize", ["x", "", "", "s"], "y", mode="linear", coordinate_transformation_mode=where)],
         {"s": i64(2, 3, 12, 5)}, opset=13, batch=2)
save("resize_nearest", [node("Resize", ["x", "", "s"], "y", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
     {"s": np.array([1, 1, 2, 4], f32)})
save("resize_nearest_half_pixel", [node("Resize", ["x", "", "s"], "y", mode="nearest")], {"s": np.array([1, 1, 2, 2], f32)})
save("resize_by_shape", [node("Shape", ["x"], "s"), node("Slice", ["s", "two", "four"], "hw"), node("Mul", ["hw", "two"], "d"),
                         node("Slice", ["s", "zero", "two"], "nc"), node("Concat", ["nc", "d"], "t", axis=0),
                         node("Resize", ["x", "", "", "t"], "y", mode="linear")],
     {"zero": i64(0), "two": i64(2), "four": i64(4)})

# From here on with numbers of their own, so that what is added leaves the other files as they are.
earlier, rng = rng, np.random.default_rng(2)
least, most = -(1 << 63) + 1, (1 << 63) - 1


def pytorch_pad(x, output, sides, value, rank=4):
    """F.pad as PyTorch exports it from operator set 11 on: the sides, last axis first, become Pad's starts and ends."""
    nodes = [node("ConstantOfShape", ["p_missing"], "p_zeros", value=numpy_helper.from_array(i64(0))),
             node("Concat", ["p_sides", "p_zeros"], "p_all", axis=0), node("Reshape", ["p_all", "p_pairs"], "p_table"),
             node("Slice", ["p_table", "p_last", "p_least", "p_first", "p_last"], "p_reversed"),
             node("Transpose", ["p_reversed"], "p_columns", perm=[1, 0]), node("Reshape", ["p_columns", "p_last"], "p_list"),
             node("Cast", ["p_list"], "p_cast", to=TensorProto.INT64), node("Pad", [x, "p_cast", "p_value"], output, mode="constant")]
    return nodes, {"p_missing": i64(2 * rank - len(sides)), "p_sides": i64(*sides), "p_pairs": i64(-1, 2), "p_first": i64(0), "p_last": i64(-1),
                   "p_least": i64(least), "p_value": f32(value)}


for opset in (11, 13, 16):
    nodes, constants = pytorch_pad("x", "h", (0, 1, 0, 1), 0)
    save(f"pad_pytorch_{opset}", [*nodes, node("Conv", ["h", "w"], "y", strides=[2, 2])], {**constants, "w": weights(4, 3, 3, 3)}, opset=opset)
nodes, constants = pytorch_pad("x", "y", (1, 2, 0, 3), 1.5)
save("pad_pytorch_value", nodes, constants, batch=1)
save("slice_weights_9", [node("Slice", ["t"], "w", starts=[-3, 1], ends=[most, -1], axes=[3, 0]), node("Conv", ["x", "w"], "y")],
     {"t": weights(6, 3, 3, 5)}, opset=9)
save("slice_weights_flipped", [node("Slice", ["t", "from", "to", "axes", "steps"], "w"), node("Conv", ["x", "w"], "y")],
     {"t": weights(5, 3, 7, 4), "from": i64(-1, 100, 0), "to": i64(least, -100, 100), "axes": i64(-1, 0, 2), "steps": i64(-1, -2, 3)})
save("slice_weights_no_axes", [node("Slice", ["t", "from", "to"], "w"), node("Conv", ["x", "w"], "y")],
     {"t": weights(5, 4, 3, 3), "from": i64(1, -3), "to": i64(3, 100)}, opset=10)

save("max_0_first", [node("Max", ["zero", "x"], "y")], {"zero": f32(0)})
save("min_6_first", [node("Relu", ["x"], "h"), node("Min", ["six", "h"], "y")], {"six": f32(1)})
save("sum_3", [node("Conv", ["x", "w"], "a"), node("Relu", ["x"], "b"), node("GlobalAveragePool", ["x"], "c"), node("Sum", ["c", "a", "b", "x"], "y")],
     {"w": weights(3, 3, 1, 1)})
save("neg", [node("Relu", ["x"], "h"), node("Neg", ["h"], "y")])
save("dropout_inference", [node("Dropout", ["x", "ratio", "training"], "h"), node("Relu", ["h"], "y")], {"ratio": f32(0.5), "training": np.array(False)})
save("concat_flat", [node("Flatten", ["x"], "a"), node("Relu", ["x"], "r"), node("Flatten", ["r"], "b"), node("Concat", ["a", "b"], "y", axis=1)],
     shape=(3, 4, 2))

# Means over height and width in two steps or over one axis of positions; a pixel by its index
dense = lambda last: node("Gemm", [last, "v"], "y")
v = {"v": weights(3, 4)}
save("mean_twice", [node("ReduceMean", ["x"], "a", axes=[3], keepdims=0), node("ReduceMean", ["a"], "b", axes=[2], keepdims=0), dense("b")], v, (3, 8, 5))
save("mean_twice_kept", [node("ReduceMean", ["x"], "a", axes=[-2]), node("ReduceMean", ["a"], "b", axes=[-1]), node("Flatten", ["b"], "c"), dense("c")], v,
     (3, 8, 5))
save("mean_rows", [node("ReduceMean", ["x"], "y", axes=[2])], shape=(3, 8, 5))
save("mean_rows_read_twice", [node("ReduceMean", ["x"], "a", axes=[3], keepdims=0), node("ReduceMean", ["a"], "b", axes=[2], keepdims=0),
                              node("Flatten", ["a"], "c"), node("Concat", ["b", "c"], "y", axis=1)], shape=(3, 8, 5))
save("mean_of_view", [node("Reshape", ["x", "s"], "a"), node("ReduceMean", ["a"], "b", axes=[2], keepdims=0), dense("b")], {**v, "s": i64(1, 3, -1)}, batch=1)
save("mean_of_view_18", [node("Reshape", ["x", "s"], "a"), node("Relu", ["a"], "r"), node("ReduceMean", ["r", "axes"], "b"), node("Flatten", ["b"], "c"), dense("c")],
     {**v, "s": i64(0, 0, -1), "axes": i64(-1)}, opset=18)
save("mean_of_flatten", [node("Shape", ["x"], "n"), node("Slice", ["n", "zero", "two", "zero"], "nc"), node("Concat", ["nc", "minus"], "s", axis=0),
                         node("Reshape", ["x", "s"], "a"), node("ReduceMean", ["a"], "b", axes=[-1], keepdims=0), dense("b")],
     {**v, "zero": i64(0), "two": i64(2), "minus": i64(-1)})
save("positions", [node("Reshape", ["x", "s"], "a"), node("Mul", ["a", "m"], "b"), node("BatchNormalization", ["b", "g", "o", "e", "d"], "c"),
                   node("Concat", ["c", "a"], "e2", axis=1), node("ReduceMean", ["e2"], "p", axes=[2]), node("Add", ["e2", "p"], "f"),
                   node("Reshape", ["f", "t"], "y")],
     {"s": i64(0, 3, 20), "m": weights(3, 1), "g": weights(3), "o": weights(3), "e": weights(3), "d": np.abs(weights(3)) + f32(0.1), "t": i64(0, 6, 4, 5)}, (3, 4, 5))
save("positions_flatten", [node("Reshape", ["x", "s"], "a"), node("Flatten", ["a"], "b"), node("Gemm", ["b", "v"], "y")],
     {"s": i64(0, 0, -1), "v": weights(24, 4)}, (3, 4, 2))
save("squeeze_twice", [node("GlobalAveragePool", ["x"], "p"), node("Squeeze", ["p", "last"], "a"), node("Squeeze", ["a", "last"], "b"), dense("b")],
     {**v, "last": i64(-1)})
save("squeeze_unsqueeze", [node("GlobalAveragePool", ["x"], "p"), node("Squeeze", ["p", "axis"], "a"), node("Unsqueeze", ["a", "axis"], "b"), node("Mul", ["x", "b"], "y")],
     {"axis": i64(3)})
save("pixel_by_index", [node("GlobalAveragePool", ["x"], "p"), node("Gather", ["p", "i"], "a", axis=2), node("Gather", ["a", "i"], "b", axis=-1), dense("b")],
     {**v, "i": np.array(0, np.int64)})
save("pixel_by_slice", [node("GlobalAveragePool", ["x"], "p"), node("Slice", ["p", "from", "to"], "a"), node("Gather", ["a", "i"], "b", axis=3),
                        node("Squeeze", ["b", "axis"], "c"), dense("c")], {**v, "from": i64(0, 0, 0, -1), "to": i64(most, most, 1, most), "i": i64(-1), "axis": i64(2, 3)})
save("pixel_by_slice_9", [node("GlobalAveragePool", ["x"], "p"), node("Slice", ["p"], "a", starts=[0, 0], ends=[most, most], axes=[0, 2]), node("Flatten", ["a"], "b"), node("MatMul", ["b", "v"], "y")],
     v, opset=9)

# Quantized: what onnxruntime's quantize_static makes of a padding value and of a mean in two steps
(HERE / "quantized").mkdir(exist_ok=True)


def requantized(x, y, step="step"):
    return [node("QuantizeLinear", [x, step, "middle"], f"{y}_codes"), node("DequantizeLinear", [f"{y}_codes", step, "middle"], y)]


grid = {"step": f32(0.05), "middle": np.uint8(128)}
save("quantized/pad_value", [*requantized("x", "a"), node("DequantizeLinear", ["code", "step", "middle"], "value"), node("Pad", ["a", "p", "value"], "b"),
                             *requantized("b", "y")], {**grid, "code": np.uint8(150), "p": i64(0, 0, 1, 2, 0, 0, 3, 0)})
save("quantized/mean_twice", [*requantized("x", "a"), node("ReduceMean", ["a"], "b", axes=[3], keepdims=0), *requantized("b", "c", "half"),
                              node("ReduceMean", ["c"], "d", axes=[2], keepdims=0), *requantized("d", "y", "half")], {**grid, "half": f32(0.025)}, (3, 8, 5))
rng = earlier

# Windows: padding that crops, padding that rounding up adds, pixels of every nearest_mode, softmaxes over all, every form of C
rng = np.random.default_rng(2)
for kind in ("UPPER", "LOWER"):
    save(f"conv_same_{kind.lower()}_cropped", [node("Conv", ["x", "w"], "y", auto_pad=f"SAME_{kind}", strides=[4, 5])], {"w": weights(4, 3, 1, 1)},
         (3, 8, 10))
    for stride in (3, 6, 7):  # 2, 3 and 5 rows are cropped; ONNX Runtime takes that with these two attributes only
        save(f"average_pool_same_{kind.lower()}_cropped_{stride}", [node("AveragePool", ["x"], "y", auto_pad=f"SAME_{kind}", kernel_shape=[1, 3],
             strides=[stride, 4], ceil_mode=1, count_include_pad=1)], shape=(2, {3: 9, 6: 10, 7: 9}[stride], 5))
save("average_pool_valid_ceil_counted", [node("AveragePool", ["x"], "y", auto_pad="VALID", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1,
     count_include_pad=1)])
save("average_pool_ceil_counted", [node("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[3, 2], pads=[0, 1, 1, 0], ceil_mode=1,
     count_include_pad=1)])
save("max_pool_huge_window", [node("MaxPool", ["x"], "y", kernel_shape=[9, 1000], pads=[4, 999, 4, 0])])
for name, where, mode, sizes in (("ceil", "half_pixel", "ceil", (5, 13)), ("prefer_ceil", "align_corners", "round_prefer_ceil", (15, 5)),
                                 ("floor", "pytorch_half_pixel", "floor", (1, 6)), ("asymmetric_round", "asymmetric", "round_prefer_floor", (20, 3)),
                                 ("asymmetric_ceil", "asymmetric", "ceil", (5, 3)), ("half_pixel_prefer_ceil", "half_pixel", "round_prefer_ceil", (4, 16))):
    save(f"resize_nearest_{name}", [node("Resize", ["x", "", "", "s"], "y", mode="nearest", coordinate_transformation_mode=where, nearest_mode=mode)],
         {"s": i64(2, 3, *sizes)}, batch=2)
save("resize_nearest_symmetric", [node("Resize", ["x", "", "f"], "y", mode="nearest", coordinate_transformation_mode="half_pixel_symmetric")],
     {"f": np.array([1, 1, 2, 0.5], f32)}, opset=19)
save("resize_nearest_tf", [node("Resize", ["x", "roi", "f"], "y", mode="nearest", coordinate_transformation_mode="tf_half_pixel_for_nn",
     nearest_mode="floor")], {"f": np.array([1, 1, 0.5, 0.25], f32), "roi": np.zeros(0, f32)}, opset=11)
save("resize_10_down", [node("Resize", ["x", "f"], "y", mode="nearest")], {"f": np.array([1, 1, 0.4, 0.4], f32)}, (3, 5, 10), 10)
save("softmax_11_image", [node("Softmax", ["x"], "y")], opset=11)
save("softmax_11_rows", [node("Softmax", ["x"], "y", axis=-2)], shape=(1, 5, 4), opset=11)
save("softmax_rows_of_one_channel", [node("Softmax", ["x"], "y", axis=2)], shape=(1, 5, 1))
for name, c in (("scalar", f32(0.5)), ("one", np.full((1, 1), 0.25, f32)), ("row", weights(1, 4)), ("rows", np.repeat(weights(1, 4), 2, 0)),
                ("column", np.full((2, 1), 0.75, f32))):
    save(f"gemm_c_{name}", [node("Gemm", ["x", "w", "c"], "y", beta=0.5)], {"w": weights(6, 4), "c": c}, (6,), batch=2)
for name, kind, zero in (("uint8", np.uint8, 100), ("int8", np.int8, -3)):
    save(f"input_{name}_cast", [node("Cast", ["x"], "f", to=TensorProto.FLOAT), node("Conv", ["f", "w"], "y")], {"w": weights(4, 3, 3, 3)}, kind=kind)
    save(f"input_{name}_dequantized", [node("DequantizeLinear", ["x", "step", "zero"], "f"), node("Conv", ["f", "w"], "y")],
         {"w": weights(4, 3, 3, 3), "step": f32(0.02), "zero": kind(zero)}, kind=kind)
save("input_uint8_channels_last", [node("Transpose", ["x"], "t", perm=[0, 3, 1, 2]), node("Cast", ["t"], "f", to=TensorProto.FLOAT),
                                   node("Conv", ["f", "w"], "c"), node("Flatten", ["c"], "y")], {"w": weights(4, 3, 3, 3)}, (6, 5, 3), kind=np.uint8)
save("quantized/input_uint8", [node("DequantizeLinear", ["x", "step", "middle"], "a"), node("MaxPool", ["a"], "b", kernel_shape=[2, 2]), *requantized("b", "y")],
     grid, kind=np.uint8)
for kind in ("UPPER", "LOWER"):  # ONNX Runtime pads pools for their kernel without its gaps
    for ceil in (0, 1):
        save(f"max_pool_same_{kind.lower()}_dilated_{ceil}", [node("MaxPool", ["x"], "y", auto_pad=f"SAME_{kind}", kernel_shape=[3, 2], strides=[3, 2],
             dilations=[2, 2], ceil_mode=ceil)], shape=(2, 7, 9))

np.savez(HERE / "references.npz", **references)
print(len(references) // 2, "files")

# Files that must be refused
bad = HERE / "bad"
bad.mkdir(exist_ok=True)


def refuse(name, nodes, constants=(), outputs=("y",), inputs=("x",), shape=("N", 3, 8, 8), opset=13):
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key in inputs],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in outputs], list(constants))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), bad / f"{name}.onnx")


def tensor(name, dims, **fields):
    return TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT, **fields)


relu = node("Relu", ["x"], "y")
conv = node("Conv", ["x", "w"], "y")
refuse("unknown_operator", [node("LSTM", ["x"], "y")])
refuse("unknown_domain", [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")])
refuse("two_outputs", [relu, node("Sigmoid", ["x"], "z")], outputs=("y", "z"))
refuse("two_inputs", [node("Add", ["x", "z"], "y")], inputs=("x", "z"))
refuse("no_output", [node("Relu", ["x"], "h")])
refuse("cycle", [node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["b"], "y")])
refuse("twice", [relu, node("Sigmoid", ["x"], "y")])
refuse("open_size", [relu], shape=("N", 3, "H", "W"))
refuse("negative_size", [relu], shape=("N", 3, -8, 8))
refuse("rank_3", [relu], shape=("N", 3, 8))
refuse("old", [relu], opset=6)
refuse("new", [relu], opset=99)
refuse("huge_weights", [conv], [tensor("w", [1 << 40, 1 << 40, 3, 3], raw_data=b"1234")])
refuse("huge_extent", [conv], [tensor("w", [1 << 20, 3, 8, 8], raw_data=b"1234")])
refuse("negative_weights", [conv], [tensor("w", [-1, 3, 3, 3])])
refuse("missing_data", [conv], [tensor("w", [4, 3, 3, 3], raw_data=bytes(16))])
refuse("empty_weights", [conv], [tensor("w", [0, 3, 3, 3])])
refuse("external", [conv], [tensor("w", [4, 3, 3, 3], data_location=TensorProto.EXTERNAL)])
refuse("nan", [conv], [numpy_helper.from_array(np.full((4, 3, 3, 3), np.nan, np.float32), "w")])
refuse("channels", [conv], [numpy_helper.from_array(weights(4, 5, 3, 3), "w")])
refuse("huge_stride", [node("Conv", ["x", "w"], "y", strides=[1 << 40, 1])], [numpy_helper.from_array(weights(4, 3, 3, 3), "w")])
refuse("huge_pad", [node("Conv", ["x", "w"], "y", pads=[1 << 62, 0, 0, 0])], [numpy_helper.from_array(weights(4, 3, 3, 3), "w")])
refuse("window_too_large", [conv], [numpy_helper.from_array(weights(4, 3, 9, 9), "w")])
refuse("clip_disorder", [node("Clip", ["x", "a", "b"], "y")], [numpy_helper.from_array(f32(2), "a"), numpy_helper.from_array(f32(1), "b")])
refuse("reshape", [node("Reshape", ["x", "s"], "y")], [numpy_helper.from_array(i64(0, 5, -1, 7), "s")])
refuse("dynamic_weights", [node("Relu", ["x"], "w"), conv])
refuse("huge_fill", [node("ConstantOfShape", ["s"], "w"), conv], [numpy_helper.from_array(i64(1 << 30, 1 << 30, 4, 4), "s")])
true, zero = numpy_helper.from_array(np.array(True), "t"), numpy_helper.from_array(f32(0), "z")
one = numpy_helper.from_array(f32(1), "o")
refuse("dropout_training", [node("Dropout", ["x", "o", "t"], "y")], [one, true])
refuse("divide_by_0", [node("Div", ["x", "z"], "y")], [zero])
refuse("divide_constants", [node("Div", ["o", "z"], "h"), node("Mul", ["x", "h"], "y")], [one, zero])
refuse("slice_step_0", [node("Slice", ["s", "s", "s", "s", "s"], "h"), node("Reshape", ["x", "h"], "y")], [numpy_helper.from_array(i64(0), "s")])
refuse("slice_image", [node("Slice", ["x"], "y", starts=[1], ends=[7], axes=[2])], opset=9)
refuse("slice_real_bounds", [node("Slice", ["x", "f", "f"], "y")], [numpy_helper.from_array(np.zeros(1, f32), "f")])
refuse("gather_pixel", [node("Gather", ["x", "i"], "y", axis=2)], [numpy_helper.from_array(np.array(0, np.int64), "i")])
refuse("constant_axis", [node("Unsqueeze", ["o", "i"], "h"), node("Add", ["x", "h"], "y")], [one, numpy_helper.from_array(i64(7), "i")])
refuse("output_positions", [node("Reshape", ["x", "s"], "y")], [numpy_helper.from_array(i64(0, 3, 64), "s")])
refuse("positions_add_pixel", [node("Reshape", ["x", "s"], "h"), node("GlobalAveragePool", ["x"], "p"), node("Squeeze", ["p", "a"], "q"), node("Add", ["x", "q"], "y")],
       [numpy_helper.from_array(i64(0, 3, 64), "s"), numpy_helper.from_array(i64(3), "a")])
different = np.stack([np.zeros(4, f32), np.ones(4, f32)])
refuse("gemm_different_rows", [node("Gemm", ["x", "w", "c"], "y")], [numpy_helper.from_array(weights(192, 4), "w"), numpy_helper.from_array(different, "c")],
       shape=(2, 192))
refuse("softmax_rows", [node("Softmax", ["x"], "y", axis=2)])
refuse("resize_10_both_ways", [node("Resize", ["x", "f"], "y", mode="nearest")], [numpy_helper.from_array(np.array([1, 1, 1.25, 0.75], f32), "f")], opset=10)
refuse("resize_other_scale", [node("Resize", ["x", "", "f"], "y", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
       [numpy_helper.from_array(np.array([1, 1, 1.0001, 1.50001], f32), "f")])
doubled = [node("Concat", ["s" if i == 0 else f"h{i}"] * 2, f"h{i + 1}", axis=0) for i in range(40)]
refuse("doubled_list", [*doubled, node("Reshape", ["x", "h40"], "y")], [numpy_helper.from_array(i64(0, -1), "s")])
filled = [node("ConstantOfShape", ["s"], f"c{i}") for i in range(20)]
refuse("many_fills", [*filled, node("Add", ["x", "c0"], "y")], [numpy_helper.from_array(i64(1 << 11, 1 << 11), "s")])
