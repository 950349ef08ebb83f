// expect: two kinds of sign; give Signed or Unsigned, once
#include <fat/core.hpp>

using Wrong = fat::Quantizer<fat::Signed, fat::Symmetric, fat::Unsigned>;
Wrong q;
