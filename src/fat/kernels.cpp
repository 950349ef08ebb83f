// The int8 kernels, compiled once.
#include <fat/kernel/native_inl.hpp>
