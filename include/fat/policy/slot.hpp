// Slots: every policy names the choice it settles, so that policies compose in any order to one canonical type.
#ifndef FAT_POLICY_SLOT_HPP_INCLUDED
#define FAT_POLICY_SLOT_HPP_INCLUDED

#include <fat/config.hpp>

#include <concepts>
#include <cstddef>

namespace fat::inline FAT_ABI {

/// A type that settles some choice: it has a member type `slot`.
template <class P>
concept Policy = requires {
  typename P::slot;
};

/// A policy that settles this choice.
template <class P, class Slot>
concept Fills = Policy<P> && std::same_as<typename P::slot, Slot>;

namespace detail {

template <class Slot, class... Ps>
inline constexpr std::size_t count_of = (std::size_t{0} + ... + (Fills<Ps, Slot> ? 1U : 0U));

template <class Slot, class Default, class... Ps>
struct select {
  using type = Default;
};
template <class Slot, class Default, class P, class... Ps>
struct select<Slot, Default, P, Ps...> : select<Slot, Default, Ps...> {};
template <class Slot, class Default, Fills<Slot> P, class... Ps>
struct select<Slot, Default, P, Ps...> {
  using type = P;
};

/// The first of Ps that fills the slot, else Default.
template <class Slot, class Default, class... Ps>
using select_t = typename select<Slot, Default, Ps...>::type;

}  // namespace detail
}  // namespace fat::inline FAT_ABI

#endif
