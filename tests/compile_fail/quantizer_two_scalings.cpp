// expect: two scalings; give MultiplyReciprocal or Divide, once
#include <fat/core.hpp>

using Wrong = fat::Quantizer<fat::Divide, fat::MultiplyReciprocal>;
Wrong q;
