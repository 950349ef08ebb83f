// Outputs: refused before any work where they cannot be written or would replace an input or each other.
#ifndef FAT_CLI_OUTPUTS_HPP_INCLUDED
#define FAT_CLI_OUTPUTS_HPP_INCLUDED

#include "settings.hpp"

namespace cli {

/// Errors: an output whose folder does not exist or is not writable, that is a folder or write-protected, or that is
/// the same file as an input, an image to be read or another output. Links are seen through; devices and pipes may be
/// written more than once.
void check_outputs(const Settings& settings);

}  // namespace cli

#endif
