// The C interface: handles around Engine and Session, errors as codes and a text of the calling thread.
#include <fat/engine.h>
#include <fat/engine.hpp>

#include <exception>
#include <string>

struct fat_engine {
  fat::Engine engine;
};
struct fat_session {
  fat::Engine::Session session;
};

namespace {

thread_local std::string last_error;

template <class Call>
int guarded(Call&& call) noexcept {
  try {
    call();
    return FAT_OK;
  } catch (const std::exception& problem) {
    try {
      last_error = problem.what();
    } catch (...) {
      last_error.clear();
    }
  } catch (...) {
    last_error.clear();
  }
  return FAT_ERROR;
}

std::size_t total(const std::vector<fat::EnginePort>& ports) {
  std::size_t size = 0;
  for (const fat::EnginePort& port : ports) size += port.size;
  return size;
}

}  // namespace

const char* fat_last_error(void) { return last_error.c_str(); }

int fat_engine_open(const char* path, fat_engine** engine) {
  return guarded([&] { *engine = new fat_engine{fat::Engine{std::string{path}}}; });
}
int fat_engine_open_memory(const void* npz, size_t size, fat_engine** engine) {
  return guarded([&] {
    *engine = new fat_engine{fat::Engine{std::span{static_cast<const std::byte*>(npz), size}}};
  });
}
void fat_engine_close(fat_engine* engine) { delete engine; }

size_t fat_engine_input_size(const fat_engine* engine) { return total(engine->engine.inputs()); }
size_t fat_engine_output_size(const fat_engine* engine) { return total(engine->engine.outputs()); }

int fat_session_open(const fat_engine* engine, size_t threads, fat_session** session) {
  return guarded([&] { *session = new fat_session{engine->engine.session({.threads = threads})}; });
}
void fat_session_close(fat_session* session) { delete session; }

int fat_session_run_pixels(fat_session* session, const uint8_t* pixels, size_t pixel_count, float* outputs,
                           size_t output_count) {
  return guarded([&] {
    session->session(std::span<const std::uint8_t>{pixels, pixel_count}, std::span{outputs, output_count});
  });
}
int fat_session_run(fat_session* session, const float* inputs, size_t input_count, float* outputs, size_t output_count) {
  return guarded(
      [&] { session->session(std::span<const float>{inputs, input_count}, std::span{outputs, output_count}); });
}
