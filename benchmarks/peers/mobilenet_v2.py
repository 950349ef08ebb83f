"""The network of benchmarks/support/mobilenet_v2.hpp: its layers, and its weights as the benchmark programs write them."""
import numpy


def layers():
    """(kind, name of the input, inputs, outputs, kernel, stride, clamped) in the order of the program's nodes."""
    found = [("conv", -1, 3, 32, 3, 2, True)]
    inputs, at = 32, 0
    for expansion, outputs, count, first_stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                                    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for block in range(count):
            stride = first_stride if block == 0 else 1
            source, hidden = at, inputs * expansion
            if expansion != 1:
                found.append(("conv", at, inputs, hidden, 1, 1, True))
                at = len(found) - 1
            found.append(("depthwise", at, hidden, hidden, 3, stride, True))
            found.append(("conv", len(found) - 1, hidden, outputs, 1, 1, False))
            at = len(found) - 1
            if stride == 1 and inputs == outputs:
                found.append(("add", (source, at), outputs, outputs, 1, 1, False))
                at = len(found) - 1
            inputs = outputs
    found.append(("conv", at, inputs, 1280, 1, 1, True))
    found.append(("pool", len(found) - 1, 1280, 1280, 1, 1, False))
    found.append(("dense", len(found) - 1, 1280, 1000, 1, 1, False))
    return found


def weights(path):
    """(weights [out, in / groups, kernel, kernel], bias) of every layer that has them, None for the others."""
    values, at, found = numpy.fromfile(path, numpy.float32), 0, []
    for kind, _, inputs, outputs, kernel, _, _ in layers():
        if kind in ("add", "pool"):
            found.append(None)
            continue
        depth = 1 if kind == "depthwise" else inputs
        count = outputs * depth * kernel * kernel
        block = values[at:at + count]
        if kind == "depthwise":
            block = block.reshape(1, kernel, kernel, outputs).transpose(3, 0, 1, 2)
        else:
            block = block.reshape(outputs, kernel, kernel, inputs).transpose(0, 3, 1, 2)
        found.append((numpy.ascontiguousarray(block), values[at + count:at + count + outputs]))
        at += count + outputs
    assert at == values.size, "the program's network is not this one"
    return found
