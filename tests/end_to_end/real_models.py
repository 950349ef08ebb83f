"""The program on real networks and photographs: float accuracy, what quantization costs, files read back."""
import unittest

from support import DATA, ProgramTest, main, read_npy

V2 = DATA / "models" / "mobilenet_v2_1.0_224.onnx"
IMAGES = DATA / "imagenet"
LABELS = IMAGES / "labels.txt"


@unittest.skipUnless(V2.exists() and LABELS.exists(), f"{V2} or {LABELS} is absent; set FAT_DATA_DIR")
class MobileNetV2(ProgramTest):
    def some_images(self, count):
        """A list file of the first evaluation images, with their classes."""
        lines = [line for line in LABELS.read_text().splitlines() if line.startswith("evaluation/")][:count]
        path = self.folder / "some.txt"
        path.write_text("".join(f"{IMAGES}/{line}\n" for line in lines))
        return path

    def quantize(self, out, images, *options):
        return self.figures("quantize", V2, "--images", IMAGES / "calibration", "--evaluate", images, "--class-offset", 1,
                            "--calibration", 50, "--quality", "fast", "--rescale", "none", "--bias-correction", "off", "--threads", 2, *options, "-o", out)

    def test_float_accuracy(self):
        found = self.figures("evaluate", V2, "--images", IMAGES / "evaluation", "--labels", LABELS, "--class-offset", 1,
                             "--threads", 2)
        self.assertEqual(found["images"], 400)
        self.assertAlmostEqual(found["float"]["top1"], 0.8950, delta=0.01)
        self.assertAlmostEqual(found["float"]["top5"], 0.9875, delta=0.01)
        self.assertLess(found["peak_rss_mib"], 600)

    def test_per_channel_keeps_accuracy_and_reads_back(self):
        images = self.some_images(100)
        model = self.folder / "model.npz"
        encodings = self.folder / "encodings.json"
        made = self.quantize(model, images, "-o", encodings)
        self.assertGreaterEqual(made["quantized"]["top1"], made["float"]["top1"] - 0.04)
        self.assertGreaterEqual(made["quantized"]["agreement"], 0.9)
        self.assertLess(made["quantized"]["logit_rmse"], 0.35)
        self.assertLess(made["peak_rss_mib"], 600)
        self.assertTrue(encodings.exists())
        back = self.figures("evaluate", model, "--images", images, "--reference", V2, "--threads", 1)
        self.assertEqual(back["quantized"], made["quantized"])
        self.assertEqual(back["float"], made["float"])

        few = self.some_images(3)
        compared = self.figures("compare", V2, model, "--images", few, "--threads", 2)
        self.assertGreater(len(compared["tensors"]), 60)
        inspected = self.figures("inspect", model)
        self.assertTrue(inspected["quantized"])
        self.assertGreater(len(inspected["layers"]), 60)
        out = self.folder / "logits.npy"
        self.succeed("run", model, "--input", DATA / "reference" / "input.npy", "-o", out)
        shape, logits = read_npy(out)
        self.assertEqual(shape, (16, 1001))
        _, wanted = read_npy(DATA / "reference" / "mobilenet_v2_1.0_224_logits.npy")

        def winners(values):
            return [max(range(1001), key=lambda k: values[1001 * i + k]) for i in range(16)]

        self.assertGreaterEqual(sum(a == b for a, b in zip(winners(logits), winners(wanted))), 14)

    def test_one_step_a_layer_collapses(self):
        made = self.quantize(self.folder / "model.npz", self.some_images(100), "--granularity", "scalar")
        self.assertLessEqual(made["quantized"]["top1"], 0.3)
        self.assertGreater(made["quantized"]["logit_rmse"], 1.0)


RESNET8 = DATA / "models" / "resnet8_cifar10.onnx"
PICTURES = DATA / "cifar10" / "calibration"


@unittest.skipUnless(RESNET8.exists() and PICTURES.exists(), f"{RESNET8} or {PICTURES} is absent; set FAT_DATA_DIR")
class ResNet8(ProgramTest):
    def quantize(self, *words):
        return self.figures("quantize", RESNET8, "--images", PICTURES, "--preprocess", "raw", "--quality", "fast", "--rescale", "none", "--bias-correction", "off",
                            "--threads", 1, *words)

    def evaluated(self, path):
        return self.figures("evaluate", path, "--images", PICTURES, "--preprocess", "raw", "--reference", RESNET8, "--threads", 1)["quantized"]

    def test_every_file_of_a_model_has_the_same_figures(self):
        # The softmax reads floats here: files of other formats quantize its output in a step of its own.
        paths = [self.folder / f"model.{kind}" for kind in ("npz", "tflite", "onnx")]
        self.quantize("--keep-float", "dense_0", *(word for path in paths for word in ("-o", path)))
        found = [self.evaluated(path) for path in paths]
        self.assertEqual(found[1:], found[:1] * 2)
        self.assertLess(found[0]["logit_rmse"], 0.5)
        compared = [self.figures("compare", RESNET8, path, "--images", PICTURES, "--preprocess", "raw", "--threads", 1)["quantized"] for path in paths]
        self.assertEqual(compared[1:], compared[:1] * 2)
        self.assertLess(compared[0]["logit_rmse"], 0.5)

    def test_convolutions_kept_in_float(self):
        kept = ["input", *(f"conv_{i}" for i in range(9))]
        paths = [self.folder / f"model.{kind}" for kind in ("npz", "tflite", "onnx")]
        self.quantize("--keep-float", ",".join(kept), *(word for path in paths for word in ("-o", path)))
        found = [self.evaluated(path) for path in paths]
        self.assertEqual(found[1:], found[:1] * 2)

    def test_for_tensorrt(self):
        path = self.folder / "model.onnx"
        made = self.quantize("--tensorrt", "-o", path)
        self.assertGreater(made["quantized"]["sqnr_db"], 27.5)
        for layer in self.figures("inspect", path)["layers"]:
            if layer["kind"] != "softmax":
                self.assertEqual([layer["output"][key] for key in ("zero_point", "code_min", "code_max")], [0, -127, 127])
        self.succeed("run", path, "--input", DATA / "reference" / "cifar10_input.npy", "-o", self.folder / "y.npy")


REFERENCES = {
    "mobilenet_v2_1.0_224": ("input", "mobilenet_v2_1.0_224_logits"),
    "mobilenet_v1_0.25_224": ("input", "mobilenet_v1_0.25_224_logits"),
    "mobilenet_v2_features_bn": ("input", "mobilenet_v2_features_bn_features"),
    "resnet8_cifar10": ("cifar10_input", "resnet8_cifar10_probabilities"),
}


class Run(ProgramTest):
    def test_float_models_give_the_reference_outputs(self):
        for name, (entry, wanted) in REFERENCES.items():
            with self.subTest(name):
                model = DATA / "models" / f"{name}.onnx"
                if not model.exists():
                    self.skipTest(f"{model} is absent; set FAT_DATA_DIR")
                out = self.folder / f"{name}.npy"
                self.succeed("run", model, "--input", DATA / "reference" / f"{entry}.npy", "-o", out, "--threads", 2)
                shape, values = read_npy(out)
                expected_shape, expected = read_npy(DATA / "reference" / f"{wanted}.npy")
                self.assertEqual(shape, expected_shape)
                scale = max(map(abs, expected))
                self.assertLessEqual(max(abs(a - b) for a, b in zip(values, expected)), 1e-4 * scale)


main()
