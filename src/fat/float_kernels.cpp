// The float kernels, compiled once.
#include <fat/kernel/float/native_inl.hpp>
