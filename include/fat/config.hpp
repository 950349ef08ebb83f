// Version, error policy, the ABI namespace and what is inline: the only macros of the library.
#ifndef FAT_CONFIG_HPP_INCLUDED
#define FAT_CONFIG_HPP_INCLUDED

#define FAT_VERSION_MAJOR 0
#define FAT_VERSION_MINOR 1
#define FAT_VERSION_PATCH 0

// What happens when a precondition fails. Define at most one of
//   FAT_ERRORS_THROW    throw fat::error (the default where exceptions are enabled)
//   FAT_ERRORS_TRAP     stop the program (the default under -fno-exceptions)
//   FAT_ERRORS_HANDLER  call fat::error_handler with the message, then stop the program
// The choice is part of the inline namespace, so translation units that differ in it never share a definition.
#if defined(FAT_ERRORS_HANDLER)
#define FAT_ABI v0_handler
#elif defined(FAT_ERRORS_TRAP)
#define FAT_ABI v0_trap
#elif defined(FAT_ERRORS_THROW) || defined(__cpp_exceptions)
#define FAT_ABI v0_throw
#ifndef FAT_ERRORS_THROW
#define FAT_ERRORS_THROW
#endif
#else
#define FAT_ABI v0_trap
#define FAT_ERRORS_TRAP
#endif

// What is no template is inline, so that the headers are enough. FAT_COMPILED (the CMake target fat::fat defines it) says
// that the library is linked: headers then declare what files named *_inl.hpp define. The library throws: under another
// error policy everything stays inline.
#if defined(FAT_COMPILED) && !defined(FAT_ERRORS_THROW)
#undef FAT_COMPILED
#endif
#if defined(FAT_COMPILED)
#define FAT_INLINE
#else
#define FAT_INLINE inline
#endif

#endif
