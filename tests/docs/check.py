"""Checks README.md and docs: every C++ listing stands in a compiled example, every link leads to a file, every option of the
program is explained, every operator that is read is listed. Usage: check.py [PROGRAM]"""
import pathlib
import re
import subprocess
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[2]


def lines_of(text):
    """The lines of a listing without indentation and empty lines: what is compared."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def check_page(page, examples, problems):
    text = page.read_text()
    for listing in re.findall(r"^```cpp\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if not any(lines_of(listing) in example for example in examples):
            problems.append(f"{page}: no program in examples holds this listing:\n{listing}")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
        if not target.startswith(("http://", "https://")) and not (page.parent / target).exists():
            problems.append(f"{page}: the link to {target} leads nowhere")


def check_options(program, problems):
    page = (PROJECT / "docs" / "command_line.md").read_text()
    for command in ("inspect", "quantize", "convert", "evaluate", "compare", "run", "bench", "demo"):
        shown = subprocess.run([program, command, "--help"], capture_output=True, text=True, check=True).stdout
        for option in re.findall(r"^ +(?:-\w,)?(--[\w-]+)", shown, re.MULTILINE):
            if option != "--help" and not re.search(re.escape(option) + r"(?![\w-])", page):
                problems.append(f"docs/command_line.md: fat {command} takes {option}, which is not explained")


def check_operators(problems):
    """docs/interop.md lists every operator that is read."""
    page = (PROJECT / "docs" / "interop.md").read_text()
    for file, pattern in (("onnx/operators.cpp", r'^ *{"(\w+)", &Importer'), ("onnx/fold.cpp", r'op == "(\w+)"'),
                          ("tflite/operators.hpp", r'return "([A-Z]\w+)"')):
        found = re.findall(pattern, (PROJECT / "src" / file).read_text(), re.MULTILINE)
        if not found:
            problems.append(f"{file}: no operator found")
        for operator in found:
            if not re.search(rf"\b{operator}\b", page):
                problems.append(f"docs/interop.md: {operator} of {file} is not listed")


def main():
    examples = [lines_of(path.read_text()) for path in sorted((PROJECT / "examples").rglob("*.[ch]pp"))]
    pages = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
    problems = []
    for page in pages:
        check_page(page, examples, problems)
    check_operators(problems)
    if len(sys.argv) > 1:
        check_options(sys.argv[1], problems)
    print("\n".join(problems) or f"{len(pages)} pages are in order")
    sys.exit(1 if problems else 0)


main()
