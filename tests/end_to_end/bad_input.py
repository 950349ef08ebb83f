"""Bad input through the program: one line that says what, where and what to do; exit code 1; nothing left behind."""
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest
import zipfile

from support import PROGRAM, ProgramTest, fat, main, read_npy, write_npy, write_onnx, write_png


class BadInput(ProgramTest):
    def setUp(self):
        super().setUp()
        self.images = self.folder / "images"
        self.images.mkdir()
        for i in range(4):
            write_png(self.images / f"{i}.png", 10, 9, i)
        self.model = self.folder / "small.onnx"
        write_onnx(self.model)
        self.out = self.folder / "out.npz"

    def quantize(self, model=None, images=None, out=None):
        return ["quantize", model or self.model, "--images", images or self.images, "--finetune", "none", "--threads", 1, "-o",
                out or self.out]

    def test_good_input_passes(self):
        page = self.folder / "page.html"
        self.succeed(*self.quantize(), "--report", page)
        self.assertTrue(self.out.exists())
        self.assertIn("<td>conv/node</td>", page.read_text())

    def test_missing_model(self):
        path = self.folder / "absent.onnx"
        self.refused(*self.quantize(model=path), says=[path, "no such file"])

    def test_missing_images(self):
        path = self.folder / "absent"
        self.refused(*self.quantize(images=path), says=[path])

    def test_truncated_onnx(self):
        whole = self.model.read_bytes()
        path = self.folder / "cut.onnx"
        for length in (0, 1, len(whole) // 4, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            self.refused(*self.quantize(model=path), says=[path])

    def test_truncated_npz(self):
        self.succeed(*self.quantize())
        whole = self.out.read_bytes()
        path = self.folder / "cut.npz"
        for length in (0, 10, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            self.refused("evaluate", path, "--images", self.images, says=[path])
        damaged = bytearray(whole)
        damaged[len(whole) // 3] ^= 0x55
        path.write_bytes(damaged)
        self.refused("evaluate", path, "--images", self.images, says=[path])

    def test_unknown_operator(self):
        path = self.folder / "odd.onnx"
        write_onnx(path, activation="Frobnicate")
        self.refused(*self.quantize(model=path), "--strict", says=[path, "Frobnicate", "'active/node'"])
        write_onnx(path, activation="Frobnicate", name="")
        self.refused(*self.quantize(model=path), "--strict", says=[path, "Frobnicate", "'active'"])

    def test_names_that_would_break_a_line_are_escaped(self):
        path = self.folder / "odd.onnx"
        write_onnx(path, activation="Frob\nnicate\x1b[31m\u00e4\x9b")
        self.refused(*self.quantize(model=path), "--strict", says=[path, "Frob\\nnicate\\x1b[31m\u00e4\\xc2\\x9b"])
        write_onnx(path, activation="Sigmoid", name="two\nlines\t")
        out, _ = self.succeed("inspect", path)
        self.assertIn(r"two\nlines\t", out)
        (self.images / "bad\nname.jpg").write_bytes(b"no picture")
        _, err = self.succeed(*self.quantize())
        self.assertIn(r"bad\nname.jpg: neither JPEG nor PNG", err)

    def test_what_is_no_plain_file_is_named(self):
        path = self.folder / "folder.onnx"
        path.mkdir()
        self.refused("inspect", path, says=[path, "is a folder; name a file"])
        (self.images / "album.jpg").mkdir()
        (self.images / "dangling.png").symlink_to("nowhere")
        os.mkfifo(self.images / "pipe.jpg")
        _, err = self.succeed(*self.quantize())
        for name in ("album.jpg: is a folder", "dangling.png: no such file", "pipe.jpg: cannot be read"):
            self.assertIn(name, err)
        self.assertIn("3 of 7 images skipped", err)

    def test_options_of_layers(self):
        for words, says in (("conv", "no name before a colon"), ("conv:width=4", "'width' is no key"), ("conv:bits=9", "'9' is no value of bits"),
                            ("conv:bits", "'' is no value of bits"), ("conv:granularity=none", "'none' is no value of granularity")):
            code, _, err = fat(*self.quantize(), "--layer", words)
            self.assertEqual(code, 2, err)
            self.assertIn(f"--layer: '{words}': {says}", err)
        self.refused(*self.quantize(), "--layer", "nothing:bits=4", says=["layers names 'nothing'"])

    def test_errors_of_the_library_name_the_model(self):
        self.refused(*self.quantize(), "--keep-float", "nothing_of_this_name", says=[f"fat: {self.model}: ", "nothing_of_this_name"])
        self.refused("quantize", self.model, "--images", self.images, "-o", self.out, says=[f"fat: {self.model}: finetune", "4"])
        huge = self.folder / "huge.onnx"
        write_onnx(huge, weights=[3e38] * 12)
        bright = self.folder / "bright.npy"
        write_npy(bright, (1, 3, 8, 8), [1e3] * 192)
        self.refused(*self.quantize(model=huge, images=bright), says=[f"fat: {huge}: ", "infinit"])

        path = self.folder / "variance.onnx"
        write_onnx(path, variance=-1.0)
        for words in (["inspect", path], ["bench", path], ["compare", self.model, path, "--images", self.images], self.quantize(model=path)):
            self.refused(*words, says=[f"fat: {path}: ", "variance", "'bn/node'"])
        self.succeed(*self.quantize())
        with zipfile.ZipFile(self.out) as whole:
            parts = {name: whole.read(name) for name in whole.namelist()}
        parts["layer0000.step.npy"] = parts["layer0000.step.npy"][:-4] + struct.pack("<f", 1e30)
        path = self.folder / "steps.npz"
        with zipfile.ZipFile(path, "w") as damaged:
            for name, part in parts.items():
                damaged.writestr(name, part)
        for words in (["evaluate", path, "--images", self.images], ["bench", path], ["compare", self.model, path, "--images", self.images]):
            self.refused(*words, says=[f"fat: {path}: ", "do not fit"])

    def test_what_a_format_cannot_hold_is_refused_before_the_work(self):
        lite = self.folder / "out.tflite"
        for words, says in ((["-o", lite, "--activation-bits", 7], [lite, "8-bit activations only", "--activation-bits 8"]),
                            (["-o", lite, "--weight-scheme", "asymmetric"], [lite, "'conv/node' has asymmetric weights"]),
                            (["-o", self.folder / "out.h", "--keep-float", "active"], [self.folder / "out.h", "tensor 'active' is float"])):
            err = self.refused(*self.quantize(), *words, says=says, leaves=[self.out, words[1]])
            self.assertNotIn("calibrate", err)

    def test_an_output_that_fails_at_the_end_leaves_the_others(self):
        (self.folder / "full.npz").symlink_to("/dev/full")
        (self.folder / "more.npz").symlink_to("/dev/full")
        encodings, figures = self.folder / "out.json", self.folder / "figures.json"
        code, out, err = fat(*self.quantize(out=self.folder / "full.npz"), "-o", self.out, "-o", self.folder / "more.npz", "-o", encodings, "--json",
                             figures)
        self.assertEqual(code, 1)
        lines = [line for line in err.splitlines() if line.startswith("fat: ")]
        self.assertEqual([line.split(": ")[1] for line in lines], [str(self.folder / "full.npz"), str(self.folder / "more.npz")])
        self.assertIn("quantized", out)
        self.assertIn(f"wrote {self.out}", out)
        self.assertNotIn("full.npz", out)
        self.assertTrue(self.out.exists() and encodings.exists())
        self.assertIn("quantized", json.loads(figures.read_text()))

    def test_for_tensorrt(self):
        path = self.folder / "rt.onnx"
        contradictions = (["-o", path, "--scheme", "asymmetric"], ["-o", path, "--weight-scheme", "asymmetric"],
                          ["-o", path, "--layer", "conv:weight-scheme=asymmetric"], [])
        for words in contradictions:
            code, _, err = fat(*self.quantize(), "--tensorrt", *words)
            self.assertEqual(code, 2, err)
            self.assertIn("--tensorrt: ", err)
            self.assertFalse(path.exists() or self.out.exists())
        self.succeed(*self.quantize(out=path), "--tensorrt")
        for layer in self.figures("inspect", path)["layers"]:
            self.assertEqual([layer["output"][key] for key in ("zero_point", "code_min", "code_max")], [0, -127, 127])
        image = self.folder / "x.npy"
        write_npy(image, (1, 3, 8, 8), [0.5] * 192)
        self.succeed("run", path, "--input", image, "-o", self.folder / "y.npy")

    def test_convert(self):
        self.succeed(*self.quantize())
        image = self.folder / "x.npy"
        write_npy(image, (1, 3, 8, 8), [0.5] * 192)
        again, onnx = self.folder / "again.npz", self.folder / "out.onnx"
        self.succeed("convert", self.out, "-o", onnx, "-o", self.folder / "out.tflite")
        self.succeed("convert", onnx, "-o", again)
        codes = []
        for path in (self.out, again):
            self.succeed("run", path, "--input", image, "--codes", "-o", self.folder / "codes.npy")
            codes.append(read_npy(self.folder / "codes.npy"))
        self.assertEqual(codes[0], codes[1])
        self.refused("convert", self.model, "-o", self.folder / "new.npz", says=[self.model, "is a float model; quantize it"])
        self.refused("convert", self.out, "-o", self.folder / "rt.onnx", "--tensorrt", says=[self.folder / "rt.onnx", "TensorRT wants 0"])
        self.refused("convert", self.out, "-o", self.out, says=["-o would replace MODEL"])

    def test_requantize(self):
        image, codes = self.folder / "x.npy", self.folder / "codes.npy"
        write_npy(image, (1, 3, 8, 8), [0.01 * i - 1 for i in range(192)])

        def run(path, *words):
            self.succeed("run", path, "--input", image, "--codes", "-o", codes, *words)
            return read_npy(codes)

        self.succeed(*self.quantize())
        words = ("half-up", "half-even", "tflite")
        chosen = [run(self.out, "--requantize", word) for word in words]
        self.assertEqual(run(self.out), chosen[0])
        for word, expected in zip(words, chosen):
            quantized, onnx, again = (self.folder / f"{word}{ending}" for ending in (".npz", ".onnx", "-again.npz"))
            self.succeed(*self.quantize(out=quantized), "--requantize", word)
            self.succeed("convert", self.out, "-o", onnx, "--requantize", word)
            self.succeed("convert", onnx, "-o", again)
            for path in (quantized, onnx, again):
                self.assertEqual(run(path), expected)
        self.refused("run", self.model, "--input", image, "--requantize", "tflite", "-o", codes, says=[self.model, "is a float model"])
        code, _, err = fat("convert", self.out, "-o", self.folder / "new.npz", "--requantize", "down")
        self.assertEqual(code, 2, err)
        self.assertIn("half-even", err)

    def test_encodings_of_changed_weights_say_so(self):
        path = self.folder / "encodings.json"
        _, err = self.succeed(*self.quantize(out=path), "--rescale", "none")
        self.assertNotIn("fat: note", err)
        folded = self.folder / "folded.onnx"
        write_onnx(folded, variance=2.0)
        _, err = self.succeed(*self.quantize(model=folded, out=path), "--rescale", "none")
        self.assertIn(f"fat: note: {path}: its encodings are of the weights after", err)

    def test_kernel_shape_that_contradicts_the_weights(self):
        path = self.folder / "kernel.onnx"
        write_onnx(path, kernel_shape=[1, 1])
        self.succeed("inspect", path)
        write_onnx(path, kernel_shape=[5, 5])
        self.refused("inspect", path, says=[path, "kernel_shape is [5,5]", "1 x 1"])

    def test_run_writes_npy_and_npz_alone(self):
        path = self.folder / "x.npy"
        write_npy(path, (1, 3, 8, 8), [0.5] * 192)
        self.refused("run", self.model, "--input", path, "-o", self.folder / "y", says=[self.folder / "y", ".npy", ".npz"])
        self.succeed("run", self.model, "--input", path, "-o", self.folder / "y.npz")

    def test_a_thousand_threads_are_no_more_than_the_processors(self):
        figures = self.figures("evaluate", self.model, "--images", self.images, "--threads", 1000)
        self.assertLessEqual(figures["options"]["threads"], os.cpu_count())

    def test_without_labels_no_line_of_figures_is_printed(self):
        out, _ = self.succeed("evaluate", self.model, "--images", self.images)
        self.assertEqual(len(out.splitlines()), 2, out)

    def test_wrong_input_size(self):
        path = self.folder / "x.npy"
        write_npy(path, (1, 3, 9, 8), [0.0] * 216)
        out = self.folder / "y.npy"
        self.refused("run", self.model, "--input", path, "-o", out, says=[path, "9", "takes"], leaves=[out])
        self.refused(*self.quantize(images=path), says=[path])
        self.refused("evaluate", self.model, "--images", self.images, "--crop", 5, says=["5", "8"])

    def test_no_images(self):
        path = self.folder / "nothing"
        path.mkdir()
        self.refused(*self.quantize(images=path), says=[path])

    def test_broken_pictures_are_named_counted_and_skipped(self):
        (self.images / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(40))
        whole = (self.images / "0.png").read_bytes()
        (self.images / "cut.png").write_bytes(whole[:len(whole) // 2])
        out, err = self.succeed(*self.quantize())
        self.assertIn("broken.jpg", err)
        self.assertIn("cut.png", err)
        self.assertIn("2 of 6 images skipped", err)
        for good in self.images.glob("[0-3].png"):
            good.unlink()
        self.out.unlink()
        self.refused(*self.quantize(), says=[self.images])

    def test_nan_and_infinite_weights(self):
        for value in (float("nan"), float("inf")):
            path = self.folder / "nan.onnx"
            write_onnx(path, weights=[0.5] * 5 + [value] + [0.25] * 6)
            self.refused(*self.quantize(model=path), says=[path, "conv"])

    def test_nan_image(self):
        path = self.folder / "nan.npy"
        write_npy(path, (6, 3, 8, 8), [0.5] * (192 * 3 + 5) + [float("nan")] + [0.25] * (192 * 3 - 6))
        _, err = self.succeed(*self.quantize(images=path))  # the fourth image alone is left out
        self.assertIn(f"{path}[3]: holds NaN or infinity", err)
        self.assertIn("1 of 6 images skipped", err)
        self.out.unlink()
        write_npy(path, (2, 3, 8, 8), [0.5] + [float("nan")] * 383)
        self.refused(*self.quantize(images=path), says=[path])
        self.refused("run", self.model, "--input", path, "-o", self.folder / "y.npy", says=[path, "NaN"])

    def test_zero_channel_is_quantized_and_named(self):
        path = self.folder / "dead.onnx"
        write_onnx(path, weights=[0.5, -0.25, 0.125] + [0.0] * 3 + [0.75] * 6)
        out, err = self.succeed(*self.quantize(model=path))
        self.assertIn("1 channels have only zero weights", out)
        self.succeed("evaluate", self.out, "--images", self.images, "--reference", path)

    def test_labels(self):
        labels = self.folder / "labels.txt"
        labels.write_text("images/0.png 1\nimages/1.png 0\nimages/3.png 2\n")
        self.refused("evaluate", self.model, "--images", self.images, "--labels", labels, says=[labels, "2.png"])
        for number in ("77", "18446744073709551615"):
            labels.write_text(f"images/0.png {number}\n")
            self.refused("evaluate", self.model, "--images", self.images / "0.png", "--labels", labels, "--class-offset", 1,
                         says=[labels, "0.png", "class " + number, "4 outputs"])
        labels.write_text("images/0.png one\n")
        self.refused("evaluate", self.model, "--images", self.images, "--labels", labels, says=[labels, "0.png one"])

    def test_outputs_that_are_nan_are_no_accuracy(self):
        good, bad = self.model, self.folder / "overflow.onnx"
        write_onnx(bad, weights=[3e38, 3e38, -3e38] * 4)
        bright = self.folder / "bright.npy"
        write_npy(bright, (1, 3, 8, 8), [1e3] * 192)
        for words in (["evaluate", bad], ["evaluate", good, "--reference", bad], ["compare", good, bad], ["compare", bad, good]):
            self.refused(*words, "--images", bright, says=[f"{bad}: image {bright}: ", "NaN", "check"])

    def test_a_picture_smaller_than_the_crop_is_named(self):
        self.refused("evaluate", self.model, "--images", self.images, "--resize", 0, "--crop", 224, says=["0.png", "224 x 224", "--resize"])

    def test_links_are_followed_and_open_files_never_replaced(self):
        target, link = self.folder / "target.npz", self.folder / "link.npz"
        target.write_text("old")
        target.chmod(0o600)
        link.symlink_to(target)
        self.succeed(*self.quantize(out=link))
        self.assertTrue(link.is_symlink())
        self.assertEqual(target.stat().st_mode & 0o777, 0o600)
        self.assertEqual(target.read_bytes()[:2], b"PK")
        opened, captured = self.folder / "opened", self.folder / "captured"
        opened.symlink_to("/proc/self/fd/1")
        with open(captured, "w") as out:
            self.assertEqual(subprocess.run([PROGRAM, "inspect", str(self.model), "--json", str(opened)], stdout=out).returncode, 0)
        self.assertTrue(opened.is_symlink())
        for name in (opened, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
            with open(captured, "w") as out:
                self.assertEqual(subprocess.run([PROGRAM, "inspect", str(self.model), "--json", str(name)], stdout=out).returncode, 0)
            piped = subprocess.run([PROGRAM, "inspect", str(self.model), "--json", str(name)], stdout=subprocess.PIPE, text=True)
            self.assertEqual(piped.returncode, 0)
            for text in (captured.read_text(), piped.stdout):  # the program's lines, then the figures, both whole
                self.assertTrue(text.startswith(str(self.model)), text)
                self.assertEqual(json.loads(text[text.index("\n{"):])["outputs"], 4)
        self.assertTrue(pathlib.Path("/dev/stdout").is_symlink())

    def test_links_in_a_circle_are_refused(self):
        for name, to in (("a.npz", "b.npz"), ("b.npz", "a.npz")):
            (self.folder / name).symlink_to(to)
        self.refused(*self.quantize(out=self.folder / "a.npz"), says=["links lead in a circle"])
        self.assertTrue((self.folder / "a.npz").is_symlink())

    def test_a_pipe_is_written_and_stays_one(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        with subprocess.Popen([PROGRAM, "inspect", str(self.model), "--json", str(pipe)], stdout=subprocess.DEVNULL) as program:
            self.assertEqual(json.loads(pipe.read_text())["outputs"], 4)
        self.assertEqual(program.returncode, 0)
        self.assertTrue(pipe.is_fifo())

    @unittest.skipUnless(pathlib.Path("/dev/shm").is_dir(), "/dev/shm is absent")
    def test_plain_files_below_dev_are_replaced(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            path = pathlib.Path(folder) / "model.npz"
            for _ in range(2):
                self.succeed(*self.quantize(out=path))
                size = path.stat().st_size
            self.succeed(*self.quantize())
            self.assertEqual(size, self.out.stat().st_size)

    def test_unwritable_outputs(self):
        path = self.folder / "no" / "such" / "folder.npz"
        self.refused(*self.quantize(out=path), says=[path])
        self.refused(*self.quantize(out=self.images), says=[self.images])
        path = self.folder / "model.xyz"
        self.refused(*self.quantize(out=path), says=[path, ".xyz", ".npz"])
        if os.geteuid() != 0:  # root may write anywhere
            closed = self.folder / "closed"
            closed.mkdir(mode=0o500)
            self.refused(*self.quantize(out=closed / "m.npz"), says=[closed / "m.npz"])

    def replaces(self, *words, says):
        """Refused, and every file of the folder keeps its bytes."""
        before = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        self.refused(*words, says=says)
        self.assertEqual({path: path.read_bytes() for path in before}, before)

    def test_an_output_never_replaces_an_input(self):
        labels, listed, tensor, link = (self.folder / name for name in ("labels.txt", "list.txt", "x.npy", "link.json"))
        labels.write_text("".join(f"images/{i}.png 1\n" for i in range(4)))
        listed.write_text("images/2.png\n")
        write_npy(tensor, (1, 3, 8, 8), [0.5] * 192)
        link.symlink_to("images/../labels.txt")
        second, picture = self.folder / "second.onnx", self.images / "2.png"
        write_onnx(second)
        self.replaces(*self.quantize(out=self.model), says=[f"fat: {self.model}: -o would replace MODEL {self.model}; name another"])
        around = self.images / ".." / "small.onnx"
        self.replaces(*self.quantize(out=around), says=[f"fat: {around}: -o would replace MODEL {self.model}"])
        self.replaces("inspect", self.model, "--json", self.model, says=["--json would replace MODEL"])
        self.replaces("bench", self.model, "--json", self.model, says=["--json would replace MODEL"])
        evaluate = ["evaluate", self.model, "--images", self.images, "--labels", labels, "--reference", second, "--json"]
        for path, other in ((labels, "--labels"), (link, "--labels"), (second, "--reference"), (picture, "the image of --images")):
            self.replaces(*evaluate, path, says=[f"fat: {path}: --json would replace {other} "])
        for path in (tensor, listed):
            self.replaces("evaluate", self.model, "--images", path, "--json", path, says=["--json would replace --images"])
        self.replaces("evaluate", self.model, "--images", listed, "--json", picture, says=["would replace the image of --images"])
        self.replaces("run", self.model, "--input", tensor, "-o", tensor, says=["-o would replace --input"])
        for path, other in ((self.model, "MODEL_A"), (second, "MODEL_B")):
            self.replaces("compare", self.model, second, "--images", self.images, "--json", path, says=[f"would replace {other} "])
        self.replaces(*self.quantize(), "--evaluate", listed, "--report", picture, says=["--report would replace the image of --images"])
        self.replaces(*self.quantize(images=tensor), "--evaluate", listed, "--report", picture, says=["the image of --evaluate"])
        new, kept = self.images / "new.png", self.images / "figures.json"  # neither is an image to be read
        kept.write_text("old")
        for path in (new, kept):
            self.succeed("evaluate", self.model, "--images", self.images, "--json", path)

    def test_outputs_never_replace_each_other(self):
        again, link, json_file = self.images / ".." / "out.npz", self.folder / "link", self.folder / "z.h"
        link.symlink_to("out.npz")
        for words in (["-o", self.out], ["-o", again], ["--json", again], ["--report", self.out], ["--json", link]):
            self.replaces(*self.quantize(), *words, says=[f"fat: {words[1]}: {words[0]} would replace -o {self.out}; give each output"])
        self.replaces(*self.quantize(), "--json", json_file, "--report", json_file, says=["--report would replace --json"])
        state = self.folder / "state"
        self.replaces(*self.quantize(), "--checkpoint", self.out, says=["--checkpoint would replace -o"])
        kept = state / "training.fat"
        self.replaces(*self.quantize(), "--checkpoint", state, "--json", kept, says=["no such folder"])
        state.mkdir()
        self.replaces(*self.quantize(), "--checkpoint", state, "--json", kept, says=["--checkpoint would replace --json"])
        self.succeed(*self.quantize(), "--checkpoint", state, "--json", state / "figures.json", "-o", self.folder / "other.h")
        for name in ("/dev/null", "/dev/stdout"):
            self.succeed(*self.quantize(), "--json", name, "--report", name)

    def test_write_protected_files_are_kept(self):
        path = self.folder / "kept.npz"
        path.write_text("precious")
        path.chmod(0o444)
        link = self.folder / "link.npz"
        link.symlink_to(path)
        for name in (path, link):
            self.replaces(*self.quantize(out=name), says=[f"fat: {name}: is write-protected; "])
            self.replaces("inspect", self.model, "--json", name, says=[f"fat: {name}: is write-protected; "])

    def test_lists_and_tensors_that_hold_nothing_usable(self):
        path = self.folder / "zero.npy"
        write_npy(path, (0, 3, 8, 8), [])
        self.refused("evaluate", self.model, "--images", path, says=[f"fat: {path}: shape [0,3,8,8] holds no image; "])
        self.refused("evaluate", self.model, "--images", self.images, "--labels", self.images, says=[f"fat: {self.images}: is a folder; "])
        marked = self.folder / "marked.txt"
        marked.write_bytes(b"\xef\xbb\xbf" + b"".join(b"images/%d.png 1\n" % i for i in range(4)))
        self.assertEqual(self.figures("evaluate", self.model, "--images", marked)["images"], 4)
        self.succeed("evaluate", self.model, "--images", self.images, "--labels", marked)

    def test_a_path_inside_an_error_does_not_hide_the_missing_prefix(self):
        write_onnx(self.folder / "n.onnx")
        done = subprocess.run([PROGRAM, "quantize", "n.onnx", "--images", str(self.images), "--finetune", "none", "--keep-float", "an.onnx", "-o",
                               str(self.out)], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith("fat: n.onnx: "), done.stderr)

    @unittest.skipUnless(pathlib.Path("/dev/full").is_char_device(), "/dev/full is absent")
    def test_full_disk(self):
        device = self.folder / "full.npz"
        device.symlink_to("/dev/full")
        self.refused(*self.quantize(out=device), says=[device, "No space left"])
        self.refused("inspect", self.model, "--json", "/dev/full", says=["/dev/full", "No space left"])
        self.assertTrue(pathlib.Path("/dev/full").is_char_device())
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "inspect", str(self.model)], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)

    def test_an_output_that_exists_survives_a_failure(self):
        self.out.write_text("precious")
        self.refused(*self.quantize(images=self.folder / "absent"), says=["absent"])
        self.assertEqual(self.out.read_text(), "precious")

    def test_usage(self):
        for words in ([], ["frobnicate"], ["quantize"], ["quantize", self.model, "--images", self.images, "--bits", 9, "-o", self.out],
                      ["evaluate", self.model, "--images", self.images, "--threads", 0],
                      [*self.quantize(), "--seed", -1], [*self.quantize(), "--seed", "99999999999999999999"],
                      [*self.quantize(), "--percentile", 50], [*self.quantize(), "--percentile", "nan"],
                      [*self.quantize(), "--learning-rate", "nan"], [*self.quantize(), "--loss", "l3"], [*self.quantize(), "--patience", 0],
                      [*self.quantize(), "--cycles", 0], [*self.quantize(), "--schedule", "constant", "--cycles", 2],
                      ["demo", "--seed", -1], [*self.quantize(), "--labels", self.folder / "absent.txt"]):
            code, _, err = fat(*words)
            self.assertEqual(code, 2, err)
            self.assertEqual(len(err.splitlines()), 1, err)
            self.assertIn("--help", err)


main()
