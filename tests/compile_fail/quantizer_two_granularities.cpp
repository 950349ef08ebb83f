// expect: two granularities; give Scalar or PerChannel<Axis>, once
#include <fat/core.hpp>

using Wrong = fat::Quantizer<fat::PerChannel<0>, fat::PerChannel<1>>;
Wrong q;
