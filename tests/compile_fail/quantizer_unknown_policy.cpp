// expect: an argument is not a quantizer policy
#include <fat/core.hpp>

using Wrong = fat::Quantizer<fat::Symmetric, int>;
Wrong q;
