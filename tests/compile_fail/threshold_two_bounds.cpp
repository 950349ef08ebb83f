// expect: two bounds; give one
#include <fat/core.hpp>

fat::AdjustableThreshold<fat::Quantizer<>, float, fat::PaperBounds, fat::WideBounds> wrong{fat::Interval<float>{-1, 1}};
