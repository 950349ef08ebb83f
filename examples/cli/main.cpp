// The program `fat`: reads the command line, runs one command, turns errors into one line.
#include "outputs.hpp"
#include "printable.hpp"
#include "settings.hpp"

#include <fat/core/error.hpp>

#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <utility>

namespace {

int fail_with(const char* message) {
  std::fprintf(stderr, "fat: %s\n", cli::printable(message).c_str());
  return 1;
}

int run_command(const cli::Settings& settings) {
  cli::check_outputs(settings);
  constexpr std::array commands{std::pair{"inspect", &cli::inspect}, std::pair{"quantize", &cli::quantize},
                                std::pair{"convert", &cli::convert}, std::pair{"evaluate", &cli::evaluate},
                                std::pair{"compare", &cli::compare}, std::pair{"run", &cli::run},
                                std::pair{"bench", &cli::bench},     std::pair{"demo", &cli::demo}};
  for (const auto& [name, command] : commands)
    if (settings.command == name) return command(settings);
  return 2;
}

}  // namespace

int main(int count, char** words) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows beyond `ulimit -f` is a write that fails, with a message
  try {
    cli::Settings settings;
    if (const auto stop = cli::parse(count, words, settings)) return *stop;
    const int status = run_command(settings);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      return fail_with("standard output: cannot be written; is the disk full?");
    return status;
  } catch (const fat::error& problem) {
    return fail_with(problem.what());
  } catch (const std::bad_alloc&) {
    return fail_with("not enough memory; use a smaller batch, fewer images or fewer threads");
  } catch (const std::exception& problem) {
    return fail_with(problem.what());
  }
}
