// The program trains, reports its loss curve, and keeps its state when it is interrupted.
#include "../support/golden.hpp"
#include "../support/temporary.hpp"

#include <nlohmann/json.hpp>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(end_to_end_finetune)

namespace {

const std::string model = "models/resnet8_cifar10.onnx";

/// `fat quantize` of the small network, all output to `log`.
std::vector<std::string> words(const std::filesystem::path& folder, std::vector<std::string> more) {
  std::vector<std::string> all{FAT_PROGRAM,
                               "quantize",
                               fat::test::data_path(model).string(),
                               "--images",
                               fat::test::data_path("cifar10/evaluation").string(),
                               "--train",
                               "96",
                               "--rescale",
                               "none",
                               "--finetune",
                               "thresholds",
                               "-o",
                               (folder / "out.npz").string()};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

pid_t start(const std::vector<std::string>& all, const std::filesystem::path& log) {
  std::cout.flush();
  const pid_t child = ::fork();
  if (child != 0) return child;
  std::vector<char*> pointers;
  for (const std::string& each : all) pointers.push_back(const_cast<char*>(each.c_str()));
  pointers.push_back(nullptr);
  if (std::freopen(log.c_str(), "w", stdout) == nullptr || ::dup2(::fileno(stdout), STDERR_FILENO) < 0) ::_exit(126);
  ::execv(pointers[0], pointers.data());
  ::_exit(127);
}
int finish(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
std::string text(const std::filesystem::path& path) {
  std::ostringstream all;
  all << std::ifstream{path}.rdbuf();
  return all.str();
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_loss_curve_is_in_the_json, *fat::test::needs_data(model)) {
  const fat::test::TemporaryFolder folder;
  const auto json = folder.path() / "figures.json";
  const auto log = folder.path() / "log";
  BOOST_TEST_REQUIRE(finish(start(words(folder.path(), {"--epochs", "2", "--json", json.string()}), log)) == 0,
                     text(log));
  const auto figures = nlohmann::json::parse(std::ifstream{json});
  BOOST_TEST(figures.at("losses").size() == 2U * (86U / 16U));  // a tenth of 96 images is held out
  BOOST_TEST(figures.at("seconds").contains("train"));
  BOOST_TEST(text(log).find("rate") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_signal_saves_the_state, *fat::test::needs_data(model)) {
  const fat::test::TemporaryFolder folder;
  const auto log = folder.path() / "log";
  const auto kept = folder.path() / "kept";
  const pid_t child = start(words(folder.path(), {"--epochs", "100000", "--checkpoint", kept.string()}), log);
  for (int wait = 0; wait != 600 && !std::filesystem::exists(kept / "training.fat"); ++wait)
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  ::kill(child, SIGINT);
  BOOST_TEST(finish(child) == 1);
  BOOST_TEST(text(log).find("the state is in the checkpoint folder") != std::string::npos, text(log));
  BOOST_TEST(std::filesystem::exists(kept / "training.fat"));
  BOOST_TEST(!std::filesystem::exists(folder.path() / "out.npz"));
}

BOOST_AUTO_TEST_CASE(bad_input_is_one_line, *fat::test::needs_data(model)) {
  const fat::test::TemporaryFolder folder;
  const auto log = folder.path() / "log";
  BOOST_TEST(finish(start(words(folder.path(), {"--batch", "97"}), log)) == 1);
  BOOST_TEST(text(log).find("96 training images, fewer than a batch of 97") != std::string::npos, text(log));
  BOOST_TEST(finish(start(words(folder.path(),
                                {"--train-weights", "off", "--train-activations", "off", "--train-biases", "off"}),
                          log)) == 1);
  BOOST_TEST(text(log).find("nothing to train") != std::string::npos, text(log));
}

BOOST_AUTO_TEST_SUITE_END()
