// expect: two roundings; give one
#include <fat/core.hpp>

using Wrong = fat::Quantizer<fat::HalfUp, fat::HalfToEven>;
Wrong q;
