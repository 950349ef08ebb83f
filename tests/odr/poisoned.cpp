// Everything, after macros that system headers and compilers define on one platform or another.
#define small poisoned by a system header
#define near poisoned by a system header
#define far poisoned by a system header
#define interface poisoned by a system header
#undef linux
#define linux 1
#undef unix
#define unix 1

#include <everything.hpp>

#include <string_view>

bool throws_an_error_under_other_macros();

bool throws_an_error_under_other_macros() {
  try {
    fat::expects(false, "odr: thrown");
  } catch (const fat::error& error) {
    return std::string_view{error.what()} == "odr: thrown";
  }
  return false;
}
