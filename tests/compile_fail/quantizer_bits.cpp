// expect: N is 2 to 8, or 16
#include <fat/core.hpp>

using Wrong = fat::Quantizer<fat::Bits<9>>;
Wrong q;
