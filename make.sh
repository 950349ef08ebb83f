#!/usr/bin/env bash
# One command for each job; each installs what is missing, configures, builds and runs. A second run takes seconds.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'END'
usage: ./make.sh COMMAND

  demo       quantize the embedded network and show float against int8
  test       build and run the tests
  test-all   the same and the long ones: fuzzing, every emulated processor, full training
  build      the program build/fat, the examples, the tests and the benchmarks
  bench      run the benchmarks beside the libraries they compare with
  docs       check the pages: listings are compiled, links lead somewhere, options are explained
  table      measure what quantization costs on the networks in FAT_DATA_DIR; prints the table of README.md
  sanitize   run the quick tests under AddressSanitizer and UndefinedBehaviorSanitizer

Settings by environment: FAT_BUILD (folder, default build), FAT_JOBS (parallel compilations), FAT_GOLDEN_DIR and
FAT_DATA_DIR (reference vectors, models and pictures for the tests; default ../shared/golden and ../shared/data).
END
}

build=${FAT_BUILD:-build}
installed=no

# Debian packages: for the library and its program, for the tests, for the benchmarks.
packages_program=(cmake ninja-build g++ libopenblas-dev zlib1g-dev libonnx-dev libprotobuf-dev protobuf-compiler libjpeg-dev
  libpng-dev libflatbuffers-dev flatbuffers-compiler libcli11-dev nlohmann-json3-dev)
packages_test=(libboost-test-dev libxtensor-dev libxtensor-blas-dev xtl-dev libxsimd-dev libeigen3-dev libsimde-dev python3
  g++-aarch64-linux-gnu qemu-user gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib qemu-system-arm clang)
packages_bench=(libbenchmark-dev libdnnl-dev libxnnpack-dev libpthreadpool-dev libgemmlowp-dev)

say() { printf '%s\n' "$*" >&2; }

# have_packages NAME...: installs those that are missing.
have_packages() {
  if ! command -v dpkg-query >/dev/null; then
    have_tools
    return
  fi
  local missing=() name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "make.sh: these packages are missing; install them as root: apt-get install ${missing[*]}"
      exit 1
    fi
    root=(sudo)
  fi
  say "make.sh: installing ${missing[*]}"
  installed=yes
  local get=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
  "${get[@]}" install --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return 0
  "${get[@]}" update >/dev/null || true
  "${get[@]}" install --no-install-recommends "${missing[@]}" >/dev/null || {
    say "make.sh: could not install: ${missing[*]}"
    exit 1
  }
}

# On other systems: names what is missing and stops.
have_tools() {
  local missing=() tool header
  for tool in cmake ninja c++ protoc; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  for header in cblas.h zlib.h onnx/onnx_pb.h jpeglib.h png.h CLI/CLI.hpp nlohmann/json.hpp boost/test/unit_test.hpp xtensor/xtensor.hpp; do
    echo "#include <$header>" | c++ -std=c++20 -DONNX_NAMESPACE=onnx -DONNX_ML=1 -E -x c++ - >/dev/null 2>&1 ||
      missing+=("<$header>")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "make.sh: this is no Debian system, so nothing was installed. Missing: ${missing[*]}"
  exit 1
}

# As many compilations as processors, but at least a gigabyte of memory for each.
parallel_jobs() {
  local memory processors
  processors=$(nproc 2>/dev/null || echo 2)
  memory=$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo 2>/dev/null || echo "$processors")
  [ "$memory" -ge 1 ] || memory=1
  echo "${FAT_JOBS:-$((processors < memory ? processors : memory))}"
}

# compile FOLDER TARGET...: configures where that was not done or packages came since; a folder named *-sanitize holds the
# build under the sanitizers.
compile() {
  local folder=$1 log=$1/configure.log options=()
  shift
  mkdir -p "$folder"
  if [[ $folder == *-sanitize ]]; then options=(-DFAT_SANITIZE=ON -DFAT_BUILD_BENCHMARKS=OFF); fi
  if [ ! -e "$folder/build.ninja" ] || [ "$installed" = yes ]; then
    cmake -S . -B "$folder" -G Ninja "${options[@]}" >"$log" 2>&1 || {
      cat "$log" >&2
      exit 1
    }
    grep -A3 -E 'left out|compare with' "$log" >&2 || true
  fi
  cmake --build "$folder" -j "$(parallel_jobs)" --target "$@" >&2
}

run_tests() {
  ctest --test-dir "$1" --output-on-failure --no-tests=error -j "$(nproc)" "${@:2}"
}

# peers FOLDER: what is compared in turn, with medians of ratios; the libraries that are missing are named and passed over.
peers() {
  local folder=$1/benchmarks program python=$1/peers/bin/python
  for program in gemm depthwise integer_model; do "$folder/$program" --ratios; done
  if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    /usr/bin/python3 benchmarks/peers/forward.py --build "$folder"
    /usr/bin/python3 benchmarks/peers/fake_quantize.py --build "$folder"
  else
    say "make.sh: PyTorch is not there (Debian: python3-torch); the float forward and fake quantization have no peer"
  fi
  if [ ! -x "$python" ] && python3 -m venv "$1/peers" >/dev/null 2>&1; then
    "$1/peers/bin/pip" install -q numpy onnx onnxruntime >/dev/null 2>&1 || true
  fi
  if "$python" -c 'import onnx, onnxruntime' 2>/dev/null; then
    "$python" benchmarks/peers/integer_model.py --build "$folder"
  else
    say "make.sh: ONNX Runtime is not there (pip: onnx onnxruntime); the int8 network has no peer"
  fi
  python3 benchmarks/compile_time/measure.py ||
    say "make.sh: compile_time/measure.py failed or a bound is not met (that of fat.hpp is known not to be); going on"
}

case "${1:-}" in
  demo)
    have_packages "${packages_program[@]}"
    compile "$build" example_cli
    "$build/fat" demo "${@:2}"
    ;;
  test)
    have_packages "${packages_program[@]}" "${packages_test[@]}"
    compile "$build" all
    run_tests "$build" -LE _long "${@:2}"
    ;;
  test-all)
    have_packages "${packages_program[@]}" "${packages_test[@]}"
    compile "$build" all
    run_tests "$build" "${@:2}"
    ;;
  build)
    have_packages "${packages_program[@]}" "${packages_test[@]}" "${packages_bench[@]}"
    compile "$build" all benchmarks
    ;;
  bench)
    have_packages "${packages_program[@]}" "${packages_test[@]}" "${packages_bench[@]}"
    compile "$build" benchmarks
    unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
    for program in "$build"/benchmarks/*; do
      if [ -f "$program" ] && [ -x "$program" ]; then "$program" "${@:2}"; fi
    done
    peers "$build"
    ;;
  docs)
    have_packages "${packages_program[@]}" python3
    compile "$build" example_cli
    python3 -B tests/docs/check.py "$build/fat"
    ;;
  table)
    have_packages "${packages_program[@]}" python3
    compile "$build" example_cli
    benchmarks/accuracy/post_training.py --fat "$build/fat" "${@:2}"
    ;;
  sanitize)
    have_packages "${packages_program[@]}" "${packages_test[@]}"
    compile "$build-sanitize" tests_quick
    run_tests "$build-sanitize" -L '^(unit|law|golden|differential|archetype|fuzz)$' -E 'xtensor|emulated' "${@:2}"
    ;;
  *)
    usage
    [ "${1:-}" = help ] || [ "${1:-}" = --help ] || exit 2
    ;;
esac
