// Calls the same library code as compiled under each error policy; each has to keep its own.
#include <cstdio>

bool throws_an_error();
bool throws_an_error_under_other_macros();
bool calls_the_handler();

int main() {
  const bool ok = throws_an_error() && throws_an_error_under_other_macros() && calls_the_handler();
  std::puts(ok ? "every translation unit kept its error policy" : "an error policy was replaced by another one");
  return ok ? 0 : 1;
}
