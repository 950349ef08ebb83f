// Folds a batch normalization into a layer of one's own.
#include <fat/core/span_tensor.hpp>
#include <fat/transform/fold_batch_norm.hpp>

#include <cstdio>
#include <vector>

/// Two outputs, three inputs.
struct Dense {
  std::vector<float> w{1.0F, 2.0F, 3.0F, -1.0F, 0.5F, 0.25F};
  std::vector<float> b{0.0F, 1.0F};
  auto weights() { return fat::span_tensor(w.data(), {2, 3}); }
  auto bias() { return fat::span_tensor(b.data(), {2}); }
};

struct Norm {
  std::vector<float> g{2.0F, 0.5F}, h{0.1F, -0.1F}, m{1.0F, 0.0F}, v{4.0F, 0.25F};
  auto gamma() const { return fat::span_tensor(g.data(), {2}); }
  auto beta() const { return fat::span_tensor(h.data(), {2}); }
  auto mean() const { return fat::span_tensor(m.data(), {2}); }
  auto variance() const { return fat::span_tensor(v.data(), {2}); }
  double epsilon() const { return 1e-3; }
};

int main() {
  Dense layer;
  fat::fold_batch_norm(layer, Norm{});
  for (const float w : layer.w) std::printf("%g ", static_cast<double>(w));
  for (const float b : layer.b) std::printf("%g ", static_cast<double>(b));
  std::printf("\n");
}
