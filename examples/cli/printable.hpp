// Text from files and folders, made fit to be one line of a terminal.
#ifndef FAT_CLI_PRINTABLE_HPP_INCLUDED
#define FAT_CLI_PRINTABLE_HPP_INCLUDED

#include <string>
#include <string_view>

namespace cli {

/// The text with \n, \t and \xNN in place of control characters and of bytes that are no UTF-8.
std::string printable(std::string_view text);

}  // namespace cli

#endif
