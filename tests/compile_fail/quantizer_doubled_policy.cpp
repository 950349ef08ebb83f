// expect: two numbers of bits; give Bits<N> once
#include <fat/core.hpp>

using Wrong = fat::Quantizer<fat::Bits<4>, fat::Bits<8>>;
Wrong q;
