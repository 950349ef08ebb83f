// The program trains, reports its loss curve, and keeps its state when it is interrupted.
#include "../support/golden.hpp"
#include "../support/temporary.hpp"

#include <nlohmann/json.hpp>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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

/// `fat quantize` of the small network, whose training starts at once: no search for a rate, nothing learned before.
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
  const std::array<std::array<const char*, 2>, 3> plain{
      {{"--learning-rate", "0.003"}, {"--rounding", "nearest"}, {"--bias-correction", "off"}}};
  for (const auto& option : plain)
    if (std::find(more.begin(), more.end(), option[0]) == more.end()) all.insert(all.end(), option.begin(), option.end());
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
template <class Condition>
void wait_for(Condition condition) {
  for (int wait = 0; wait != 6000 && !condition(); ++wait) std::this_thread::sleep_for(std::chrono::milliseconds{10});
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

BOOST_AUTO_TEST_CASE(the_way_of_training_is_chosen, *fat::test::needs_data(model)) {
  const fat::test::TemporaryFolder folder;
  const auto json = folder.path() / "figures.json";
  const auto log = folder.path() / "log";
  std::vector<std::string> more{
      "--patience",  "2",   "--epochs",        "40",          "--loss",       "absolute",
      "--optimizer", "sgd", "--learning-rate", "0.1",         "--schedule",   "authors",
      "--cycles",    "4",   "--json",          json.string(), "--checkpoint", (folder.path() / "kept").string()};
  BOOST_TEST_REQUIRE(finish(start(words(folder.path(), more), log)) == 0, text(log));
  const auto figures = nlohmann::json::parse(std::ifstream{json});
  const auto& options = figures.at("options");
  BOOST_TEST(options.at("loss") == "absolute");
  BOOST_TEST(options.at("optimizer") == "sgd");
  BOOST_TEST(options.at("schedule") == "authors");
  BOOST_TEST(options.at("cycles") == 4);
  BOOST_TEST(options.at("patience") == 2);
  BOOST_TEST(figures.at("losses").size() < 40U * (86U / 16U));
  BOOST_TEST(figures.at("messages").dump().find("ended early") != std::string::npos, figures.at("messages").dump());
  // The state is that of an ended training; under other options it is refused.
  more.push_back("--resume");
  BOOST_TEST(finish(start(words(folder.path(), more), log)) == 0, text(log));
  more[1] = "3";
  BOOST_TEST(finish(start(words(folder.path(), more), log)) == 1);
  BOOST_TEST(text(log).find("other options") != std::string::npos, text(log));
}

BOOST_AUTO_TEST_CASE(a_signal_saves_the_state, *fat::test::needs_data(model)) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const fat::test::TemporaryFolder folder;
    const auto log = folder.path() / "log";
    const auto kept = folder.path() / "kept";
    const pid_t child = start(words(folder.path(), {"--epochs", "100000", "--checkpoint", kept.string()}), log);
    wait_for([&] { return std::filesystem::exists(kept / "training.fat"); });
    ::kill(child, signal);
    BOOST_TEST(finish(child) == 1);
    BOOST_TEST(text(log).find("the state is in the checkpoint folder") != std::string::npos, text(log));
    BOOST_TEST(std::filesystem::exists(kept / "training.fat"));
    BOOST_TEST(!std::filesystem::exists(folder.path() / "out.npz"));
  }
}

/// nohup and background jobs of a shell start programs so.
BOOST_AUTO_TEST_CASE(a_signal_that_is_ignored_from_the_start_stays_ignored, *fat::test::needs_data(model)) {
  const fat::test::TemporaryFolder folder;
  const auto log = folder.path() / "log";
  const auto kept = folder.path() / "kept";
  std::vector<std::string> all = words(folder.path(), {"--epochs", "100000", "--checkpoint", kept.string()});
  all.insert(all.begin(), {"/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh"});
  const pid_t child = start(all, log);
  const auto epochs = [&] {
    const std::string said = text(log);
    std::size_t count = 0;
    for (std::size_t at = said.find("train: "); at != std::string::npos; at = said.find("train: ", at + 1)) ++count;
    return count;
  };
  wait_for([&] { return epochs() >= 1; });
  ::kill(child, SIGHUP);
  const std::size_t before = epochs();
  wait_for([&] { return epochs() >= before + 3; });
  BOOST_TEST(::waitpid(child, nullptr, WNOHANG) == 0, text(log));
  ::kill(child, SIGTERM);
  BOOST_TEST(finish(child) == 1);
}

/// Nothing but the training would look at the flag, so elsewhere a signal ends the program as it always does.
BOOST_AUTO_TEST_CASE(a_signal_outside_the_training_ends_the_program, *fat::test::needs_data(model)) {
  const fat::test::TemporaryFolder folder;
  const auto log = folder.path() / "log";
  const auto kept = folder.path() / "kept";
  // Rounding by choice follows calibration and takes a while.
  const pid_t child = start(words(folder.path(), {"--rounding", "learned", "--bias-correction", "on", "--calibration",
                                                  "100000", "--threads", "1", "--checkpoint", kept.string()}),
                            log);
  wait_for([&] { return text(log).find("calibrate") != std::string::npos; });
  ::kill(child, SIGTERM);
  const int status = finish(child);
  BOOST_TEST(status == 128 + SIGTERM, text(log));
}

BOOST_AUTO_TEST_CASE(a_state_in_the_folder_is_not_replaced, *fat::test::needs_data(model)) {
  const fat::test::TemporaryFolder folder;
  const auto log = folder.path() / "log";
  const auto kept = folder.path() / "kept";
  const std::vector<std::string> more{"--epochs", "1", "--checkpoint", kept.string()};
  BOOST_TEST(finish(start(words(folder.path(), more), log)) == 0, text(log));
  BOOST_TEST(finish(start(words(folder.path(), more), log)) == 1);
  BOOST_TEST(text(log).find("resume that (--resume), or remove the file") != std::string::npos, text(log));
  std::vector<std::string> resumed = more;
  resumed.emplace_back("--resume");
  BOOST_TEST(finish(start(words(folder.path(), resumed), log)) == 0, text(log));
  std::filesystem::remove(kept / "training.fat");
  BOOST_TEST(finish(start(words(folder.path(), resumed), log)) == 0);
  BOOST_TEST(text(log).find("training starts anew") != std::string::npos, text(log));
}

BOOST_AUTO_TEST_CASE(figures_say_what_their_images_were_used_for, *fat::test::needs_data(model)) {
  const fat::test::TemporaryFolder folder;
  const auto log = folder.path() / "log";
  const auto json = folder.path() / "figures.json";
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--epochs", "1", "--json", json.string()});
    BOOST_TEST_REQUIRE(finish(start(words(folder.path(), more), log)) == 0, text(log));
    return nlohmann::json::parse(std::ifstream{json}).at("images_were").get<std::string>();
  };
  BOOST_TEST(run({}) == "neither calibrated nor trained on");
  BOOST_TEST(text(log).find(" images (neither calibrated nor trained on)") != std::string::npos, text(log));
  BOOST_TEST(run({"--calibration", "100000"}) == "calibrated on");
}

/// A limit of the file size is met like a full disk: by a message, not by a signal.
BOOST_AUTO_TEST_CASE(a_file_size_limit_is_a_write_error, *fat::test::needs_data(model)) {
  const fat::test::TemporaryFolder folder;
  const auto log = folder.path() / "log";
  std::vector<std::string> all = words(folder.path(), {"--epochs", "1"});
  all.insert(all.begin(), {"/bin/sh", "-c", "ulimit -f 8; exec \"$@\"", "sh"});
  BOOST_TEST(finish(start(all, log)) == 1);
  BOOST_TEST(text(log).find("cannot be written: File too large") != std::string::npos, text(log));
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
