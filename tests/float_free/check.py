#!/usr/bin/env python3
"""Reads the machine code of the integer engine: what runs between codes and codes holds no floating-point arithmetic and
allocates nothing.

Starts at the functions that run an image and its layers and at every micro-kernel, follows their calls, and looks at each
instruction. Layers that the model keeps in float (run_floats) are what it does not follow. As a control, functions that do
compute in float must be recognized as such, and a sufficient number of functions must have been found.
"""
import argparse
import re
import subprocess
import sys

ROOTS = [
    r"^(un)?signed_codes\(",
    r"IntegerModel::run_codes\(",
    r"Integer(?!Model)\w+::run\w*\(",
    r"kernel::arch_\w+::(tiles<|add\(|widen\(|depthwise\(|depthwise3x3\(|block\()",
]
# Constant tables of kernels are made before anything runs.
SETTING_UP = r"kernel::arch_\w+::(make_kernels|with_\w+|fill_tiles|padded_groups)"
LEFT_OUT = r"IntegerModel::run_floats\("
CONTROL = [r"IntegerModel::run_floats\(", r"FloatLayer::run\(|float_operators::|float_reference::"]
# Moves, shuffles and bitwise operations on vector registers are not arithmetic, whatever type their names have.
FLOATING = {
    "x86-64": r"v?(add|sub|mul|div|sqrt|min|max|rcp\w*|rsqrt\w*|cmp\w*|round|hadd|hsub|addsub|dp|range|reduce|scalef|getexp|getmant|fixupimm"
              r"|rndscale)(ss|sd|ps|pd)$|v?u?comis[sd]$|v?cvt.*(ps|pd|ss|sd).*|vfn?m(add|sub).*|f(add|sub|mul|div|ld|ild|st|ist|sqrt|com|ucom|abs|chs).*",
    "aarch64": r"f(?!mov$)\w+$|[su]cvtf$|bf\w*dot$",
}
REFUSED = r"(_Zn[wa]|\w*alloc$|(exp|log|pow|sqrt|fma|l?l?round|nearbyint|l?l?rint|floor|ceil|trunc)[fl]?$)"


def functions(disassembly):
    """{symbol: [(mnemonic, symbol called or None)]} of `objdump -dr`."""
    found, current = {}, None
    for line in disassembly.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if head:
            current = found.setdefault(head.group(1), [])
            continue
        if current is None:
            continue
        relocation = re.match(r"^\s+[0-9a-f]+: R_\w+\s+(\S+)$", line)
        if relocation:
            if current and re.match(r"call|jmp|j[a-z]+$|bl?$|lea$", current[-1][0]):
                current[-1] = (current[-1][0], re.sub(r"[-+]0x[0-9a-f]+$", "", relocation.group(1)))
            continue
        instruction = re.match(r"^\s+[0-9a-f]+:\t(?:\{\w+\} )?(?:(?:rep|repz|lock|bnd|notrack|data16) )*([a-z][\w.]*)", line)
        if instruction:
            current.append((instruction.group(1).split(".")[0], None))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objdump", default="objdump")
    parser.add_argument("--machine", choices=FLOATING, required=True)
    parser.add_argument("object")
    arguments = parser.parse_args()
    text = subprocess.run([arguments.objdump, "-dr", "--no-show-raw-insn", "-w", arguments.object], check=True, capture_output=True, text=True).stdout
    # -r prints a relocation after its instruction on one line with -w: bring it to a line of its own
    text = re.sub(r"\t([0-9a-f]+: R_\w+)\t", r"\n\t\1\t", text)
    code = functions(text)
    names = dict(zip(code, subprocess.run(["c++filt"], input="\n".join(code), check=True, capture_output=True, text=True).stdout.splitlines()))
    floating = re.compile(FLOATING[arguments.machine])

    def instructions(symbol):
        return sorted({mnemonic for mnemonic, _ in code[symbol] if floating.match(mnemonic)})

    failures = []
    for pattern in CONTROL:
        if not any(re.search(pattern, names[symbol]) and instructions(symbol) for symbol in code):
            failures.append(f"control: no floating-point arithmetic was recognized in {pattern}")
    if not any(callee and re.match(REFUSED, callee) for symbol in code for _, callee in code[symbol]):
        failures.append("control: preparing a model allocates, but no call of an allocation was recognized")
    reached, todo = {}, []
    for pattern in ROOTS:
        roots = [symbol for symbol in code if re.search(pattern, names[symbol]) and not re.search(LEFT_OUT, names[symbol])]
        if not roots:
            failures.append(f"no function matches {pattern}; the list of roots is out of date")
        todo += [(symbol, None) for symbol in roots]
    while todo:
        symbol, caller = todo.pop()
        if symbol in reached:
            continue
        reached[symbol] = caller
        for mnemonic, callee in code[symbol]:
            if callee is None or callee.startswith("."):
                continue
            if callee in code:
                if not re.search(LEFT_OUT, names[callee]) and mnemonic != "lea":
                    todo.append((callee, symbol))
            elif mnemonic != "lea" and re.match(REFUSED, callee):
                failures.append(f"{names[symbol][:160]} calls {callee}")
        found = instructions(symbol)
        if found:
            failures.append(f"{names[symbol][:160]} computes in floating point: {' '.join(found)}")
    # kernels are called through tables only, which a walk along calls does not see
    for symbol in code.keys() - reached.keys():
        if re.search(r"kernel::arch_\w+::\w+[<(]", names[symbol].split(" [clone")[0]) and not re.search(SETTING_UP, names[symbol]):
            failures.append(f"{names[symbol][:160]} is not reached; add it to the roots")
    if len(reached) < 30:
        failures.append(f"only {len(reached)} functions were reached")
    for failure in failures:
        print(failure)
    print(f"{len(reached)} functions of the integer engine read, {len(failures)} complaints")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
