// expect: an argument is not a threshold policy
#include <fat/core.hpp>

fat::AdjustableThreshold<fat::Quantizer<>, float, fat::Divide> wrong{fat::Interval<float>{-1, 1}};
