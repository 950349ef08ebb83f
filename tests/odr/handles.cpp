// The core, under the error policy that calls a function of the user.
#define FAT_ERRORS_HANDLER
#include <fat/core.hpp>

#include <string_view>

bool calls_the_handler();

bool calls_the_handler() {
  struct Called {
    bool with_the_message;
  };
  fat::error_handler = [](const char* message) { throw Called{std::string_view{message} == "odr: handled"}; };
  try {
    fat::expects(false, "odr: handled");
  } catch (const Called& called) {
    return called.with_the_message;
  }
  return false;
}
