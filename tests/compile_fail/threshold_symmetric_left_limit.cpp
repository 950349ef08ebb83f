// expect: a symmetric quantizer has neither a left limit nor a zero point
#include <fat/core.hpp>

fat::AdjustableThreshold<fat::Quantizer<fat::Symmetric>, float, fat::ZeroLeft> wrong{fat::Interval<float>{-1, 1}};
