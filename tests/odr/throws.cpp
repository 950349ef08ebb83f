// Everything, under the default error policy.
#include <everything.hpp>

#include <string_view>

bool throws_an_error();

bool throws_an_error() {
  try {
    fat::expects(false, "odr: thrown");
  } catch (const fat::error& error) {
    return std::string_view{error.what()} == "odr: thrown";
  }
  return false;
}
