// expect: NarrowRange contradicts the other policies
#include <fat/core.hpp>

using Wrong = fat::Quantizer<fat::Asymmetric, fat::NarrowRange>;
Wrong q;
