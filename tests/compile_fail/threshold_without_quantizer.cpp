// expect: AdjustableThreshold: give a Quantizer
#include <fat/core.hpp>

fat::AdjustableThreshold<int> wrong{fat::Interval<float>{-1, 1}};
