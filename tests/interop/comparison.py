"""The comparisons of runtimes.py; needs numpy, onnx, onnxruntime and ai-edge-litert."""
import logging
import time

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from codes import MODELS, Tally, as_int8, command, first_axis_last, layers_apart, litert, reference_codes, run_layers_apart, top1
from onnx import numpy_helper

AT_ONCE = 8  # images
SMALL = 50  # images at least, for networks of small pictures


def own_network(path):
    """A float network of operators that the others lack: average pools and bilinear resizes; weights by chance."""
    random = np.random.default_rng(5)
    constants, nodes = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(kind, inputs, name, **attributes):
        nodes.append(onnx.helper.make_node(kind, inputs, [name], name=name + "/node", **attributes))
        return name

    def conv(value, name, depth, channels, size):
        weights = random.standard_normal((channels, depth, size, size)).astype(np.float32) * np.float32(np.sqrt(2 / (depth * size * size)))
        bias = np.float32(0.1) * random.standard_normal(channels).astype(np.float32)
        made = add("Conv", [value, constant(name + "/w", weights), constant(name + "/b", bias)], name + "/linear", pads=[size // 2] * 4)
        return add("Relu", [made], name)

    def resize(value, name, coordinates):
        return add("Resize", [value, "", constant(name + "/scales", np.float32([1, 1, 2, 2]))], name, mode="linear",
                   coordinate_transformation_mode=coordinates)

    value = conv(add("Mul", ["input", constant("scale", np.float32(1 / 64))], "scaled"), "first", 3, 16, 3)
    value = add("AveragePool", [value], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    value = resize(conv(value, "second", 16, 16, 1), "half_pixel", "half_pixel")
    value = add("AveragePool", [conv(value, "third", 16, 16, 3)], "pool2", kernel_shape=[2, 2], strides=[2, 2])
    value = conv(resize(value, "asymmetric", "asymmetric"), "fourth", 16, 24, 3)
    value = add("Flatten", [add("GlobalAveragePool", [value], "mean")], "flat")
    dense = [constant("dense/w", random.standard_normal((10, 24)).astype(np.float32)), constant("dense/b", np.zeros(10, np.float32))]
    add("Gemm", [value, *dense], "scores", transB=1)
    described = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (("input", ["N", 3, 32, 32]), ("scores", ["N", 10]))]
    graph = onnx.helper.make_graph(nodes, "pools", described[:1], described[1:], constants)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)


def pictures(folder, count, size, raw):
    """The first pictures of a folder as inputs of a network."""
    from PIL import Image

    found = []
    for path in sorted(folder.rglob("*.*"))[:count]:
        picture = Image.open(path).convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR)
        found.append(np.asarray(picture, np.float32).transpose(2, 0, 1))
    return np.stack(found) if raw else np.stack(found) / np.float32(127.5) - np.float32(1)


def network_inputs(options, name, count):
    """`count` images as inputs of a network of MODELS, or of `pools`: those of the data's reference first."""
    _, images, reference, extra = MODELS.get(name, MODELS["resnet8"])
    inputs = np.load(options.data / reference).astype(np.float32)[:count]
    if len(inputs) == count:
        return inputs
    more = pictures((options.data / images).parent / "evaluation", count - len(inputs), inputs.shape[-1], "raw" in extra)
    return np.concatenate([inputs, more])


def image_count(options, name):
    return options.images if name.startswith("mobilenet") else max(options.images, SMALL)


class Exported:
    """One model in all its files, its inputs on the input's grid, and what this library makes of them."""

    def __init__(self, options, folder, name, failures):
        self.options, self.folder, self.name, self.failures = options, folder, name, failures
        self.fat = options.build / "fat"
        if name == "demo":
            command(options.device_codes, "demo", folder, image_count(options, name))
            inputs = np.load(folder / "demo_input.npy")
            inputs = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2)) if self.channels_first() else inputs
        else:
            source, images, _, extra = MODELS.get(name, MODELS["resnet8"])
            source, images = options.data / source, options.data / images
            if name == "pools":
                source = folder / "pools_float.onnx"
                own_network(source)
            outputs = [word for kind in ("npz", "onnx", "tflite") for word in ("-o", folder / f"{name}.{kind}")]
            command(self.fat, "quantize", source, "--images", images, "--calibration", 50, *extra, *outputs)
            inputs = network_inputs(options, name, image_count(options, name))
        self.graph = onnx.load(folder / f"{name}.onnx")
        onnx.checker.check_model(self.graph, full_check=True)
        self.constants = {each.name: numpy_helper.to_array(each) for each in self.graph.graph.initializer}
        self.quantizers = [node for node in self.graph.graph.node if node.op_type == "QuantizeLinear"]
        self.input = self.graph.graph.input[0].name
        self.output = self.graph.graph.output[0].name
        first = next(node for node in self.quantizers if node.input[0] == self.input)
        self.input_tensor = first.output[0]
        step, zero = self.constants[first.input[1]], self.constants[first.input[2]]
        limits = np.iinfo(zero.dtype)
        self.input_codes = np.clip(np.rint(inputs / step) + zero, limits.min, limits.max).astype(zero.dtype)
        self.inputs = ((self.input_codes.astype(np.float32) - zero.astype(np.float32)) * step).astype(np.float32)
        last = next(node for node in reversed(self.graph.graph.node) if node.op_type == "DequantizeLinear" and node.output[0] == self.output)
        self.output_step, self.output_zero = float(self.constants[last.input[1]]), int(self.constants[last.input[2]])

    def channels_first(self):
        graph = onnx.load(self.folder / f"{self.name}.onnx")
        dims = [each.dim_value for each in graph.graph.input[0].type.tensor_type.shape.dim]
        return len(dims) == 4 and dims[1] < dims[3]

    def path(self, ending):
        return self.folder / f"{self.name}{ending}"

    def chunks(self):
        """A few images after the other: inputs in the order of the .onnx file, codes in that of the .tflite file. The inputs become files."""
        for start in range(0, len(self.inputs), AT_ONCE):
            inputs, codes = self.inputs[start : start + AT_ONCE], as_int8(self.input_codes[start : start + AT_ONCE])
            np.save(self.path("_in.npy"), inputs)
            np.save(self.path("_in_last.npy"), first_axis_last(inputs) if self.channels_first() else inputs)
            yield inputs, first_axis_last(codes) if self.channels_first() else codes

    def engine_codes(self, kind, *options):
        """Output codes of `fat run`, the integer engine, as int8."""
        last = kind == "tflite" or not self.channels_first()
        command(self.fat, "run", self.path(f".{kind}"), "--input", self.path("_in_last.npy" if last else "_in.npy"), "--codes", "-o",
                self.path("_out.npy"), *options)
        return as_int8(np.load(self.path("_out.npy")))

    def reference_codes(self, rounding):
        """Every code of every tensor by the reference kernels, NHWC, as int8."""
        codes = reference_codes(self.options, self.path(".npz"), self.path("_in_last.npy"), rounding, self.path(f"_{rounding}.npz"))
        return {name: as_int8(values) for name, values in codes.items()}


def session(source, precision, optimized=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", precision)
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(source if isinstance(source, bytes) else str(source), options, providers=["CPUExecutionProvider"])


def layer_by_layer(model):
    """The model with every DequantizeLinear of an activation reading a graph input, and every QuantizeLinear a graph output."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model.graph)
    made = {node.output[0]: node for node in cut.graph.node if node.op_type == "QuantizeLinear"}
    del cut.graph.output[:]
    for codes, node in made.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(model.constants[node.input[2]].dtype)
        cut.graph.output.append(onnx.helper.make_tensor_value_info(codes, kind, None))
        cut.graph.input.append(onnx.helper.make_tensor_value_info(codes + ":given", kind, None))
    for node in cut.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in made:
            node.input[0] += ":given"
    return cut


def codes_of_file(model, cut, reference):
    """The reference's codes by the names and in the layout and type of the .onnx file."""
    given = {}
    for each in cut.graph.output:
        name = each.name
        codes = reference.get(name.removesuffix(":codes"))
        if codes is None:  # the flattened input of a dense layer: the codes of what it flattens
            flatten = next(node for node in cut.graph.node if node.op_type == "Flatten" and node.output[0] == name.removesuffix(":codes"))
            value = next(node for node in cut.graph.node if node.output[0] == flatten.input[0]).input[0].removesuffix(":given").removesuffix(":codes")
            codes = reference[value]
            codes = codes.transpose(0, 3, 1, 2).reshape(len(codes), -1)
        as_input = codes.ndim == 4 and name == model.input_tensor and not model.channels_first()  # a Transpose follows
        codes = codes if codes.ndim != 4 or as_input else codes.transpose(0, 3, 1, 2)
        unsigned = each.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        given[name] = np.ascontiguousarray((codes.astype(np.int16) + 128).astype(np.uint8) if unsigned else codes)
    return given


INTEGER_KINDS = {"Conv": "QLinearConv", "Gemm": "QGemm", "Add": "QLinearAdd", "AveragePool": "QLinearAveragePool",
                 "GlobalAveragePool": "QLinearGlobalAveragePool", "Softmax": "QLinearSoftmax"}
ROUNDS_OTHERWISE = ("AveragePool", "Resize")  # ONNX Runtime and XNNPACK


def fused(model, source):
    """How many operators of each kind ONNX Runtime runs on codes, of how many."""
    path = model.path("_optimized.onnx")
    session(source, "1", path)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    asked = [node.op_type for node in model.graph.graph.node]
    return {kind: (kinds.count(joined), asked.count(kind)) for kind, joined in INTEGER_KINDS.items() if kind in asked}


def check_layers(model, runtime, tallies, limited, lines):
    """Lines for layers that were given the same codes, by kind; at most 0.1 % of the codes may differ, and by one."""
    for kind, tally in tallies.items():
        lines.append(f"{runtime}, each {kind} on the same codes: {tally.text()}")
        limit = 0.001 if kind == "layer" else 0.25
        model.failures.expect(not limited or (tally.share <= limit and tally.largest <= 1), f"{model.name}: each {kind} differs from {runtime}")


def compare_one(model, lines):
    """All comparisons of one model; the codes are compared as int8."""
    reference, cut = None, layer_by_layer(model)
    whole = {precision: session(model.path(".onnx"), precision) for precision in ("0", "1")}
    apart = {precision: session(cut.SerializeToString(), precision) for precision in ("0", "1")}
    names = [each.name for each in cut.graph.output]
    makers = {node.output[0]: node.op_type for node in model.graph.graph.node}
    kinds = {node.output[0].removesuffix(":codes"): makers.get(node.input[0]) for node in model.quantizers}

    def kind_of(name):
        kind = kinds.get(name.removesuffix(":codes"))
        return kind if kind in ROUNDS_OTHERWISE else "layer"

    ort_layers = {precision: {} for precision in apart}
    ort_outputs = {precision: Tally() for precision in whole}
    runtimes = {"built-in kernels": (OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, "litert"), "XNNPACK": (OpResolverType.BUILTIN, "single")}
    layers = {label: {} for label in runtimes}
    outputs = {(label, beside): Tally() for label in runtimes for beside in ("litert", "engine")}
    device, followed, interpreters, tensors = Tally(), Tally(), {}, 0
    for inputs, codes in model.chunks():
        engine = model.engine_codes("npz")
        for kind in ("onnx", "tflite"):
            model.failures.expect((model.engine_codes(kind).reshape(-1) == engine.reshape(-1)).all(), f"{model.name}: the .{kind} file read again gives other codes")
        reference = {rounding: model.reference_codes(rounding) for rounding in ("litert", "single")}
        found = litert(model.path(".tflite"), codes, OpResolverType.BUILTIN_REF, True)
        for kind in ("npz", "onnx", "tflite"):
            followed.add_outputs(found[""], model.engine_codes(kind, "--requantize", "tflite"))
        tensors = sum(name in reference["litert"] for name in found)
        for name, values in found.items():
            if name in reference["litert"]:
                device.add(values, reference["litert"][name])
        for label, (resolver, rounding) in runtimes.items():
            if label not in interpreters:
                interpreters[label] = Interpreter(model_content=layers_apart(model.path(".tflite"), set(reference[rounding])), num_threads=1,
                                                  experimental_op_resolver_type=resolver)
                interpreters[label].allocate_tensors()
            for i in range(len(codes)):
                image = {name: values[i : i + 1] for name, values in reference[rounding].items()}
                for name, values in run_layers_apart(interpreters[label], image).items():
                    layers[label].setdefault(kind_of(name), Tally()).add(values, image[name])
            output = litert(model.path(".tflite"), codes, resolver, False)[""]
            outputs[label, "litert"].add_outputs(output, reference["litert"][model.output])
            outputs[label, "engine"].add_outputs(output, engine)
        given = codes_of_file(model, cut, reference["single"])
        feed = {model.input: inputs, **{name + ":given": given[name] for name in names}}
        for precision in whole:
            for name, values in zip(names, apart[precision].run(names, {each.name: feed[each.name] for each in apart[precision].get_inputs()})):
                ort_layers[precision].setdefault(kind_of(name), Tally()).add(values, given[name])
            output = whole[precision].run(None, {model.input: inputs})[0]
            output = np.rint(output / model.output_step).astype(np.int32) + model.output_zero
            ort_outputs[precision].add_outputs(output - (128 if model.constants[model.quantizers[-1].input[2]].dtype == np.uint8 else 0), engine)
    lines.append("read again by fat (.onnx, .tflite): the same output codes")
    lines.append(f"LiteRT reference kernels beside those here (two roundings, FULLY_CONNECTED one): {device.text()} ({tensors} tensors)")
    model.failures.expect(device.differing == 0 and tensors > 3, f"{model.name}: {device.differing} codes differ from LiteRT's reference kernels")
    lines.append(f"LiteRT reference kernels beside the integer engine with --requantize tflite (.npz, .onnx, .tflite), output codes: {followed.text()}")
    model.failures.expect(followed.differing == 0, f"{model.name}: --requantize tflite: {followed.differing} output codes differ from LiteRT's reference kernels")
    for label in runtimes:
        check_layers(model, f"LiteRT with {label}", layers[label], True, lines)
        for beside, words in (("litert", "two roundings"), ("engine", "the integer engine")):
            lines.append(f"LiteRT with {label} beside {words}, output codes: {outputs[label, beside].text()}")
    joined, joined_apart = fused(model, model.path(".onnx")), fused(model, cut.SerializeToString())
    lines.append("ONNX Runtime runs on codes: " + ", ".join(f"{count} of {total} {kind}" for kind, (count, total) in joined.items()))
    model.failures.expect(all(count == total for each in (joined, joined_apart) for count, total in each.values()),
                          f"{model.name}: ONNX Runtime computes in float: {joined}, layers apart {joined_apart}")
    for precision in whole:
        check_layers(model, f"ONNX Runtime, x64quantprecision {precision}", ort_layers[precision], precision == "1", lines)
        lines.append(f"ONNX Runtime, x64quantprecision {precision}, whole network, output codes: {ort_outputs[precision].text()}")
    for label, tally in (("LiteRT with XNNPACK", outputs["XNNPACK", "engine"]), ("ONNX Runtime", ort_outputs["1"]),
                         ("LiteRT with built-in kernels", outputs["built-in kernels", "litert"])):
        model.failures.expect(tally.same >= 0.98 * tally.images, f"{model.name}: top-1 differs from {label}")


def compare_static(options, folder, failures, lines):
    """Models quantized by ONNX Runtime's own quantizer, on the integer engine."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    logging.getLogger().setLevel(logging.ERROR)  # advice on preparing the float model
    unsigned, signed = QuantType.QUInt8, QuantType.QInt8
    cases = (("resnet8", "u8s8 per channel", unsigned, True), ("resnet8", "s8s8 per channel", signed, True),
             ("resnet8", "u8s8 per tensor", unsigned, False), ("mobilenet_v1", "u8s8 per tensor", unsigned, False),
             ("mobilenet_v2", "u8s8 per channel", unsigned, True), ("mobilenet_v2", "s8s8 per channel", signed, True))
    for model, label, activation, per_channel in cases:
        source, inputs = options.data / MODELS[model][0], network_inputs(options, model, max(8, image_count(options, model)))
        name = onnx.load(source).graph.input[0].name

        class Reader(CalibrationDataReader):
            def __init__(self):
                self.rest = iter([{name: inputs[i : i + 1]} for i in range(8)])

            def get_next(self):
                return next(self.rest, None)

        inputs_seen = inputs[: image_count(options, model)]
        path = folder / "static.onnx"
        quantize_static(str(source), str(path), Reader(), quant_format=QuantFormat.QDQ, activation_type=activation, weight_type=QuantType.QInt8,
                        per_channel=per_channel)
        np.save(folder / "static_in.npy", inputs_seen)
        command(options.build / "fat", "run", path, "--input", folder / "static_in.npy", "-o", folder / "static_out.npy")
        ours = np.load(folder / "static_out.npy").reshape(len(inputs_seen), -1)
        theirs = session(path, "1").run(None, {name: inputs_seen})[0].reshape(ours.shape)
        same, error = top1(ours, theirs), float(np.sqrt(((ours - theirs) ** 2).mean()) / theirs.std())
        lines.append(f"{model}, quantize_static, {label}: top-1 equal {100 * same:.0f} %, RMS difference {100 * error:.2f} % of the outputs' spread")
        failures.expect(same >= 0.96 and error <= 0.1, f"{model}, quantize_static {label}: outputs differ")


def compare_all(options, folder, failures):
    print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}", flush=True)
    text = []
    for name in [*MODELS, "pools", "demo"]:
        start = time.monotonic()
        model = Exported(options, folder, name, failures)
        lines = []
        compare_one(model, lines)
        print(f"{name} ({len(model.inputs)} images, {time.monotonic() - start:.0f} s)", flush=True)
        for line in lines:
            print("  " + line, flush=True)
        text += [f"### {name}", "", *(f"* {line}" for line in lines), ""]
    lines = []
    compare_static(options, folder, failures, lines)
    print("models quantized by onnxruntime", *("  " + line for line in lines), sep="\n", flush=True)
    text += ["### Models quantized by onnxruntime", "", *(f"* {line}" for line in lines), ""]
    return text
