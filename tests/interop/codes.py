"""LiteRT and the reference kernels here on one file, and how codes are compared; needs numpy and ai-edge-litert."""
import copy
import subprocess

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

# name: float model, calibration images, inputs [images, channels, height, width], options of `fat quantize`. Beside a folder
# `calibration` lies one `evaluation`.
MODELS = {
    "mobilenet_v2": ("models/mobilenet_v2_1.0_224.onnx", "imagenet/calibration", "reference/input.npy", []),
    "mobilenet_v1": ("models/mobilenet_v1_0.25_224.onnx", "imagenet/calibration", "reference/input.npy", []),
    "resnet8": ("models/resnet8_cifar10.onnx", "cifar10/calibration", "reference/cifar10_input.npy", ["--preprocess", "raw"]),
}


def first_axis_last(values):
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1)) if values.ndim == 4 else values


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def fraction(a, b):
    """Share of codes that differ, and the largest difference."""
    difference = np.abs(a.astype(np.int32).reshape(-1) - b.astype(np.int32).reshape(-1))
    return float((difference > 0).mean()), int(difference.max(initial=0))


class Tally:
    """Codes compared, those that differ, the largest difference, and in how many images the top-1 is the same."""

    def __init__(self):
        self.codes = self.differing = self.largest = self.images = self.same = 0

    def add(self, a, b):
        difference = np.abs(a.astype(np.int32).reshape(-1) - b.astype(np.int32).reshape(-1))
        self.codes += difference.size
        self.differing += int((difference != 0).sum())
        self.largest = max(self.largest, int(difference.max(initial=0)))

    def add_outputs(self, a, b):
        self.add(a, b)
        self.images += len(a)
        self.same += round(top1(a, b) * len(a))

    def join(self, other):
        self.codes, self.differing, self.largest = self.codes + other.codes, self.differing + other.differing, max(self.largest, other.largest)

    @property
    def share(self):
        return self.differing / max(self.codes, 1)

    def text(self):
        digits = 2 if self.images else 4
        found = f"{self.differing} of {self.codes} codes differ ({100 * self.share:.{digits}f} %), by at most {self.largest}"
        return found + (f"; top-1 equal {100 * self.same / self.images:.0f} %" if self.images else "")


def top1(a, b):
    """Share of images with the same largest output; where several are equally large (8-bit codes tie), one in common is enough."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    return float(((a == a.max(1, keepdims=True)) & (b == b.max(1, keepdims=True))).any(1).mean())


def as_int8(codes):
    return codes if codes.dtype == np.int8 else (codes.astype(np.int16) - 128).astype(np.int8)


def litert(path, inputs, resolver, keep):
    """Codes of every int8 tensor LiteRT shows, [images, ...] by name, and the output under ''; inputs [images, ...] as the model takes them."""
    interpreter = Interpreter(str(path), experimental_op_resolver_type=resolver, experimental_preserve_all_tensors=keep, num_threads=1)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    operators = {index for each in interpreter._get_ops_details() for index in each["outputs"]} if keep else set()
    shown = [each for each in interpreter.get_tensor_details() if each["index"] in operators and each["dtype"] == np.int8]
    found = {each["name"]: [] for each in shown}
    found[""] = []
    for i in range(len(inputs)):
        interpreter.set_tensor(source["index"], inputs[i : i + 1])
        interpreter.invoke()
        for each in shown:
            found[each["name"]].append(interpreter.get_tensor(each["index"]).copy())
        found[""].append(interpreter.get_tensor(result["index"]).copy())
    return {name: np.concatenate(values) for name, values in found.items()}


def layers_apart(path, names):
    """The file's bytes with every operator that reads a tensor of `names` reading an input `<name>:given` instead, and every operator
    that makes one making an output: each layer can be given the codes that the one before it should have made."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    given = {}
    for index, tensor in enumerate(list(graph.tensors)):
        if tensor.name.decode() in names:
            twin = copy.copy(tensor)
            twin.name = tensor.name + b":given"
            given[index] = len(graph.tensors)
            graph.tensors.append(twin)
    for operator in graph.operators:
        operator.inputs = [given.get(index, index) for index in operator.inputs]
    read = {index for operator in graph.operators for index in operator.inputs}
    graph.outputs = [index for operator in graph.operators for index in operator.outputs if index in given]
    graph.inputs = [twin for twin in given.values() if twin in read]
    model.signatureDefs = None
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run_layers_apart(interpreter, codes):
    """Codes by tensor of one image: what each layer makes of `codes`."""
    for each in interpreter.get_input_details():
        interpreter.set_tensor(each["index"], codes[each["name"].removesuffix(":given")].reshape(each["shape"]))
    interpreter.invoke()
    return {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()}


def compare_tensors(device, reference):
    """Tensors compared, codes compared, codes that differ, the largest difference; each tensor that differs is printed."""
    codes = differing = tensors = largest = 0
    for name, values in device.items():
        if name not in reference:
            continue
        distance = np.abs(values.reshape(-1).astype(np.int32) - as_int8(reference[name]).reshape(-1).astype(np.int32))
        different = int((distance != 0).sum())
        tensors, codes, differing, largest = tensors + 1, codes + distance.size, differing + different, max(largest, int(distance.max(initial=0)))
        if different != 0:
            print(f"  {name}: {different} of {distance.size} codes differ", flush=True)
    return tensors, codes, differing, largest


def reference_codes(options, model, inputs, rounding, result):
    """Every code of every tensor by the reference kernels here, NHWC, by name."""
    command(options.device_codes, "run", model, inputs, rounding, result)
    with np.load(result) as file:
        return {key.replace("|", "/"): file[key] for key in file.files}
