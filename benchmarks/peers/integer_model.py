#!/usr/bin/env python3
"""int8 MobileNetV2 beside ONNX Runtime's (pip: onnx, onnxruntime): same weights, same images, batch 1, in turn.

ONNX Runtime quantizes statically (QDQ, uint8 activations, int8 weights per channel, min-max), all optimisations on. How far
each int8 output is from the float one is printed first: on processors without VNNI its sums can saturate.
  benchmarks/peers/integer_model.py [--build build/benchmarks] [--rounds 15]
"""
import argparse
import logging
import pathlib
import tempfile

import numpy
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import mobilenet_v2
import side_by_side


def onnx_model(folder):
    nodes, constants = [], []
    names = []

    def constant(name, values):
        constants.append(onnx.numpy_helper.from_array(values, name))
        return name

    for at, ((kind, source, inputs, _, kernel, stride, clamped), values) in enumerate(
            zip(mobilenet_v2.layers(), mobilenet_v2.weights(folder / "weights.f32"))):
        out = f"layer{at}"
        feeds = [names[s] for s in source] if kind == "add" else ["input" if source < 0 else names[source]]
        if kind == "add":
            nodes.append(onnx.helper.make_node("Add", feeds, [out], out))
        elif kind == "pool":
            nodes.append(onnx.helper.make_node("GlobalAveragePool", feeds, [out + "_image"], out))
            nodes.append(onnx.helper.make_node("Flatten", [out + "_image"], [out], out + "_flat"))
        elif kind == "dense":
            feeds += [constant(out + "_w", values[0][:, :, 0, 0].copy()), constant(out + "_b", values[1].copy())]
            nodes.append(onnx.helper.make_node("Gemm", feeds, [out], out, transB=1))
        else:
            feeds += [constant(out + "_w", values[0]), constant(out + "_b", values[1].copy())]
            edge = kernel // 2
            nodes.append(onnx.helper.make_node("Conv", feeds, [out], out, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                                               pads=[edge] * 4, group=inputs if kind == "depthwise" else 1))
        if clamped:
            limits = [constant(f"{out}_low", numpy.float32(0.0) * numpy.ones((), numpy.float32)),
                      constant(f"{out}_high", numpy.float32(6.0) * numpy.ones((), numpy.float32))]
            nodes.append(onnx.helper.make_node("Clip", [out, *limits], [out + "_clip"], out + "_clip"))
            out += "_clip"
        names.append(out)
    image = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, 224, 224])
    output = onnx.helper.make_tensor_value_info(names[-1], onnx.TensorProto.FLOAT, [1, 1000])
    graph = onnx.helper.make_graph(nodes, "mobilenet_v2", [image], [output], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


class Images(CalibrationDataReader):
    def __init__(self, images):
        self.left = list(images)

    def get_next(self):
        return {"input": self.left.pop(0)[None]} if self.left else None


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def sqnr(real, found):
    return 10 * numpy.log10((real ** 2).sum() / ((real - found) ** 2).sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=side_by_side.BUILD)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(3)
    print(f"int8 MobileNetV2 224x224, batch 1, beside ONNX Runtime {onnxruntime.__version__}")
    for threads in (1, 2):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            with side_by_side.Ours(options.build / "integer_model", folder, 1, threads) as ours:
                images = numpy.fromfile(folder / "input.f32", numpy.float32).reshape(-1, 224, 224, 3).transpose(0, 3, 1, 2).copy()
                mine = numpy.fromfile(folder / "output.f32", numpy.float32)
                onnx.save(onnx_model(folder), folder / "float.onnx")
                quantize_static(str(folder / "float.onnx"), str(folder / "int8.onnx"), Images(images), quant_format=QuantFormat.QDQ,
                                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True)
                image = {"input": images[:1]}
                floats, integers = session(folder / "float.onnx", threads), session(folder / "int8.onnx", threads)
                real, theirs = floats.run(None, image)[0][0], integers.run(None, image)[0][0]
                if threads == 1:
                    print(f"  SQNR of the logits against float: ours {sqnr(real, mine):.1f} dB, ONNX Runtime {sqnr(real, theirs):.1f} dB")
                for title, peer in (("int8", integers), ("float", floats)):
                    a, b, ratio = side_by_side.compare(ours, lambda: peer.run(None, image), options.rounds, 8, threads)
                    print(f"  {threads} thread{'s' if threads > 1 else ' '}: ours {1000 * a:6.2f} ms, ONNX Runtime {title:5s} {1000 * b:6.2f} ms, "
                          f"ratio {ratio:.2f}{' (at most 0.70)' if title == 'int8' else ''}", flush=True)


if __name__ == "__main__":
    main()
