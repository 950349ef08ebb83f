"""The comparisons of runtimes.py; needs numpy, onnx, onnxruntime and ai-edge-litert."""
import logging
import time

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import OpResolverType
from codes import MODELS, as_int8, command, compare_tensors, first_axis_last, fraction, litert, reference_codes, top1
from onnx import numpy_helper

class Exported:
    """One model in all its files, its inputs on the input's grid, and what this library makes of them."""

    def __init__(self, options, folder, name, failures):
        self.options, self.folder, self.name, self.failures = options, folder, name, failures
        self.fat = options.build / "fat"
        if name == "demo":
            command(options.device_codes, "demo", folder, options.images)
            inputs = np.load(folder / "demo_input.npy")
            inputs = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)) if self.channels_first() else inputs
        else:
            source, images, reference, extra = MODELS[name]
            outputs = [word for kind in ("npz", "onnx", "tflite") for word in ("-o", folder / f"{name}.{kind}")]
            command(self.fat, "quantize", options.data / source, "--images", options.data / images, "--calibration", 50, *extra, *outputs)
            inputs = np.load(options.data / reference).astype(np.float32)[: options.images]
        self.graph = onnx.load(folder / f"{name}.onnx")
        onnx.checker.check_model(self.graph, full_check=True)
        self.constants = {each.name: numpy_helper.to_array(each) for each in self.graph.graph.initializer}
        self.quantizers = [node for node in self.graph.graph.node if node.op_type == "QuantizeLinear"]
        self.input = self.graph.graph.input[0].name
        first = next(node for node in self.quantizers if node.input[0] == self.input)
        self.input_tensor = first.output[0]
        step, zero = self.constants[first.input[1]], self.constants[first.input[2]]
        limits = np.iinfo(zero.dtype)
        self.input_codes = np.clip(np.rint(inputs / step) + zero, limits.min, limits.max).astype(zero.dtype)
        self.inputs = ((self.input_codes.astype(np.float32) - zero.astype(np.float32)) * step).astype(np.float32)
        np.save(folder / f"{name}_in.npy", self.inputs)
        np.save(folder / f"{name}_in_last.npy", first_axis_last(self.inputs) if self.channels_first() else self.inputs)

    def channels_first(self):
        graph = onnx.load(self.folder / f"{self.name}.onnx")
        dims = [each.dim_value for each in graph.graph.input[0].type.tensor_type.shape.dim]
        return len(dims) == 4 and dims[1] < dims[3]

    def path(self, ending):
        return self.folder / f"{self.name}{ending}"

    def engine_codes(self, kind):
        """Output codes of `fat run`, the integer engine."""
        last = kind == "tflite" or not self.channels_first()
        command(self.fat, "run", self.path(f".{kind}"), "--input", self.path("_in_last.npy" if last else "_in.npy"), "--codes", "-o",
                self.path("_out.npy"))
        return np.load(self.path("_out.npy"))

    def reference_codes(self, rounding):
        """Every code of every tensor by the reference kernels, NHWC."""
        return reference_codes(self.options, self.path(".npz"), self.path("_in_last.npy"), rounding, self.path(f"_{rounding}.npz"))


def compare_litert(model, engine, lines):
    reference = model.reference_codes("litert")
    inputs = as_int8(model.input_codes)
    inputs = first_axis_last(inputs) if model.channels_first() else inputs
    tensors, codes, differing, _ = compare_tensors(litert(model.path(".tflite"), inputs, OpResolverType.BUILTIN_REF, True), reference)
    lines.append(f"LiteRT reference kernels beside those here (two roundings, FULLY_CONNECTED one): {differing} of {codes} codes differ ({tensors} tensors)")
    model.failures.expect(differing == 0 and tensors > 3, f"{model.name}: {differing} codes differ from LiteRT's reference kernels")
    rounded_twice = as_int8(reference[model.graph.graph.output[0].name])
    # The built-in kernels round as the reference kernels do, XNNPACK once as the integer engine does.
    for label, resolver, expected in (("LiteRT built-in kernels", OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, rounded_twice),
                                      ("LiteRT with XNNPACK", OpResolverType.BUILTIN, engine)):
        output = litert(model.path(".tflite"), inputs, resolver, False)[""]
        for beside, codes in (("two roundings", rounded_twice), ("the integer engine", engine)):
            share, largest = fraction(output, codes)
            same = top1(output, codes)
            lines.append(f"{label} beside {beside}, output codes: {100 * share:.2f} % differ, by at most {largest}; top-1 equal {100 * same:.0f} %")
            model.failures.expect(codes is not expected or same == 1.0, f"{model.name}: top-1 differs from {label}")


def session(source, precision):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", precision)
    return onnxruntime.InferenceSession(source if isinstance(source, bytes) else str(source), options, providers=["CPUExecutionProvider"])


def layer_by_layer(model):
    """The model with every DequantizeLinear of an activation reading a graph input, and every QuantizeLinear a graph output."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model.graph)
    made = {node.output[0]: node for node in cut.graph.node if node.op_type == "QuantizeLinear"}
    del cut.graph.output[:]
    for codes, node in made.items():
        kind = onnx.TensorProto.INT8 if model.constants[node.input[2]].dtype == np.int8 else onnx.TensorProto.UINT8
        cut.graph.output.append(onnx.helper.make_tensor_value_info(codes, kind, None))
        cut.graph.input.append(onnx.helper.make_tensor_value_info(codes + ":given", kind, None))
    for node in cut.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in made:
            node.input[0] += ":given"
    return cut


def compare_onnxruntime(model, engine, lines):
    """Layer by layer on the codes of the reference kernels with single rounding, which are the integer engine's."""
    reference = model.reference_codes("single")
    step = next(node for node in reversed(model.graph.graph.node) if node.op_type == "DequantizeLinear" and node.output[0] == model.graph.graph.output[0].name)
    scale, zero = float(model.constants[step.input[1]]), int(model.constants[step.input[2]])
    cut = layer_by_layer(model)
    names = [each.name for each in cut.graph.output]
    given = {}
    for name in names:
        codes = reference.get(name.removesuffix(":codes"))
        if codes is None:  # the flattened input of a dense layer: the codes of what it flattens
            flatten = next(node for node in cut.graph.node if node.op_type == "Flatten" and node.output[0] == name.removesuffix(":codes"))
            value = next(node for node in cut.graph.node if node.output[0] == flatten.input[0]).input[0].removesuffix(":given").removesuffix(":codes")
            codes = reference[value]
            codes = codes.transpose(0, 3, 1, 2).reshape(len(codes), -1)
        as_input = codes.ndim == 4 and name == model.input_tensor and not model.channels_first()  # a Transpose follows
        given[name] = np.ascontiguousarray(codes.transpose(0, 3, 1, 2)) if codes.ndim == 4 and not as_input else codes
    for precision in ("0", "1"):
        found = session(cut.SerializeToString(), precision).run(names, {model.input: model.inputs, **{name + ":given": given[name] for name in names}})
        codes = differing = largest = 0
        for name, values in zip(names, found):
            difference = np.abs(values.astype(np.int32).reshape(-1) - given[name].astype(np.int32).reshape(-1))
            codes, differing, largest = codes + difference.size, differing + int((difference > 0).sum()), max(largest, int(difference.max()))
        lines.append(f"ONNX Runtime, x64quantprecision {precision}, each layer on the same codes: {differing} of {codes} differ "
                     f"({100 * differing / codes:.4f} %), by at most {largest}")
        if precision == "1":
            model.failures.expect(differing <= 0.001 * codes and largest <= 1, f"{model.name}: layers differ from ONNX Runtime's")
        output = session(model.path(".onnx"), precision).run(None, {model.input: model.inputs})[0]
        output = np.rint(output / scale).astype(np.int32) + zero
        share, far = fraction(output, engine)
        same = top1(output, engine)
        lines.append(f"ONNX Runtime, x64quantprecision {precision}, whole network, output codes: {100 * share:.2f} % differ, by at most {far}; "
                     f"top-1 equal {100 * same:.0f} %")
        if precision == "1":
            model.failures.expect(same == 1.0, f"{model.name}: top-1 differs from ONNX Runtime")


def compare_files(model, engine, lines):
    """The exported files read again by this library give the same codes."""
    for kind in ("onnx", "tflite"):
        again = model.engine_codes(kind)
        again = as_int8(again) if kind == "tflite" else again
        share, _ = fraction(again, as_int8(engine) if kind == "tflite" else engine)
        model.failures.expect(share == 0.0, f"{model.name}: the .{kind} file read again gives other codes")
    lines.append("read again by fat (.onnx, .tflite): the same output codes")


def compare_static(options, folder, failures, lines):
    """Models quantized by ONNX Runtime's own quantizer, on the integer engine."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    logging.getLogger().setLevel(logging.ERROR)  # advice on preparing the float model
    unsigned, signed = QuantType.QUInt8, QuantType.QInt8
    cases = (("resnet8", "u8s8 per channel", unsigned, True), ("resnet8", "s8s8 per channel", signed, True),
             ("resnet8", "u8s8 per tensor", unsigned, False), ("mobilenet_v1", "u8s8 per tensor", unsigned, False),
             ("mobilenet_v2", "u8s8 per channel", unsigned, True), ("mobilenet_v2", "s8s8 per channel", signed, True))
    for model, label, activation, per_channel in cases:
        source, inputs = options.data / MODELS[model][0], np.load(options.data / MODELS[model][2]).astype(np.float32)[:8]
        name = onnx.load(source).graph.input[0].name

        class Reader(CalibrationDataReader):
            def __init__(self):
                self.rest = iter([{name: inputs[i : i + 1]} for i in range(len(inputs))])

            def get_next(self):
                return next(self.rest, None)

        inputs_seen = inputs[: options.images]
        path = folder / "static.onnx"
        quantize_static(str(source), str(path), Reader(), quant_format=QuantFormat.QDQ, activation_type=activation, weight_type=QuantType.QInt8,
                        per_channel=per_channel)
        np.save(folder / "static_in.npy", inputs_seen)
        command(options.build / "fat", "run", path, "--input", folder / "static_in.npy", "-o", folder / "static_out.npy")
        ours = np.load(folder / "static_out.npy").reshape(len(inputs_seen), -1)
        theirs = session(path, "1").run(None, {name: inputs_seen})[0].reshape(ours.shape)
        same, error = top1(ours, theirs), float(np.sqrt(((ours - theirs) ** 2).mean()) / theirs.std())
        lines.append(f"{model}, quantize_static, {label}: top-1 equal {100 * same:.0f} %, RMS difference {100 * error:.2f} % of the outputs' spread")
        failures.expect(same == 1.0 and error <= 0.1, f"{model}, quantize_static {label}: outputs differ")


def compare_all(options, folder, failures):
    print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}", flush=True)
    text = []
    for name in [*MODELS, "demo"]:
        start = time.monotonic()
        model = Exported(options, folder, name, failures)
        engine = model.engine_codes("npz")
        lines = []
        compare_files(model, engine, lines)
        compare_litert(model, as_int8(engine), lines)
        compare_onnxruntime(model, engine, lines)
        print(f"{name} ({len(model.inputs)} images, {time.monotonic() - start:.0f} s)", flush=True)
        for line in lines:
            print("  " + line, flush=True)
        text += [f"### {name}", "", *(f"* {line}" for line in lines), ""]
    lines = []
    compare_static(options, folder, failures, lines)
    print("models quantized by onnxruntime", *("  " + line for line in lines), sep="\n", flush=True)
    text += ["### Models quantized by onnxruntime", "", *(f"* {line}" for line in lines), ""]
    return text
