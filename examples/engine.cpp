// Runs a quantized network on one picture of raw RGB bytes: engine MODEL.npz PICTURE.rgb
#include <fat/engine.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>

int main(int count, char** words) {
  if (count != 3) {
    std::fprintf(stderr, "usage: engine MODEL.npz PICTURE.rgb\n");
    return 2;
  }
  try {
    const fat::Engine network{std::string{words[1]}};
    std::ifstream file{words[2], std::ios::binary};
    const std::vector<std::uint8_t> pixels{std::istreambuf_iterator<char>{file}, {}};
    std::vector<float> outputs(network.outputs()[0].size);

    fat::Engine::Session run = network.session({.threads = 2});
    run(pixels, outputs);

    const auto best = std::max_element(outputs.begin(), outputs.end());
    std::printf("class %td\n", best - outputs.begin());
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "engine: %s\n", problem.what());
    return 1;
  }
}
