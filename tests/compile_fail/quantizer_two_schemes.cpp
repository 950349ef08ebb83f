// expect: two schemes; give Symmetric or Asymmetric, once
#include <fat/core.hpp>

using Wrong = fat::Quantizer<fat::Symmetric, fat::Signed, fat::Asymmetric>;
Wrong q;
