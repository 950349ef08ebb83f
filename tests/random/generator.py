"""Draws networks: 1 to 8 stages of every operator that is read, in any order, as ONNX files of operator sets 11 to 22.

Every stage is computed by ONNX Runtime as it is drawn; one that it refuses, or whose values cannot be compared (not finite, huge, next
to a jump of a function), is left out and another drawn. The same seed gives the same network.
"""
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

LARGEST = 6000  # elements of a tensor
FUNCTIONS = ("Abs", "Celu", "Cos", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "LeakyRelu", "Neg", "Relu", "Selu", "Sigmoid", "Sin",
             "Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Mish", "Gelu", "Clip", "Identity", "Dropout")
SINCE = {"HardSwish": 14, "Mish": 18, "Gelu": 20, "Celu": 12, "LayerNormalization": 17, "GroupNormalization": 21}


class Refused(Exception):
    """A stage that cannot be."""


def quiet_session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Network:
    """One drawn network: `model`, `samples` (lists of inputs by name), and `right`, the outputs by name for the first sample (None where
    ONNX Runtime takes the layers, but not the whole); `loose` where it has normalizations."""

    def __init__(self, seed, stages=None):
        self.rng = np.random.default_rng(seed)
        self.opset = int(self.rng.integers(11, 23))
        self.nodes, self.constants, self.values, self.inputs = [], {}, {}, []
        self.read, self.count, self.loose, self.stages = set(), 0, False, []
        for _ in range(int(self.rng.choice([1, 2, 3], p=[0.75, 0.17, 0.08]))):
            self.draw_input()
        self.live = list(self.inputs)
        wanted = stages or int(self.rng.integers(1, 9))
        for _ in range(40 * wanted):
            if len(self.stages) == wanted:
                break
            self.draw_stage()
        leaves = [name for name in self.live if name not in self.read and name not in self.inputs]
        inner = [name for name in self.live if name in self.read and name not in self.inputs]
        self.outputs = leaves[-3:]
        if inner and self.chance(0.2):
            self.outputs.append(inner[-1])
        if not self.outputs:
            self.outputs = [self.add("Relu", [self.inputs[0]])]
        self.right = None
        for open_batch in (True, False) if self.chance(0.3) else (False,):  # shape inference of ONNX Runtime refuses some with an open batch, and a few others
            self.model = self.finished(open_batch)
            try:
                self.right = self.run(self.model.SerializeToString(), self.samples(1)[0])
                break
            except Exception:
                continue

    @staticmethod
    def run(model, sample):
        """Outputs by name, in ONNX Runtime."""
        session = quiet_session(model)
        return dict(zip([each.name for each in session.get_outputs()], session.run(None, sample)))

    # ---- what everything is drawn with

    def chance(self, share):
        return self.rng.random() < share

    def pick(self, things):
        return things[int(self.rng.integers(len(things)))]

    def below(self, low, high):
        """A whole number from low to high - 1."""
        return int(self.rng.integers(low, high))

    def reals(self, *shape, scale=1.0):
        return (scale * self.rng.normal(size=shape)).astype(np.float32)

    def dims(self, name):
        return list(self.values[name].shape)

    def constant(self, array):
        name = f"c{self.count}"
        self.count += 1
        self.constants[name] = self.values[name] = np.asarray(array)
        return name

    def whole(self, *numbers):
        return self.constant(np.array(numbers, np.int64))

    def draw_input(self):
        kind = self.pick("iiiiiirvst")
        size = lambda high: self.below(1, high)
        dims = {"i": [1, self.pick([1, 2, 3, 4, 6, 8]), size(13), size(13)], "r": [1, self.pick([1, 2, 4, 6]), size(13)], "v": [1, self.below(2, 25)],
                "s": [self.below(1, 4), self.below(1, 9)], "t": [1, self.below(2, 6), self.below(1, 9)]}[kind]
        name = f"in{len(self.inputs)}"
        self.inputs.append(name)
        self.values[name] = self.reals(*dims)

    def add(self, op, inputs, outputs=1, **attributes):
        """A node; its outputs are computed at once. Gives its name, or their names."""
        if self.opset < SINCE.get(op, 0):
            raise Refused(op)
        names = [f"t{self.count + i}" for i in range(outputs)]
        node = helper.make_node(op, inputs, names, name=f"{op}_{self.count}", **attributes)
        self.count += outputs
        present = [name for name in dict.fromkeys(inputs) if name]
        kind = lambda name: helper.np_dtype_to_tensor_dtype(self.values[name].dtype)
        fed = [name for name in present if name not in self.constants]
        graph = helper.make_graph([node], "one", [helper.make_tensor_value_info(name, kind(name), self.dims(name)) for name in fed],
                                  [onnx.ValueInfoProto(name=name) for name in names],
                                  [numpy_helper.from_array(self.constants[name], name) for name in present if name in self.constants])
        try:
            results = quiet_session(self.as_model(graph).SerializeToString()).run(None, {name: self.values[name] for name in fed})
        except Exception as problem:  # whatever ONNX Runtime does not take
            raise Refused(f"{op}: {problem}") from problem
        self.values.update(zip(names, results))
        self.nodes.append(node)
        self.read.update(fed)
        return names[0] if outputs == 1 else names

    def as_model(self, graph):
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8 if self.opset < 19 else 10)

    def finished(self, open_batch):
        def info(name):
            dims = self.dims(name)
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *dims[1:]] if open_batch and dims[0] == 1 else dims)
        used = {name for node in self.nodes for name in node.input}
        graph = helper.make_graph(self.nodes, "random", [info(name) for name in self.inputs],
                                  [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.outputs],
                                  [numpy_helper.from_array(value, name) for name, value in self.constants.items() if name in used])
        return self.as_model(graph)

    def samples(self, count):
        """Inputs: those that the network was drawn with, and more like them."""
        first = {name: self.values[name] for name in self.inputs}
        return [first] + [{name: self.reals(*value.shape) for name, value in first.items()} for _ in range(count - 1)]

    # ---- stages

    def draw_stage(self):
        before = (len(self.nodes), self.count, set(self.read), self.loose)
        name = self.pick(STAGES)
        x = self.live[-1] if self.chance(0.75) else self.pick(self.live)
        try:
            if not self.dims(x) and name not in ("function", "binary"):
                raise Refused("a number")
            made = getattr(self, name)(x)
            made = [made] if isinstance(made, str) else made
            for each in made:
                value = self.values[each]
                if value.dtype != np.float32 or not 0 < value.size <= LARGEST or value.ndim > 5:
                    raise Refused("values")
                if not np.isfinite(value).all() or not 1e-3 < np.abs(value).max() < 1e3:
                    raise Refused("values")
        except Refused:
            del self.nodes[before[0]:]
            self.count, self.read, self.loose = before[1:]
            return
        self.stages.append(name)
        self.live.extend(made)

    def image_axes(self, x):
        dims = self.dims(x)
        if len(dims) not in (3, 4) or dims[0] != 1:
            raise Refused("no image")
        return dims[1], dims[2:]

    def window(self, sizes, pooling, largest=4):
        """Attributes of a convolution or pool."""
        axes = len(sizes)
        kernel = [self.below(1, min(largest, n + 2)) for n in sizes]
        result = {"kernel_shape": kernel}
        if self.chance(0.6):
            result["strides"] = [self.below(1, 4) for _ in range(axes)]
        if self.chance(0.3):
            result["dilations"] = [self.below(1, 3) for _ in range(axes)]
        kind = self.below(0, 6)
        if kind < 3:
            top = lambda i: kernel[i] if pooling else 3
            result["pads"] = [self.below(0, top(i % axes)) for i in range(2 * axes)]
        elif kind == 3:
            result["auto_pad"] = self.pick(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
            if result["auto_pad"].startswith("SAME"):
                result.pop("dilations", None)
        return result

    def groups(self, channels):
        return self.pick([1, 1, channels, *[g for g in range(1, channels + 1) if channels % g == 0]])

    def convolution(self, x):
        channels, sizes = self.image_axes(x)
        group = self.groups(channels)
        out = group * self.below(1, 1 + max(1, 8 // group))
        attributes = self.window(sizes, False)
        kernel = attributes["kernel_shape"]
        if self.chance(0.3):
            del attributes["kernel_shape"]
        fan = channels // group * int(np.prod(kernel))
        inputs = [x, self.constant(self.reals(out, channels // group, *kernel, scale=fan ** -0.5))]
        if self.chance(0.6):
            inputs.append(self.constant(self.reals(out, scale=0.3)))
        if group != 1 or self.chance(0.3):
            attributes["group"] = group
        return self.add("Conv", inputs, **attributes)

    def transposed_convolution(self, x):
        channels, sizes = self.image_axes(x)
        group = self.groups(channels)
        each, axes = self.below(1, 1 + max(1, 6 // group)), len(sizes)
        kernel = [self.below(1, 5) for _ in range(axes)]
        strides = [self.below(1, 4) for _ in range(axes)]
        attributes = {"strides": strides, "group": group}
        if self.chance(0.3):
            attributes["dilations"] = [self.below(1, 3) for _ in range(axes)]
        if self.chance(0.4):
            attributes["output_padding"] = [self.below(0, max(s, d)) for s, d in zip(strides, attributes.get("dilations", strides))]
        kind = self.below(0, 5)
        if kind < 2:
            attributes["pads"] = [self.below(0, 1 + k // 2) for k in kernel * 2]
        elif kind == 2:
            attributes["auto_pad"] = self.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
        elif kind == 3:
            attributes["output_shape"] = [max(1, (n - 1) * s + k - self.below(-1, k)) for n, s, k in zip(sizes, strides, kernel)]
            if self.chance(0.5):
                attributes["auto_pad"] = self.pick(["SAME_UPPER", "SAME_LOWER"])
        inputs = [x, self.constant(self.reals(channels, each, *kernel, scale=(channels // group * 2) ** -0.5))]
        if self.chance(0.6):
            inputs.append(self.constant(self.reals(each * group, scale=0.3)))
        return self.add("ConvTranspose", inputs, **attributes)

    def pool(self, x):
        _, sizes = self.image_axes(x)
        op = self.pick(["MaxPool", "AveragePool"])
        attributes = self.window(sizes, True)
        if op == "AveragePool" and self.opset < 19:
            attributes.pop("dilations", None)
        if self.chance(0.4):
            attributes["ceil_mode"] = 1
        if op == "AveragePool" and self.chance(0.5):
            attributes["count_include_pad"] = 1
        if "dilations" in attributes and ("ceil_mode" in attributes or op == "AveragePool") and self.chance(0.5):
            del attributes["dilations"]
        pads = attributes.get("pads", [0] * (2 * len(sizes)))
        for i, (n, k) in enumerate(zip(sizes, attributes["kernel_shape"])):
            reach = (k - 1) * attributes.get("dilations", [1, 1])[i] + 1
            if not attributes.get("auto_pad", "").startswith("SAME") and n + pads[i] + pads[i + len(sizes)] < reach:
                raise Refused("a window beyond the image")
        return self.add(op, [x], **attributes)

    def global_pool(self, x):
        self.image_axes(x)
        return self.add(self.pick(["GlobalAveragePool", "GlobalMaxPool"]), [x])

    def function(self, x):
        op = self.pick(FUNCTIONS)
        if op == "Clip":
            low, high = sorted(float(v) for v in self.rng.normal(size=2))
            bounds = [self.constant(np.float32(low)) if self.chance(0.8) else "", self.constant(np.float32(high))]
            return self.add(op, [x, *bounds])
        attributes = {}
        if op in ("Elu", "LeakyRelu", "ThresholdedRelu", "Celu", "HardSigmoid") and self.chance(0.7):
            attributes["alpha"] = float(np.float32(self.rng.uniform(0.05, 1.5)))
        if op == "HardSigmoid" and self.chance(0.5):
            attributes["beta"] = float(np.float32(self.rng.uniform(0.1, 0.9)))
        if op == "Gelu" and self.chance(0.5):
            attributes["approximate"] = "tanh"
        if op == "Exp" and np.abs(self.values[x]).max() > 5:
            raise Refused("large")
        if op == "ThresholdedRelu":
            self.apart(self.values[x] - attributes.get("alpha", 1.0))
        return self.add(op, [x], **attributes)

    def apart(self, values):
        """Values near a jump at 0 would fall on either side of it."""
        if (np.abs(values) < 2e-3).any():
            raise Refused("near a jump")

    def steps(self, x):
        op = self.pick(["Floor", "Ceil", "Round", "Sign"])
        v = self.values[x]
        self.apart(v if op == "Sign" else v - np.floor(v) - 0.5 if op == "Round" else v - np.round(v))
        return self.add(op, [x])

    def positive(self, x, least=0.5):
        return self.add("Add", [self.add("Abs", [x]), self.constant(np.float32(least))])

    def domain(self, x):
        return self.add(self.pick(["Log", "Sqrt", "Reciprocal"]), [self.positive(x)])

    def swish(self, x):
        kind = self.below(0, 5)
        if kind == 0:
            return self.add("Mul", [x, self.add("Sigmoid", [x])])
        if kind == 1:
            shifted = self.add("Add", [x, self.constant(np.float32(3))])
            clipped = self.add("Clip", [shifted, self.constant(np.float32(0)), self.constant(np.float32(6))])
            return self.add("Div", [self.add("Mul", [x, clipped]), self.constant(np.float32(6))])
        if kind == 2:
            return self.add("Mul", [x, self.add("Tanh", [self.add("Softplus", [x])])])
        if kind == 3:
            erf = self.add("Erf", [self.add("Div", [x, self.constant(np.float32(2 ** 0.5))])])
            one = self.add("Add", [erf, self.constant(np.float32(1))])
            return self.add("Mul", [self.add("Mul", [x, one]), self.constant(np.float32(0.5))])
        return self.add("Mul", [x, self.add("HardSigmoid", [x], alpha=float(np.float32(1 / 6)), beta=0.5)])

    def prelu(self, x):
        dims = self.dims(x)
        shape = self.pick([[1], dims[1:], [dims[1]] + [1] * (len(dims) - 2)] if len(dims) > 1 else [[1]])
        return self.add("PRelu", [x, self.constant(np.abs(self.reals(*shape, scale=0.3)))])

    def broadcastable(self, dims):
        """A shape that fits `dims`; now and then one that makes it larger."""
        shape = [n if self.chance(0.5) else 1 for n in dims]
        shape = shape[self.below(0, len(shape) + 1):] if self.chance(0.5) else shape
        if self.chance(0.1):
            shape = [self.below(1, 3) if n == 1 and m == 1 else n for n, m in zip(shape, dims[len(dims) - len(shape):])]
        return shape

    def fitting(self, x):
        """Another tensor that x can be combined with."""
        dims = self.dims(x)
        fits = [name for name in self.live if self.fits(self.dims(name), dims)]
        kind = self.below(0, 4)
        if kind == 0:
            return self.add(self.pick(["Relu", "Tanh", "Sigmoid"]), [x])
        if kind == 1 and len(dims) in (3, 4):
            axes = [i for i in range(1, len(dims)) if self.chance(0.5)] or [1]
            return self.reduce_node("ReduceMean", x, axes, 1)
        return self.pick(fits)

    @staticmethod
    def fits(a, b):
        try:
            return np.prod(np.broadcast_shapes(a, b)) <= LARGEST
        except ValueError:
            return False

    def binary(self, x):
        op = self.pick(["Add", "Add", "Sub", "Mul", "Mul", "Div", "Max", "Min", "Pow", "Sum", "Mean"])
        constant = self.chance(0.5)
        other = self.constant(self.reals(*self.broadcastable(self.dims(x)))) if constant else self.fitting(x)
        pair = [x, other]
        if self.chance(0.4):
            pair.reverse()
        if op == "Div":
            pair[1] = self.constant(np.abs(self.constants[pair[1]]) + np.float32(0.5)) if pair[1] in self.constants else self.positive(pair[1])
        if op == "Pow":
            if pair[1] in self.constants and self.chance(0.5):
                pair[1] = self.constant(np.float32(self.pick([0.5, 1, 2, 3, -1])))
            pair[0] = self.constant(np.abs(self.constants[pair[0]]) + np.float32(0.5)) if pair[0] in self.constants else self.positive(pair[0])
        if op in ("Max", "Min", "Sum", "Mean") and self.chance(0.4):
            pair.append(self.fitting(x))
        return self.add(op, pair)

    def comparison(self, x):
        other = self.constant(self.reals(*self.broadcastable(self.dims(x)))) if self.chance(0.5) else self.fitting(x)
        self.apart(self.values[x] - self.values[other])
        truth = self.add(self.pick(["Greater", "Less"]), [x, other])
        if self.chance(0.3):
            truth = self.add("Not", [truth])
        if self.chance(0.5):
            return self.add("Cast", [truth], to=TensorProto.FLOAT)
        return self.add("Where", [truth, x, self.constant(np.float32(0.25)) if self.chance(0.5) else self.fitting(x)])

    # moves

    def transpose(self, x):
        return self.add("Transpose", [x], perm=[int(i) for i in self.rng.permutation(len(self.dims(x)))])

    def factored(self, size):
        shape = []
        while size > 1 and len(shape) < 4:
            shape.append(self.pick([f for f in range(1, size + 1) if size % f == 0]))
            size //= shape[-1]
        return shape + [size] if size > 1 or not shape else shape

    def reshape(self, x):
        dims = self.dims(x)
        size = int(np.prod(dims))
        kind = self.below(0, 5)
        if kind == 0:
            return self.add("Flatten", [x], axis=self.below(0, len(dims) + 1))
        shape = self.factored(size) if kind == 1 else [dims[0], *self.factored(size // dims[0])]
        if kind == 2:
            shape = [1, *self.factored(size)][:5]
            shape[-1] *= size // int(np.prod(shape))
        if self.chance(0.3) and len(shape) <= len(dims) and shape[0] == dims[0]:
            shape = [0, *shape[1:]]
        if self.chance(0.3):
            shape[self.below(1 if shape[0] == 0 and len(shape) > 1 else 0, len(shape))] = -1
        return self.add("Reshape", [x, self.whole(*shape)])

    def listed(self, op, x, axes, **attributes):
        """Axes stand in an attribute before operator set 13."""
        if self.opset < 13:
            return self.add(op, [x], axes=axes, **attributes)
        return self.add(op, [x, self.whole(*axes)], **attributes)

    def squeeze(self, x):
        dims = self.dims(x)
        ones = [i for i, n in enumerate(dims) if n == 1 and (i != 0 or self.chance(0.2))]
        if not ones or len(dims) - len(ones) < 1:
            axis = self.below(-len(dims) - 1, len(dims) + 1)
            return self.listed("Unsqueeze", x, [axis])
        return self.listed("Squeeze", x, [self.pick([i, i - len(dims)]) for i in ones])

    def slice(self, x):
        dims = self.dims(x)
        axes = [i for i in range(len(dims)) if dims[i] > 1 and self.chance(0.5)] or [len(dims) - 1]
        starts, ends, steps = [], [], []
        for axis in axes:
            n, step = dims[axis], self.pick([1, 1, 2, 3, -1, -2])
            a, b = sorted(self.below(0, n + 1) for _ in range(2))
            if self.chance(0.3):
                a, b = 0, self.pick([n, 2 ** 31 - 1, 2 ** 63 - 1])
            if step < 0:
                a, b = (n - 1 if b > n else b - 1), (-(2 ** 63) if a == 0 else a - 1)
            starts.append(a), ends.append(b), steps.append(step)
        inputs = [self.whole(*starts), self.whole(*ends), self.whole(*[self.pick([a, a - len(dims)]) for a in axes])]
        if any(s != 1 for s in steps) or self.chance(0.5):
            inputs.append(self.whole(*steps))
        return self.add("Slice", [x, *inputs])

    def split(self, x):
        dims = self.dims(x)
        axis = self.pick([i for i, n in enumerate(dims) if n > 1] or [0])
        n = dims[axis]
        if n < 2:
            raise Refused("nothing to split")
        parts = self.below(2, min(n, 4) + 1)
        if n % parts == 0 and self.chance(0.5):
            extra = {"num_outputs": parts} if self.opset >= 18 else {}
            made = self.add("Split", [x], parts, axis=self.pick([axis, axis - len(dims)]), **extra)
        else:
            cuts = sorted(int(c) for c in self.rng.choice(np.arange(1, n), parts - 1, replace=False))
            sizes = [b - a for a, b in zip([0, *cuts], [*cuts, n])]
            if self.opset < 13:
                made = self.add("Split", [x], parts, axis=axis, split=sizes)
            else:
                made = self.add("Split", [x, self.whole(*sizes)], parts, axis=axis)
        return made

    def gather(self, x):
        dims = self.dims(x)
        axis = self.below(0, len(dims))
        shape = self.pick([[], [self.below(1, 5)], [self.below(1, 5)], [self.below(1, 3), self.below(1, 4)]])
        index = self.rng.integers(-dims[axis], dims[axis], shape)
        return self.add("Gather", [x, self.constant(np.asarray(index, np.int64))], axis=self.pick([axis, axis - len(dims)]))

    def concat(self, x):
        dims = self.dims(x)
        axis = self.below(0, len(dims))
        same = [name for name in self.live if len(self.dims(name)) == len(dims)
                and all(a == b for i, (a, b) in enumerate(zip(self.dims(name), dims)) if i != axis)]
        parts = [x, self.pick(same)]
        if self.chance(0.4):
            parts.append(self.add(self.pick(["Relu", "Tanh"]), [x]))
        if self.chance(0.2):
            parts.append(self.constant(self.reals(*dims)))
        return self.add("Concat", parts, axis=self.pick([axis, axis - len(dims)]))

    def pad(self, x):
        dims = self.dims(x)
        mode = self.pick(["constant", "constant", "reflect", "edge"] + (["wrap"] if self.opset >= 19 else []))
        axes = [i for i in range(len(dims)) if self.chance(0.6) and (mode == "constant" or dims[i] > 2)] or [len(dims) - 1]
        low = -1 if mode == "constant" else 0
        amounts = [self.below(low if dims[i] > 2 else 0, 3 if mode == "constant" else min(3, dims[i])) for i in axes * 2]
        inputs = [x]
        if self.opset >= 18 and self.chance(0.5):
            inputs += [self.whole(*amounts), self.constant(np.float32(self.rng.normal())) if mode == "constant" else "", self.whole(*axes)]
        else:
            every = [0] * (2 * len(dims))
            for k, i in enumerate(axes):
                every[i], every[i + len(dims)] = amounts[k], amounts[k + len(axes)]
            inputs.append(self.whole(*every))
            if mode == "constant" and self.chance(0.5):
                inputs.append(self.constant(np.float32(self.rng.normal())))
        return self.add("Pad", inputs, mode=mode)

    def tile(self, x):
        return self.add("Tile", [x, self.whole(*[self.pick([1, 1, 2, 3]) for _ in self.dims(x)])])

    def expand(self, x):
        dims = self.dims(x)
        shape = [self.pick([1, n]) if n != 1 or i == 0 else self.below(1, 4) for i, n in enumerate(dims)]
        if self.chance(0.2):
            shape = [self.below(1, 3), *shape]
        return self.add("Expand", [x, self.whole(*shape)])

    def blocks(self, x):
        channels, sizes = self.image_axes(x)
        if len(sizes) != 2:
            raise Refused("no image")
        if channels % 4 == 0 and self.chance(0.7):
            return self.add("DepthToSpace", [x], blocksize=2, mode=self.pick(["DCR", "CRD"]))
        return self.add("SpaceToDepth", [x], blocksize=self.pick([b for b in (1, 2, 3) if sizes[0] % b == 0 and sizes[1] % b == 0]))

    def shuffle(self, x):
        channels, sizes = self.image_axes(x)
        group = self.pick([g for g in range(1, channels + 1) if channels % g == 0])
        apart = self.add("Reshape", [x, self.whole(1, group, channels // group, *sizes)])
        turned = self.add("Transpose", [apart], perm=[0, 2, 1, *range(3, 3 + len(sizes))])
        return self.add("Reshape", [turned, self.whole(1, channels, *sizes)])

    # what looks at several elements

    def reduce_node(self, op, x, axes, keep):
        attributes = {} if keep == 1 and self.chance(0.5) else {"keepdims": keep}
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.add(op, [x, self.whole(*axes)], **attributes)
        return self.add(op, [x], axes=axes, **attributes)

    def reduction(self, x):
        dims = self.dims(x)
        op = self.pick(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare"])
        if self.chance(0.1):
            return self.add(op, [x])
        axes = [i for i in range(len(dims)) if self.chance(0.5)] or [self.below(0, len(dims))]
        return self.reduce_node(op, x, [self.pick([i, i - len(dims)]) for i in axes], self.below(0, 2))

    def normalization(self, x):
        dims = self.dims(x)
        op = self.pick(["BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization", "LpNormalization", "LRN",
                        "spelled"])
        affine = lambda n: [self.constant(1 + self.reals(n, scale=0.2)), self.constant(self.reals(n, scale=0.2))]
        if op != "BatchNormalization":
            self.loose = True
            if op not in ("LRN", "LpNormalization") and np.prod(dims) > 1 and self.values[x].std() < 0.05:
                raise Refused("nearly constant")
        if op == "BatchNormalization":
            if len(dims) < 2:
                raise Refused("no channels")
            statistics = [self.constant(self.reals(dims[1])), self.constant(np.abs(self.reals(dims[1])) + np.float32(0.3))]
            return self.add(op, [x, *affine(dims[1]), *statistics])
        if op == "InstanceNormalization" and len(dims) > 2 and np.prod(dims[2:]) > 3:
            return self.add(op, [x, *affine(dims[1])], epsilon=1e-2)
        if op == "GroupNormalization" and len(dims) > 2 and np.prod(dims[2:]) > 3:
            group = self.pick([g for g in range(1, dims[1] + 1) if dims[1] % g == 0])
            return self.add(op, [x, *affine(dims[1])], num_groups=group, epsilon=1e-2)
        axis = self.below(0, len(dims))
        if op == "LayerNormalization" and np.prod(dims[axis:]) > 3:
            shape = self.pick([dims[axis:], dims[-1:]])
            inputs = [x, self.constant(1 + self.reals(*shape, scale=0.2))]
            if self.chance(0.7):
                inputs.append(self.constant(self.reals(*shape, scale=0.2)))
            return self.add(op, inputs, axis=self.pick([axis, axis - len(dims)]), epsilon=1e-2)
        if op == "LpNormalization" and dims[axis] > 1:
            if np.sqrt((self.values[x] ** 2).sum(axis)).min() < 1e-2:
                raise Refused("near 0")
            return self.add(op, [x], axis=self.pick([axis, axis - len(dims)]), p=2)
        if op == "LRN" and len(dims) == 4:
            return self.add(op, [x], size=self.pick([1, 3, 5]), alpha=0.1, beta=0.75, bias=1.5)
        if op == "spelled" and dims[axis] > 3:
            mean = self.reduce_node("ReduceMean", x, [axis], 1)
            centred = self.add("Sub", [x, mean])
            square = self.add("Pow", [centred, self.constant(np.float32(2))])
            variance = self.reduce_node("ReduceMean", square, [axis], 1)
            spread = self.add("Sqrt", [self.add("Add", [variance, self.constant(np.float32(1e-2))])])
            return self.add("Div", [centred, spread])
        raise Refused(op)

    def product(self, x):
        dims = self.dims(x)
        kind = self.below(0, 5)
        if len(dims) < 2:
            raise Refused("a vector")
        if kind == 0:
            return self.add("MatMul", [x, self.constant(self.reals(dims[-1], self.below(1, 9), scale=dims[-1] ** -0.5))])
        if kind == 1:
            return self.add("MatMul", [self.constant(self.reals(self.below(1, 9), dims[-2], scale=dims[-2] ** -0.5)), x])
        if kind == 2:
            perm = [*range(len(dims) - 2), len(dims) - 1, len(dims) - 2]
            other = self.add("Transpose", [self.add("Tanh", [x])], perm=perm)
            return self.add("MatMul", self.pick([[x, other], [other, x]]))
        if kind == 3:
            fits = [n for n in self.live if len(self.dims(n)) > 1 and self.dims(n)[-2] == dims[-1] and self.fits(self.dims(n)[:-2], dims[:-2])]
            return self.add("MatMul", [x, self.pick(fits)] if fits else [x, self.constant(self.reals(*dims[:-2], dims[-1], 3))])
        if len(dims) != 2:
            x = self.add("Flatten", [x])
            dims = self.dims(x)
        turned, other = self.below(0, 2) if dims[0] > 1 or self.chance(0.2) else 0, self.below(0, 2)
        rows, depth = (dims[1], dims[0]) if turned else dims
        out = self.below(1, 9)
        inputs = [x, self.constant(self.reals(*((out, depth) if other else (depth, out)), scale=depth ** -0.5))]
        attributes = {"transA": turned, "transB": other}
        if self.chance(0.7):
            inputs.append(self.constant(self.reals(*self.pick([[], [1], [out], [1, out], [rows, 1], [rows, out]]))))
        if self.chance(0.4):
            attributes.update(alpha=0.75, beta=0.5)
        return self.add("Gemm", inputs, **attributes)

    def softmax(self, x):
        dims = self.dims(x)
        axis = self.below(0, len(dims))
        return self.add(self.pick(["Softmax", "Softmax", "LogSoftmax"]), [x], axis=self.pick([axis, axis - len(dims)]))

    def resize(self, x):
        _, sizes = self.image_axes(x)
        dims = self.dims(x)
        mode = self.pick(["nearest", "linear"])
        places = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"] + (["half_pixel_symmetric"] if self.opset >= 19 else [])
        attributes = {"mode": mode, "coordinate_transformation_mode": self.pick(places)}
        if mode == "nearest":
            attributes["nearest_mode"] = self.pick(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
        if self.chance(0.5):
            return self.add("Resize", [x, "", "", self.whole(*dims[:2], *[self.below(1, 2 * n + 2) for n in sizes])], **attributes)
        scales = [self.pick([1, 2, 3, 0.5 if n % 2 == 0 else 1]) for n in sizes]
        return self.add("Resize", [x, "", self.constant(np.array([1, 1, *scales], np.float32))], **attributes)


STAGES = (["convolution"] * 4 + ["transposed_convolution", "pool", "function", "function", "binary", "binary", "normalization", "product"] * 2 +
          ["global_pool", "steps", "domain", "swish", "prelu", "comparison", "transpose", "reshape", "squeeze", "slice", "split", "gather",
           "concat", "pad", "tile", "expand", "blocks", "shuffle", "reduction", "reduction", "softmax", "resize"])
