// expect: AffineLayer
#include <fat/core.hpp>

struct Layer {
  fat::array<float> w, b;
  const fat::array<float>& weights() const { return w; }
  const fat::array<float>& bias() const { return b; }
};
struct Norm {
  fat::array<float> values;
  const auto& gamma() const { return values; }
  const auto& beta() const { return values; }
  const auto& mean() const { return values; }
  const auto& variance() const { return values; }
  double epsilon() const { return 0; }
};

void fold(Layer& layer, const Norm& norm) { fat::fold_batch_norm(layer, norm); }
